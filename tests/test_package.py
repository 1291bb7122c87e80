"""Package metadata, and a wheel that works without the checkout."""

import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
import yaml

import fwdecg

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
METADATA = PROJECT["project"]
CITATION = yaml.safe_load((ROOT / "CITATION.cff").read_text())


def test_every_folder_is_packaged():
    """Only wheels would lack a folder that the list omits; no other test would notice."""
    folders = {path.parent for path in (ROOT / "fwdecg").rglob("*.py")}
    packed = {str(folder.relative_to(ROOT)).replace("/", ".") for folder in folders}
    assert set(PROJECT["tool"]["setuptools"]["packages"]) == packed | {"fwdecg.jobs"}


def test_the_version_is_defined_once():
    assert fwdecg.__version__ == METADATA["version"]
    assert "version" not in CITATION
    for path in (ROOT / "fwdecg").rglob("*.py"):
        assert f'"{METADATA["version"]}"' not in path.read_text(), path


def test_the_changelog_has_an_entry_for_the_version():
    headings = re.findall(r"^## (\S+)", (ROOT / "docs/changelog.md").read_text(), re.MULTILINE)
    assert headings[0] in (METADATA["version"], "unreleased")
    assert METADATA["version"] in headings


def test_licence_and_citation_agree():
    assert METADATA["license"] == CITATION["license"] == "MIT"
    assert (ROOT / "LICENSE").read_text().startswith("MIT License\n")
    assert CITATION["title"] == METADATA["name"]
    assert CITATION["authors"]
    for key in ("cff-version", "message", "type"):
        assert CITATION[key]


def test_pyproject_and_readme_name_the_same_python_versions():
    pattern = r"Programming Language :: Python :: (3\.\d+)"
    classified = re.findall(pattern, "\n".join(METADATA["classifiers"]))
    assert METADATA["requires-python"] == f">={classified[0]}"
    assert f"Python {classified[0]} to {classified[-1]}" in (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build a wheel from a copy that contains only the packaged files."""
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
    """Install the wheel in a virtual environment that shares all other packages with the tests."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder)  # without pip, which saves a second
    pip("--python", folder / "bin/python", "install", "--no-deps", wheel)
    (packages,) = folder.glob("lib/python*/site-packages")
    (packages / "shared.pth").write_text(f"{sysconfig.get_path('purelib')}\n")
    return folder / "bin"


def pip(*arguments):
    run([sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments], ROOT)


def run(command, folder):
    """Run a command without the checkout in the import path and return its standard output."""
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    words = [str(word) for word in command]
    done = subprocess.run(
        words, cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_wheel_contains_the_package_and_the_jobs(wheel):
    inside = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    package = {path for path in (ROOT / "fwdecg").rglob("*") if path.is_file()}
    jobs = {path for path in (ROOT / "jobs").iterdir() if path.suffix in (".py", ".toml")}
    files = {str(path.relative_to(ROOT)) for path in package if path.parent.name != "__pycache__"}
    assert inside == files | {f"fwdecg/jobs/{path.name}" for path in jobs}


@pytest.mark.slow
def test_the_installed_wheel_is_imported(installed, tmp_path):
    code = "import fwdecg, sys; print(fwdecg.__file__, fwdecg.load_surrogate.__name__)"
    home, name = run([installed / "python", "-c", code], tmp_path).split()
    assert Path(home).is_relative_to(installed.parent)
    assert name == "load_surrogate"


@pytest.mark.slow
@pytest.mark.parametrize("form", [["fwdecg"], ["python", "-m", "fwdecg"]], ids=" ".join)
def test_jobs_run_without_the_checkout(form, installed, tmp_path):
    command = [installed / form[0], *form[1:]]
    assert run([*command, "--version"], tmp_path).split() == ["fwdecg", METADATA["version"]]
    text = run([*command, "--help"], tmp_path)
    for path in (ROOT / "jobs").iterdir():
        if path.suffix in (".py", ".toml"):
            assert path.name.removesuffix(".py") in text.split()
    assert "LIBRARY" in run([*command, "show_library", "--help"], tmp_path)


@pytest.mark.slow
@pytest.mark.ray
@pytest.mark.timeout(300)
def test_a_library_is_built_without_the_checkout(installed, tmp_path):
    command = [installed / "fwdecg", "build_library", "quickstart.toml"]
    for override in ("cases=8", "recording.duration_ms=20.0", "recording.map_pixels=8"):
        command += ["--set", f"library.{override}"]
    command += ["--set", "library.recording.least_activated_fraction=0.0"]
    assert "8 cases, 0 quarantined" in run(command, tmp_path)
    assert (tmp_path / "results/quickstart/library/manifest.json").exists()
