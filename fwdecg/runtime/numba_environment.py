"""Environment of numba: a writable folder for its machine code, and a compiler that is switched on.

numba reads these variables when it is imported, and fails on import of the kernels if they do not
suit. The package therefore sets them before any of its modules imports numba.
"""

import os
import sys
import tempfile
from pathlib import Path

CACHE_VARIABLE, DISABLE_VARIABLE = "NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT"

_PACKAGE = Path(__file__).parents[1]
_COMPILED_FOLDERS = ("kernels", "physics")


def prepare_numba() -> None:
    """Choose a temporary cache if numba finds no writable one, and ignore NUMBA_DISABLE_JIT."""
    if os.environ.get(DISABLE_VARIABLE, "0") not in ("", "0"):
        print(  # noqa: T201  # jobs configure logging and warnings only later
            f"warning: {DISABLE_VARIABLE} = {os.environ[DISABLE_VARIABLE]} is ignored: without "
            "compilation a single case would take hours; unset it",
            file=sys.stderr,
        )
        _set(DISABLE_VARIABLE, "0")
    if not _numba_finds_a_cache():
        folder = _temporary_cache()
        if folder is not None:
            _set(CACHE_VARIABLE, str(folder))


def _set(variable: str, value: str) -> None:
    """Set a variable for child processes, and for numba if the program has imported it already."""
    os.environ[variable] = value
    if "numba" in sys.modules:
        name, plain = variable.removeprefix("NUMBA_"), int(value) if value.isdecimal() else value
        setattr(sys.modules["numba"].config, name, plain)


def _numba_finds_a_cache() -> bool:
    """Return whether a folder that numba tries is writable: the user's, the source's, or HOME's."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen and _is_writable(Path(chosen)):
        return True
    beside_sources = (_PACKAGE / folder / "__pycache__" for folder in _COMPILED_FOLDERS)
    if all(map(_is_writable, beside_sources)):
        return True
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")  # noqa: PTH111
    return _is_writable(Path(home) / "numba")


def _is_writable(folder: Path) -> bool:
    """Return whether this process can write into a folder, or create it."""
    existing = folder.absolute()
    while not os.path.lexists(existing):
        existing = existing.parent
    return existing.is_dir() and os.access(existing, os.W_OK | os.X_OK)


def _temporary_cache() -> Path | None:
    """Return a folder for this user alone, because numba runs what it reads from its cache.

    Returns:
        The same folder in every process, so that code is compiled once; another one if somebody
        else has taken its name; None if there is no writable temporary folder.
    """
    try:
        folder = Path(tempfile.gettempdir()) / f"fwdecg-numba-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            return Path(tempfile.mkdtemp(prefix="fwdecg-numba-"))
    except FileExistsError:
        return Path(tempfile.mkdtemp(prefix="fwdecg-numba-"))
    except OSError:
        return None
    return folder
