"""Check the commands, keys, paths and links in README, docs/ and cluster/README.md.

Bash runs every shell command in a stand-in for a checkout, where programs only record their
arguments. Each job then parses its arguments, loads its preset with the overrides, and stops.
test_snippets.py runs the Python snippets.
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
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), ROOT / "cluster/README.md"]
LANGUAGES = {"sh", "python", "toml", "text"}

PROGRAMS = ("python", "python3", "pip", "fwdecg", "mkdocs", "ray", "kubectl", "docker", "base64")
# Placeholders of the pages, and files that other commands create.
STAND_INS = ("PRESET.toml", "LIB", "LIBRARY", "INPUT", "best.safetensors", "maps.npy", "maps.npz")
STAND_INS += ("vm.igb", "CHECKPOINT", "CHECKPOINT...", "CLUSTER", "FILE", "tuning/best.toml")
STAND_INS += ("results/sweep/tuning/best.toml",)
SYNOPSIS = {
    "[PRESET.toml]": "PRESET.toml",
    "SUBJECT": "solver",
    "section.key=value": "library.cases=60",
    "fwdecg JOB ...": "fwdecg reproduce PRESET.toml",
    "python -m fwdecg JOB ...": "python -m fwdecg reproduce PRESET.toml",
    "jobs/JOB.py ...": "jobs/reproduce.py PRESET.toml",
}
CREATED_BY_COMMANDS = "results/"
CPU_TORCH = ("--no-deps", "--index-url", "https://download.pytorch.org/whl/cpu", "torch")
PIP_ARGUMENTS = {"-e", ".", *CPU_TORCH}

JOBS = {path.stem for path in (ROOT / "jobs").glob("*.py")}
KEYS = {line.partition(" ")[0] for line in describe_keys(Experiment)}
SECTIONS = {key.rpartition(".")[0] for key in KEYS}
SETTING = re.compile(
    rf"({'|'.join(sorted(SECTIONS))})\.(?!(?:json|md|toml|safetensors|png)$)\w[\w.]*( ?=.*)?"
)
NAMED_PATH = re.compile(r"[\w.]+(/[\w.]+)*/?")


class Piece(NamedTuple):
    """A text of a page and the line where it begins."""

    page: Path
    line: int
    text: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def fenced(page):
    """Yield language and content of each fenced block of a page."""
    language, begun, lines = None, 0, []
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if not line.startswith("```"):
            lines.append(line)
        elif language is None:
            language, begun, lines = line[3:], number, []
        else:
            yield language, Piece(page, begun, "\n".join(lines) + "\n")
            language = None


def blocks(language):
    """Return the blocks of all pages in one language."""
    return [piece for page in PAGES for found, piece in fenced(page) if found == language]


def prose(page):
    """Yield the lines of a page outside fenced blocks."""
    inside = False
    for number, line in enumerate(page.read_text().splitlines(), start=1):
        if line.startswith("```"):
            inside = not inside
        elif not inside:
            yield Piece(page, number, line)


def spans():
    """Yield the inline code of all pages."""
    for page in PAGES:
        for piece in prose(page):
            for text in re.findall(r"(?<!`)`([^`]+)`(?!`)", piece.text):
                yield piece._replace(text=text)


def commands():
    """Yield the shell commands of all blocks, and those of inline code completed to commands."""
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


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A folder with the repository's files, STAND_INS, and programs that record their calls.

    A program appends its name, its arguments and a record separator to the file $CALLS, each
    followed by a zero byte.
    """
    folder = tmp_path_factory.mktemp("checkout")
    for path in ROOT.iterdir():
        if path.name == ".mkdocs.yml" or not path.name.startswith((".", "results", "build")):
            (folder / path.name).symlink_to(path)
    for name in STAND_INS:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        if name.endswith(".toml"):
            shutil.copy(ROOT / "jobs/quickstart.toml", folder / name)
        else:
            (folder / name).touch()
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    for name in PROGRAMS:
        (programs / name).write_text(
            # A single write, because the programs of a pipe record at the same time.
            '#!/bin/bash\nprintf "%s\\0" "${0##*/}" "$@" $\'\\x1e\' >>"$CALLS"\n'
        )
        (programs / name).chmod(0o755)
    return folder


@pytest.fixture
def inside_checkout(checkout, monkeypatch):
    """Work in the checkout."""
    monkeypatch.chdir(checkout)
    return checkout


