"""What README and the pages of docs/ and cluster/ say can be done: commands, keys, paths, links.

Shell commands are run by a shell, in a folder like a checkout, with programs that only note what
they were asked. Then each job parses its arguments and loads its preset and overrides, and goes no
further. The snippets of Python are run by test_snippets.py.
"""

import re
import runpy
import shlex
import shutil
import subprocess
import tomllib
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import click
import pytest

from fwdecg.__main__ import main as fwdecg_command
from fwdecg.config import describe_keys, from_tree, with_overrides
from fwdecg.experiment.command_line import Parser, load_experiment
from fwdecg.experiment.experiment import Experiment
from fwdecg.tuning.search_space import check_space, read_space

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "cluster/README.md"]
LANGUAGES = {"sh", "python", "toml", "text"}

PROGRAMS = ("python", "python3", "pip", "fwdecg", "ray", "kubectl", "docker", "base64")
# What a reader of the pages has or is told to give in its place, and what commands leave behind.
STAND_INS = ("PRESET.toml", "LIB", "LIBRARY", "INPUT", "best.safetensors", "maps.npy", "maps.npz")
STAND_INS += ("CHECKPOINT", "CHECKPOINT...", "CLUSTER", "FILE", "tuning/best.toml")
SYNOPSIS = {
    "[PRESET.toml]": "PRESET.toml",
    "SUBJECT": "solver",
    "section.key=value": "library.cases=60",
    "fwdecg JOB ...": "fwdecg reproduce PRESET.toml",
    "jobs/JOB.py ...": "jobs/reproduce.py PRESET.toml",
}
LEFT_BY_COMMANDS = "results/"

JOBS = {path.stem for path in (ROOT / "jobs").glob("*.py")}
KEYS = {line.partition(" ")[0] for line in describe_keys(Experiment)}
SECTIONS = {key.rpartition(".")[0] for key in KEYS}
SETTING = re.compile(
    rf"({'|'.join(sorted(SECTIONS))})\.(?!(?:json|toml|safetensors|png)$)\w[\w.]*( ?=.*)?"
)
NAMED_PATH = re.compile(r"[\w.]+(/[\w.]+)*/?")


class Piece(NamedTuple):
    """Something a page shows, and where."""

    page: Path
    line: int
    text: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def fenced(page):
    """The blocks of a page by their language."""
    language, begun, held = None, 0, []
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if not line.startswith("```"):
            held.append(line)
        elif language is None:
            language, begun, held = line[3:], number, []
        else:
            yield language, Piece(page, begun, "\n".join(held) + "\n")
            language = None


def blocks(language):
    return [piece for page in PAGES for found, piece in fenced(page) if found == language]


def prose(page):
    """The lines of a page that are in no block."""
    inside = False
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield Piece(page, number, line)


def spans():
    """What the pages set between single backticks."""
    for page in PAGES:
        for piece in prose(page):
            for text in re.findall(r"(?<!`)`([^`]+)`(?!`)", piece.text):
                yield piece._replace(text=text)


