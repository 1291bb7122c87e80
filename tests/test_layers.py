"""Imports run one way: each room knows the rooms left of it, and its own third-party packages.

The map of rooms in README says the same.
"""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fwdecg"

# A module's room is its folder; those at the top are rooms of their own.
ORDER = (
    "errors",
    "shapes",
    "progress",
    "cost",
    "telemetry",
    "config",
    "storage",
    "claim",
    "nodes",
    "kernels",
    "physics",
    "library",
    "model",
    "training",
    "evaluation",
    "studies",
    "command",
    "jobs",
    "__main__",
)
# Rooms right of others that they must not know all the same.
FORBIDDEN = {"model": {"physics", "library", "storage"}, "training": {"physics"}}
# Of the library, training knows only how to read it, and what it was asked to be.
LIBRARY_FOR_TRAINING = {"config", "layout", "reader", "dataset", "schema", "splits"}

THIRD_PARTY = {
    "errors": set(),
    "shapes": {"numpy", "jaxtyping"},
    "progress": set(),
    "cost": set(),
    "telemetry": {"ray"},
    "config": set(),
    "storage": {"pyarrow", "fsspec"},
    "claim": set(),
    "nodes": {"ray"},
    "kernels": {"numpy", "numba", "llvmlite", "jaxtyping"},
    "physics": {"numpy", "numba", "jaxtyping"},
    "library": {"numpy", "pyarrow", "scipy", "jaxtyping", "filelock", "ray"},
    "model": {"torch", "jaxtyping"},
    "training": {"numpy", "torch", "safetensors", "onnxruntime", "jaxtyping", "ray"},
    "evaluation": {"numpy", "torch", "scipy", "pyarrow", "matplotlib", "jaxtyping", "ray"},
    "studies": {
        "numpy",
        "scipy",
        "torch",
        "pyarrow",
        "matplotlib",
        "jaxtyping",
        "ray",
        "optuna",
        "finitewave",
    },
    "command": {"ray"},
    "jobs": set(),
    "__main__": set(),
}
RAY_MODULES = {
    "telemetry.py",
    "nodes.py",
    "library/fanout.py",
    "library/dataset.py",
    "training/trainer.py",
    "studies/shared_splits.py",
    "studies/search_benchmark.py",
    "studies/sweep.py",
    "studies/trial.py",
    "evaluation/prediction_actors.py",
    "command.py",
}

# Those that the map names, for they decide where a room can run.
WEIGHTY = {"numba", "pyarrow", "torch", "matplotlib", "ray"}

README = (ROOT / "README.md").read_text(encoding="utf-8")

MODULES = sorted(PACKAGE.rglob("*.py")) + sorted((ROOT / "jobs").glob("*.py"))
NAMES = [str(path.relative_to(ROOT)) for path in MODULES]


def room_of(path):
    if path.parent.name == "jobs":
        return "jobs"
    inside = path.relative_to(PACKAGE).parts
    return inside[0].removesuffix(".py")


def imports_of(path):
    """Dotted names of all modules a file imports, at its top or inside its functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_imports_run_leftward(path):
    room = room_of(path)
    if (
        room == "__init__"
    ):  # imports what it offers when that is asked for, see tests/jobs/test_help
        return
    for name in imports_of(path):
        parts = name.split(".")
        if parts[0] != "fwdecg":
            continue
        other = parts[1]
        assert ORDER.index(other) <= ORDER.index(room), f"{room} imports {name}"
        assert other not in FORBIDDEN.get(room, ()), f"{room} imports {name}"
        if room == "training" and other == "library":
            assert parts[2] in LIBRARY_FOR_TRAINING, f"training imports {name}"


@pytest.mark.parametrize("path", MODULES, ids=NAMES)
def test_third_party_packages_stay_in_their_rooms(path):
    room = room_of(path)
    packages = {name.split(".")[0] for name in imports_of(path)}
    foreign = packages - {"fwdecg"} - set(sys.stdlib_module_names)
    assert foreign <= THIRD_PARTY.get(room, set())
    if "ray" in foreign:
        assert str(path.relative_to(PACKAGE)) in RAY_MODULES


def test_every_room_is_in_the_table():
    rooms = {room_of(path) for path in MODULES} - {"__init__"}
    assert rooms == set(ORDER) == set(THIRD_PARTY)


def map_of_rooms():
    """Path, purpose and packages of each line of README's map, from its top to its bottom."""
    (text,) = re.findall(r"^## Rooms$.*?^```text\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
    folder = Path()
    for line in text.splitlines():
        words = re.fullmatch(r"( *)([\w/]+)(?: {2,}(.+?))?(?: {2,}\((.+)\))?", line)
        assert words, line
        indent, name, purpose, packages = words.groups()
        if indent:
            yield folder / name, purpose, packages
        else:
            folder = Path(name)
            if purpose:
                yield folder, purpose, packages


def test_the_map_shows_every_room_in_order():
    rooms = [path.name for path, _, _ in map_of_rooms() if path.name in ORDER]
    assert rooms == list(ORDER)


def test_what_the_map_shows_exists_and_has_a_purpose():
    shown = list(map_of_rooms())
    for path, purpose, _ in shown:
        assert purpose
        assert (ROOT / path).is_dir() or (ROOT / path).with_suffix(".py").is_file(), path
    visible = {path for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."}
    kept = {path.name for path in visible if any(path.rglob("*.py")) or path.name == "docs"}
    assert {path.parts[0] for path, _, _ in shown} >= kept - {"build"}


def test_the_map_names_the_packages_of_each_room():
    used = {room: set() for room in ORDER}
    for path in MODULES:
        if room_of(path) in used:
            used[room_of(path)] |= {name.split(".")[0] for name in imports_of(path)} & WEIGHTY
    for path, _, packages in map_of_rooms():
        if path.name in ORDER:
            assert set((packages or "").lower().split(", ")) - {""} == used[path.name], path


def test_the_map_says_what_else_is_forbidden():
    said = re.findall(r"`(\w+)` (?:knows )?nothing of ((?:(?:, | and )?`\w+`)+)", README)
    assert {room: set(re.findall(r"\w+", others)) - {"and"} for room, others in said} == FORBIDDEN


def test_tests_mirror_the_rooms():
    for folder in ("kernels", "physics", "library", "model", "training", "evaluation", "studies"):
        tested = {
            path.name.removeprefix("test_") for path in (ROOT / "tests" / folder).glob("test_*")
        }
        modules = {path.name for path in (PACKAGE / folder).glob("*.py")} - {"__init__.py"}
        assert tested <= modules, f"{folder}: {tested - modules} test no module"
