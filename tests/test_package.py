"""What is handed out: a wheel that works without the checkout, and what it says of itself."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
DESCRIBED = PROJECT["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_every_room_is_packed():
    """A folder left out of the list would be missing from wheels alone, and in no other test."""
    rooms = {path.parent for path in (ROOT / "fwdecg").rglob("*.py")}
    packed = {str(room.relative_to(ROOT)).replace("/", ".") for room in rooms}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packed | {"fwdecg.jobs"}


def test_the_version_stands_in_one_place():
    assert version("fwdecg") == DESCRIBED["version"]
    assert "version" not in CITATION
    for path in (ROOT / "fwdecg").rglob("*.py"):
        assert f'"{DESCRIBED["version"]}"' not in path.read_text(), path


def test_the_changelog_tells_of_this_version():
    headings = re.findall(r"^## (\S+)", (ROOT / "docs/changelog.md").read_text(), re.MULTILINE)
    assert headings[0] in (DESCRIBED["version"], "unreleased")
    assert DESCRIBED["version"] in headings


def test_licence_and_citation_agree():
    assert DESCRIBED["license"] == CITATION["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")
    assert CITATION["title"] == DESCRIBED["name"]
    assert CITATION["authors"]
    for key in ("cff-version", "message", "type"):
        assert CITATION[key]


def test_supported_pythons_are_said_alike():
    """In pyproject.toml, and in words in the README."""
    pattern = r"Programming Language :: Python :: (3\.\d+)"
    classified = re.findall(pattern, "\n".join(DESCRIBED["classifiers"]))
    assert DESCRIBED["requires-python"] == f">={classified[0]}"
    assert f"Python {classified[0]} to {classified[-1]}" in (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Built from the files that a wheel is made of, and no others."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("fwdecg", "jobs"):
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", out, source)
    (path,) = out.iterdir()
    return path


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory):
    """A virtual environment with the wheel, which borrows all else from that of the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)  # without pip: a second is saved
    pip("--python", folder / "bin/python", "install", "--no-deps", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "borrowed.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "bin"


def pip(*arguments):
    command = [sys.executable, "-m", "pip", *map(str, arguments)]
    environment = os.environ | {"PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def run(command, folder):
    """What a command says on stdout, run in a folder from which nothing of the checkout is seen."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(
        [*map(str, command)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_holds_the_package_and_the_jobs(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = {path for path in (ROOT / "fwdecg").rglob("*") if path.is_file()}
    jobs = {path for path in (ROOT / "jobs").iterdir() if path.suffix in (".py", ".toml")}
    files = {str(path.relative_to(ROOT)) for path in package if path.parent.name != "__pycache__"}
    assert inside == files | {f"fwdecg/jobs/{path.name}" for path in jobs}


@pytest.mark.slow
def test_the_wheel_is_what_is_imported(installed, tmp_path):
    code = "import fwdecg, sys; print(fwdecg.__file__, fwdecg.load_surrogate.__name__)"
    home, name = run([installed / "python", "-c", code], tmp_path).split()
    assert Path(home).is_relative_to(installed.parent)
    assert name == "load_surrogate"


@pytest.mark.slow
@pytest.mark.parametrize("form", [["fwdecg"], ["python", "-m", "fwdecg"]], ids=" ".join)
def test_jobs_answer_without_the_checkout(form, installed, tmp_path):
    command = [installed / form[0], *form[1:]]
    assert run([*command, "--version"], tmp_path).split() == ["fwdecg", DESCRIBED["version"]]
    said = run([*command, "--help"], tmp_path)
    for path in (ROOT / "jobs").iterdir():
        if path.suffix in (".py", ".toml"):
            assert path.name.removesuffix(".py") in said.split()
    said = run([*command, "show_library", "--help"], tmp_path)
    assert "LIBRARY" in said


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_library_is_built_without_the_checkout(installed, tmp_path):
    command = [installed / "fwdecg", "build_library", "quickstart.toml"]
    for override in ("cases=8", "recording.duration_ms=20.0", "recording.map_pixels=8"):
        command += ["--set", f"library.{override}"]
    command += ["--set", "library.recording.least_activated_fraction=0.0"]
    said = run(command, tmp_path)
    assert "8 cases, 0 quarantined" in said
    assert (tmp_path / "results/quickstart/library/manifest.json").exists()