def commands():
    """Shell commands in blocks, and those in the text, written out."""
    yield from blocks("sh")
    for piece in spans():
        text = piece.text
        for shown, meant in SYNOPSIS.items():
            text = text.replace(shown, meant)
        words = text.split()
        script = Path(words[0])
        if text.startswith("--set "):
            text = f"python jobs/train.py PRESET.toml {text}"
        elif script.suffix == ".py" and script.stem in JOBS and len(words) > 1:
            text = f"python jobs/{script.name} {' '.join(words[1:])}"
        elif not (script.name in PROGRAMS and len(words) > 1):
            continue
        yield piece._replace(text=text)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """A folder with the files of the repository, those of STAND_INS, and programs that take notes.

    They write their name, arguments and a record separator to the file CALLS, each ended by zero.
    """
    for path in ROOT.iterdir():
        if not path.name.startswith(".") and path.name not in ("results", "build"):
            (tmp_path / path.name).symlink_to(path)
    for name in STAND_INS:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    for name in ("PRESET.toml", "tuning/best.toml", "results/sweep/tuning/best.toml"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "jobs/quickstart.toml", tmp_path / name)
    programs = tmp_path / ".venv/bin"
    programs.mkdir(parents=True)
    for name in PROGRAMS:
        (programs / name).write_text(
            # In one write, for the programs of a pipe take notes at the same time.
            '#!/bin/bash\nprintf "%s\\0" "${0##*/}" "$@" $\'\\x1e\' >>"$CALLS"\n'
        )
        (programs / name).chmod(0o755)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def calls_of(text, checkout):
    """Program and arguments of each call that a shell makes of a command."""
    noted = checkout / "calls"
    noted.touch()
    done = subprocess.run(
        [shutil.which("bash"), "-euo", "pipefail", "-c", text],
        env={"PATH": str(checkout / ".venv/bin"), "CALLS": str(noted)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [record.split("\0")[:-1] for record in noted.read_text().split("\x1e\0")[:-1]]


class ArgumentsRead(Exception):  # noqa: N818
    """A job has read its arguments."""


def require_all(text, checkout, monkeypatch):
    """Fail unless a command can be given as it stands."""
    calls = calls_of(text, checkout)
    assert calls
    for program, *arguments in calls:
        require_call(program, arguments, monkeypatch)


def require_call(program, arguments, monkeypatch):
    """Fail unless a program would accept these arguments."""
    if program.startswith("python"):
        require_python(arguments, monkeypatch)
    elif program == "fwdecg":
        require_job(fwdecg_command, ["fwdecg", *arguments], monkeypatch)
    elif program == "pip":
        require_pip(arguments)
    elif program == "ray":
        require_ray(arguments, monkeypatch)
    else:
        for before, value in pairwise(arguments):
            assert before != "-f" or arguments[0] == "logs" or Path(value).exists(), value


def require_python(arguments, monkeypatch):
    if arguments[:2] == ["-m", "fwdecg"]:
        require_job(fwdecg_command, ["fwdecg", *arguments[2:]], monkeypatch)
    elif arguments[:2] == ["-m", "pytest"]:
        for name in arguments[2:]:
            assert name.startswith("-") or Path(name).exists(), name
    elif arguments[:2] != ["-m", "venv"]:
        script = Path(arguments[0])
        assert script.is_file(), script
        assert script.parent.name == "jobs", "no test reads the arguments of this script"
        require_job(
            lambda: runpy.run_path(str(script), run_name="__main__"), arguments, monkeypatch
        )


def require_job(job, arguments, monkeypatch):
    """Have a job read its arguments, its preset and overrides, and the paths it is given."""

    def parse_and_stop(parser, given=None, namespace=None):
        parsed = parse(parser, given, namespace)
        if not hasattr(parsed, "job"):
            require_inputs(parsed)
            if not hasattr(parsed, "preset"):
                raise ArgumentsRead
        return parsed

    def load_and_stop(parsed):
        load_experiment(parsed)
        raise ArgumentsRead

    parse = Parser.parse_args
    with monkeypatch.context() as patch:
        patch.setattr(Parser, "parse_args", parse_and_stop)
        patch.setattr("fwdecg.experiment.command_line.load_experiment", load_and_stop)
        patch.setattr("sys.argv", arguments)
        try:
            job()
        except ArgumentsRead:
            return
        except SystemExit as end:
            assert end.code == 0, arguments  # noqa: PT017
            assert {"--help", "--version"} & set(arguments), arguments


def require_inputs(parsed):
    """Fail if a job is pointed to a file that is neither there nor left by another command."""
    for name in ("checkpoint", "checkpoints", "input", "library"):
        given = getattr(parsed, name, None) or []
        for path in [given] if isinstance(given, str) else given:
            assert path.startswith((LEFT_BY_COMMANDS, "...")) or Path(path).exists(), path


def require_pip(arguments):
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert arguments[:3] == ["install", "-c", "constraints.txt"]
    for argument in arguments[3:]:
        match = re.fullmatch(r"\.\[(\w+)\]", argument)
        assert argument in ("-e", ".") or (match and match[1] in extras), argument


def require_ray(arguments, monkeypatch):
    """Have Ray's own command line parse; a job that is submitted parses its own part."""
    from ray.scripts.scripts import cli

    command, rest = cli, list(arguments)
    while isinstance(command, click.Group):
        assert rest[0] in command.commands, arguments
        command = command.commands[rest.pop(0)]
    if not rest:  # named, not run
        return
    parsed = command.make_context(command.name, list(rest)).params
    config = parsed.get("cluster_config_file")
    assert config is None or Path(config).exists(), config
    if parsed.get("entrypoint"):
        program, *own = shlex.split(" ".join(parsed["entrypoint"]))
        require_call(program, own, monkeypatch)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_blocks_say_what_they_are(page):
    assert {language for language, _ in fenced(page)} <= LANGUAGES
    indented = [piece for piece in prose(page) if piece.text.startswith("    ")]
    assert not indented, "set code between ``` and a language, so that it is tested"


@pytest.mark.parametrize("piece", list(commands()), ids=str)
def test_commands_can_be_given(piece, checkout, monkeypatch):
    require_all(piece.text, checkout, monkeypatch)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("python jobs/brew.py", "brew.py"),
        ("python jobs/train.py jobs/quick.toml", "jobs/quick.toml"),
        ("python jobs/train.py PRESET.toml --set library.caess=3", "unknown key library.caess"),
        ("python jobs/train.py PRESET.toml --set training.epochs=0", "epochs = 0: must be"),
        ("python jobs/train.py PRESET.toml --frobnicate", "unrecognized arguments"),
        ("python jobs/export.py worst.safetensors", "worst.safetensors"),
        ("fwdecg brew quickstart.toml", "invalid choice: 'brew'"),
        ("pip install -c constraints.txt -e '.[tests]'", "tests"),
        ("ray up cluster/azure.yaml", "azure.yaml"),
        ("ray job submit --frobnicate -- python jobs/train.py PRESET.toml", "No such option"),
        ("ray job submit -- python jobs/train.py jobs/quick.toml", "quick.toml"),
        ("kubectl apply -f cluster/kuberay/brew.yaml", "brew.yaml"),
        ("brew coffee", "brew: command not found"),
    ],
)
def test_a_command_that_cannot_be_given_is_noticed(text, complaint, checkout, monkeypatch, capsys):
    with pytest.raises(BaseException) as raised:  # noqa: PT011
        require_all(text, checkout, monkeypatch)
    assert complaint in str(raised.value) + capsys.readouterr().err


