"""Environment of numba: a writable folder for its machine code, and a compiler that is switched on.

numba reads these variables when it is imported, and the import of the kernels fails if they do not
suit. The package therefore sets them before any of its modules imports numba. Every `import fwdecg`
runs this module, so it imports only what Python has loaded anyway; `pathlib` is not among it.
"""

import os
import sys

CACHE_VARIABLE, DISABLE_VARIABLE = "NUMBA_CACHE_DIR", "NUMBA_DISABLE_JIT"

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_COMPILED_FOLDERS = ("kernels", "physics")


def prepare_numba() -> None:
    """Choose a temporary cache if numba finds no writable one, and ignore NUMBA_DISABLE_JIT."""
    if os.environ.get(DISABLE_VARIABLE, "0") not in ("", "0"):
        print(  # noqa: T201  # a job sets up its logging only later
            f"warning: {DISABLE_VARIABLE} = {os.environ[DISABLE_VARIABLE]} is ignored: without "
            "compilation a single case would take hours; unset it",
            file=sys.stderr,
        )
        _set(DISABLE_VARIABLE, "0", in_numba=0)
    if not _numba_finds_a_cache():
        folder = _temporary_cache()
        if folder is not None:
            _set(CACHE_VARIABLE, folder, in_numba=folder)


def _set(variable: str, value: str, *, in_numba: int | str) -> None:
    """Set a variable for child processes, and for numba if the program has imported it already."""
    os.environ[variable] = value
    if "numba" in sys.modules:
        setattr(sys.modules["numba"].config, variable.removeprefix("NUMBA_"), in_numba)


def _numba_finds_a_cache() -> bool:
    """Return whether a folder that numba tries is writable: the user's, the source's, or HOME's."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen and _is_writable(chosen):
        return True
    if all(_is_writable(f"{_PACKAGE}/{folder}/__pycache__") for folder in _COMPILED_FOLDERS):
        return True
    caches = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return _is_writable(f"{caches}/numba")


def _is_writable(folder: str) -> bool:
    """Return whether this process can write into a folder, or create it."""
    existing = os.path.abspath(folder)
    while not os.path.lexists(existing):
        existing = os.path.dirname(existing)
    return os.path.isdir(existing) and os.access(existing, os.W_OK | os.X_OK)


def _temporary_cache() -> str | None:
    """Return a folder for this user alone, because numba executes what it reads from its cache.

    Returns:
        The same folder in every process, so that code is compiled once; another one if somebody
        else has taken its name; None if there is no writable temporary folder.
    """
    import tempfile  # noqa: PLC0415  # few installations need it

    try:
        folder = f"{tempfile.gettempdir()}/fwdecg-numba-{os.getuid()}"
        try:
            os.mkdir(folder, mode=0o700)
        except FileExistsError:
            status = os.lstat(folder)
            if not os.path.isdir(folder) or os.path.islink(folder) or status.st_uid != os.getuid():
                return tempfile.mkdtemp(prefix="fwdecg-numba-")
    except OSError:
        return None
    return folder