def recorded_calls(text, checkout):
    """Run a shell command and return program and arguments of each call that it makes."""
    record = checkout / "calls"
    record.write_text("")
    done = subprocess.run(
        [shutil.which("bash"), "-euo", "pipefail", "-c", text],
        env={"PATH": str(checkout / ".venv/bin"), "CALLS": str(record)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [call.split("\0")[:-1] for call in record.read_text().split("\x1e\0")[:-1]]


class ArgumentsRead(Exception):  # noqa: N818
    """A job has read its arguments."""


def require_all(text, checkout, monkeypatch):
    """Fail unless every call of a shell command would be accepted."""
    calls = recorded_calls(text, checkout)
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
    """Fail unless Python would run these arguments."""
    if arguments[:2] == ["-m", "fwdecg"]:
        require_job(fwdecg_command, ["fwdecg", *arguments[2:]], monkeypatch)
    elif arguments[:2] == ["-m", "pytest"]:
        for before, name in pairwise(arguments[1:]):
            assert name.startswith("-") or before == "-m" or Path(name).exists(), name
    elif arguments[:2] != ["-m", "venv"]:
        script = Path(arguments[0])
        assert script.is_file(), script
        assert script.parent.name == "jobs", "no test reads the arguments of this script"
        require_job(
            lambda: runpy.run_path(str(script), run_name="__main__"), arguments, monkeypatch
        )


def require_job(job, arguments, monkeypatch):
    """Let a job parse its arguments, load its preset, and check the paths it is given."""

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
    """Fail if a job gets a file that neither exists nor is created by another command."""
    for name in ("checkpoint", "checkpoints", "input", "library"):
        given = getattr(parsed, name, None) or []
        for path in [given] if isinstance(given, str) else given:
            assert path.startswith((CREATED_BY_COMMANDS, "...")) or Path(path).exists(), path


def require_pip(arguments):
    """Fail unless pip would install this project or PyTorch, under the constraints."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"][
        "optional-dependencies"
    ]
    assert arguments[:3] == ["install", "-c", "constraints.txt"]
    for argument in arguments[3:]:
        match = re.fullmatch(r"\.\[([\w,]+)\]", argument)
        known = match and extras.keys() >= set(match[1].split(","))
        assert argument in PIP_ARGUMENTS or known, argument


def require_ray(arguments, monkeypatch):
    """Fail unless Ray's command line, and a job that it submits, accept these arguments."""
    from ray.scripts.scripts import cli

    command, rest = cli, list(arguments)
    while isinstance(command, click.Group):
        assert rest[0] in command.commands, arguments
        command = command.commands[rest.pop(0)]
    if not rest:  # mentioned by name only
        return
    parsed = command.make_context(command.name, list(rest)).params
    config = parsed.get("cluster_config_file")
    assert config is None or Path(config).exists(), config
    if parsed.get("entrypoint"):
        program, *own = shlex.split(" ".join(parsed["entrypoint"]))
        require_call(program, own, monkeypatch)


def test_blocks_have_a_language_that_is_tested():
    for page in PAGES:
        assert {language for language, _ in fenced(page)} <= LANGUAGES, page
        indented = [str(piece) for piece in prose(page) if piece.text.startswith("    ")]
        assert not indented, "put code between ``` and a language, so that it is tested"


@pytest.mark.parametrize("piece", list(commands()), ids=str)
def test_commands_are_accepted(piece, inside_checkout, monkeypatch):
    require_all(piece.text, inside_checkout, monkeypatch)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("python jobs/brew.py", "brew.py"),
        ("python jobs/train.py jobs/quick.toml", "jobs/quick.toml"),
        ("python jobs/train.py PRESET.toml --set library.caess=3", "library.caess"),
        ("python jobs/train.py PRESET.toml --set training.epochs=0", "epochs = 0"),
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
def test_a_wrong_command_is_noticed(text, complaint, inside_checkout, monkeypatch, capsys):
    with pytest.raises(BaseException) as raised:  # noqa: PT011
        require_all(text, inside_checkout, monkeypatch)
    assert complaint in str(raised.value) + capsys.readouterr().err


@pytest.mark.parametrize("piece", blocks("toml"), ids=str)
def test_presets_can_be_loaded(piece):
    experiment = from_tree(Experiment, tomllib.loads(piece.text))
    if experiment.tuning.space:
        check_space(read_space(experiment.tuning.space), experiment.recipe.with_settings)


def test_keys_exist_and_accept_their_values():
    settings = [piece for piece in spans() if SETTING.fullmatch(piece.text)]
    assert len(settings) > 40
    for piece in settings:
        name, equals, value = (part.strip() for part in piece.text.partition("="))
        assert name in KEYS | SECTIONS, f"{piece}: {name}"
        if equals:
            with_overrides(Experiment(), [f"{name}={value}"])


def test_paths_exist():
    """Check paths into the repository, and scripts and modules, relative to where they may lie."""
    top_level = {path.name for path in ROOT.iterdir()}
    found = 0
    for piece in spans():
        if not NAMED_PATH.fullmatch(piece.text):
            continue
        homes = (ROOT, piece.page.parent, ROOT / "jobs")
        first, _, rest = piece.text.partition("/")
        if (rest and first in top_level - {"results", "build"}) or piece.text.endswith(".py"):
            found += 1
            assert any((home / piece.text).exists() for home in homes), f"{piece}: {piece.text}"
    assert found > 40


def test_links_have_a_target():
    for page in PAGES:
        for piece in prose(page):
            for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", piece.text):
                assert "://" in target or (page.parent / target).exists(), f"{piece}: {target}"


def test_the_changelog_says_where_modules_moved_to():
    text = (ROOT / "docs/changelog.md").read_text()
    for old, new in re.findall(r"^\| (`fwdecg\..*) \| (.*) \|$", text, re.MULTILINE):
        names = re.findall(r"`(fwdecg[\w.]*)`", new)
        assert names or new == "removed"
        for name in names:
            path = ROOT / name.replace(".", "/")
            assert path.is_dir() or path.with_suffix(".py").is_file(), f"{old}: {name}"


def test_every_folder_of_the_package_has_a_reference_page():
    folders = {path.parent.name for path in (ROOT / "fwdecg").glob("*/__init__.py")}
    pages = {path.stem for path in (ROOT / "docs/api").glob("*.md")} - {"index"}
    assert pages == folders