@pytest.mark.parametrize("piece", blocks("toml"), ids=str)
def test_presets_can_be_loaded(piece):
    experiment = from_tree(Experiment, tomllib.loads(piece.text))
    if experiment.tuning.space:
        check_space(read_space(experiment.tuning.space), experiment.recipe.with_settings)


SETTINGS = [piece for piece in spans() if SETTING.fullmatch(piece.text)]


@pytest.mark.parametrize("piece", SETTINGS, ids=lambda piece: f"{piece} {piece.text}")
def test_keys_exist_and_take_their_values(piece):
    if "=" in piece.text:
        name, _, value = piece.text.partition("=")
        with_overrides(Experiment(), [f"{name.strip()}={value.strip()}"])
    else:
        assert piece.text in KEYS | SECTIONS


def test_paths_exist():
    """Those in this repository: from its root, from the package, or from the page's folder."""
    known = {path.name for path in (*ROOT.iterdir(), *(ROOT / "fwdecg").iterdir())}
    found = 0
    for piece in spans():
        if not NAMED_PATH.fullmatch(piece.text):
            continue
        homes = (ROOT, ROOT / "fwdecg", piece.page.parent, ROOT / "jobs")
        beginning = piece.text.split("/")[0]
        if ("/" in piece.text.rstrip("/") and beginning in known) or piece.text.endswith(".py"):
            found += 1
            assert any((home / piece.text).exists() for home in homes), f"{piece}: {piece.text}"
    assert found > 40


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for piece in prose(page):
        for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", piece.text):
            assert "://" in target or (page.parent / target).exists(), f"{piece}: {target}"
