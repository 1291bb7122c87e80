"""The layers of the package: a folder imports only folders above it, and its own packages.

The map of the package in README lists the folders in the same order.
"""

import ast
import re
import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "fwdecg"

# Each layer, from top to bottom, with the third-party packages that it may import.
LAYERS = {
    "errors": set(),
    "shapes": {"numpy", "jaxtyping"},
    "config": set(),
    "runtime": {"pyarrow", "fsspec", "ray"},
    "kernels": {"numpy", "numba", "llvmlite", "jaxtyping"},
    "physics": {"numpy", "numba", "jaxtyping"},
    "cases": {"numpy", "scipy", "jaxtyping", "filelock", "PIL"},
    "library": {"numpy", "pyarrow", "jaxtyping", "ray"},
    "maps": {"numpy", "jaxtyping", "h5py", "vtkmodules"},
    "model": {"torch", "jaxtyping"},
    "training": {"numpy", "torch", "safetensors", "onnxruntime", "jaxtyping", "ray"},
    "pictures": {"numpy", "torch", "matplotlib", "jaxtyping"},
    "evaluation": {"numpy", "torch", "scipy", "pyarrow", "matplotlib", "jaxtyping", "ray"},
    "ablation": {"numpy", "torch", "scipy", "pyarrow", "jaxtyping"},
    "tuning": {"numpy", "scipy", "torch", "pyarrow", "jaxtyping", "ray", "optuna"},
    "benchmarks": {"numpy", "torch", "pyarrow", "jaxtyping", "ray", "finitewave"},
    "experiment": {"ray"},
    "jobs": set(),
    "__main__": set(),
}
ORDER = tuple(LAYERS)
# Layers above a folder that it must not import all the same.
FORBIDDEN = {"model": {"runtime", "physics", "cases", "library"}, "training": {"physics"}}
# The only modules outside the folders.
LOOSE_MODULES = {"__init__", "__main__", "errors", "shapes", "config"}
LARGEST_FOLDER = 16  # modules, `__init__` not counted
# The same basename in two folders would have to mean the same thing.
ALLOWED_TWICE = {"__init__"}

MODULES = sorted(PACKAGE.rglob("*.py")) + sorted((ROOT / "jobs").glob("*.py"))


def layer_of(path):
    """The layer that a file belongs to."""
    if path.parent.name == "jobs":
        return "jobs"
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports_of(path):
    """Dotted names of all modules that a file imports, at its top or inside its functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            yield node.module


@pytest.mark.parametrize("layer", ORDER)
def test_a_layer_imports_only_layers_above_it(layer):
    for path in MODULES:
        if layer_of(path) != layer:
            continue
        for name in imports_of(path):
            package, *inside = name.split(".")
            if package == "fwdecg" and inside:
                other = inside[0]
                assert ORDER.index(other) <= ORDER.index(layer), f"{path} imports {name}"
                assert other not in FORBIDDEN.get(layer, ()), f"{path} imports {name}"


@pytest.mark.parametrize("layer", ORDER)
def test_a_layer_imports_only_its_own_third_party_packages(layer):
    paths = [path for path in MODULES if layer_of(path) == layer]
    packages = {name.split(".")[0] for path in paths for name in imports_of(path)}
    assert packages - {"fwdecg"} - set(sys.stdlib_module_names) <= LAYERS[layer]


def test_no_module_imports_itself_by_way_of_others():
    """Imports for type checkers alone count as well: a circle of names is a circle of thought."""
    known = {name_of(path) for path in PACKAGE.rglob("*.py")}
    graph = {
        name_of(path): {name for name in imports_of(path) if name in known}
        for path in PACKAGE.rglob("*.py")
        if path.parent != PACKAGE or path.stem != "__init__"  # it imports what it offers lazily
    }
    list(TopologicalSorter(graph).static_order())


def name_of(path):
    """The dotted name of a module of the package."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_folder_is_a_layer_and_few_modules_are_loose():
    folders = {path.name for path in PACKAGE.iterdir() if any(path.glob("*.py"))}
    loose = {path.stem for path in PACKAGE.glob("*.py")}
    assert loose == LOOSE_MODULES
    assert folders | (loose - {"__init__"}) | {"jobs"} == set(ORDER)


def test_no_folder_is_crowded():
    sizes = Counter(path.parent for path in MODULES if path.stem != "__init__")
    assert {folder: size for folder, size in sizes.items() if size > LARGEST_FOLDER} == {}


def test_no_basename_has_two_meanings():
    names = Counter(path.stem for path in PACKAGE.rglob("*.py"))
    assert {name for name, count in names.items() if count > 1} <= ALLOWED_TWICE


def test_readme_maps_the_folders_in_order():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    (text,) = re.findall(r"^```text\n(fwdecg/\n.*?)^```$", readme, re.MULTILINE | re.DOTALL)
    shown = re.findall(r"^  (\w+)/? ", text, re.MULTILINE)
    folders = [layer for layer in ORDER if (PACKAGE / layer).is_dir()]
    assert [name for name in shown if name in folders] == folders


def test_tests_mirror_the_package():
    for folder in (path for path in PACKAGE.rglob("*") if any(path.glob("*.py"))):
        tests = ROOT / "tests" / folder.relative_to(PACKAGE)
        tested = {path.stem.removeprefix("test_") for path in tests.glob("test_*.py")}
        modules = {path.stem for path in folder.glob("*.py")}
        assert tested <= modules, f"{tests}: {tested - modules} test no module"
