"""The image installs fwdecg like the README does, and does not run as root."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


@pytest.fixture(scope="module")
def steps():
    """Instruction and argument of each Dockerfile step."""
    text = (ROOT / "cluster/Dockerfile").read_text()
    lines = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    joined = re.sub(r"\s*\\\n\s*", " ", lines)
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line]


def test_the_install_step_equals_the_readmes(steps):
    command = next(line for line in README.splitlines() if line.startswith("python3 -m venv"))
    install = " && ".join(command.split(" && ")[:2])
    assert install == "python3 -m venv .venv && .venv/bin/pip install -c constraints.txt -e ."
    assert ("RUN", install) in steps


def test_every_package_has_the_tested_version(steps):
    for instruction, argument in steps:
        if instruction == "RUN":
            assert argument.count("pip install") == argument.count("-c constraints.txt")
    constraints = (ROOT / "constraints.txt").read_text()
    for package in ("torch", "boto3", "ray"):
        assert re.search(rf"^{package}==", constraints, re.MULTILINE)


def test_copied_files_exist_and_are_not_ignored(steps):
    ignore = ROOT / "cluster/Dockerfile.dockerignore"
    not_ignored = {line[1:] for line in ignore.read_text().splitlines() if line.startswith("!")}
    copied = set()
    for instruction, argument in steps:
        if instruction == "COPY":
            copied |= set(argument.split()[:-1])
    assert copied == not_ignored
    for name in copied:
        assert (ROOT / name).exists()


def test_nothing_is_installed_as_root_after_the_user_changes(steps):
    assert steps[-1] == ("USER", "1000")
    assert [argument for instruction, argument in steps if instruction == "USER"] == ["1000"]


def test_cpu_and_cuda_differ_by_one_argument(steps):
    assert [argument for instruction, argument in steps if instruction == "ARG"] == ["DEVICE=cpu"]
