"""The environment of numba, in new processes, because this one has compiled kernels already."""

import shutil
from pathlib import Path

import pytest

import fwdecg

PACKAGE = Path(fwdecg.__file__).parent


@pytest.fixture
def read_only_install(tmp_path):
    """Make a copy of the package in whose folders numba cannot create a cache, even as root."""
    copy = tmp_path / "fwdecg"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__", "*.safetensors"))
    for folder in (copy / "kernels", copy / "physics"):
        (folder / "__pycache__").touch()


@pytest.mark.usefixtures("read_only_install")
def test_a_read_only_install_without_home_caches_in_the_temporary_folder(run_python, tmp_path):
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    script = tmp_path / "print_cache.py"  # beside the copy, which Python therefore imports
    script.write_text(
        "from fwdecg.physics.stepping import step_row; print(step_row._cache.cache_path)"
    )
    environment = {
        "PYTHONPATH": "",
        "HOME": "/dev/null",
        "XDG_CACHE_HOME": "",
        "NUMBA_CACHE_DIR": "",
        "TMPDIR": str(temporary),
    }
    caches = {run_python(script, **environment).stdout for _ in range(2)}
    (cache,) = caches  # the same folder in every process
    assert cache.startswith(f"{temporary}/fwdecg-numba-")
    assert [path.stat().st_mode & 0o077 for path in temporary.iterdir()] == [0]


def test_a_disabled_compiler_is_switched_on_with_a_warning(run_python):
    code = "import fwdecg.physics.stepping, numba; print(numba.config.DISABLE_JIT)"
    done = run_python("-c", code, NUMBA_DISABLE_JIT="1")
    assert done.stdout == "0\n"
    assert done.stderr.startswith("warning: NUMBA_DISABLE_JIT = 1 is ignored: ")
    assert done.stderr.count("\n") == 1
