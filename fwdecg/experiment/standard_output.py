"""Standard output of a job that may be closed, full, or unable to show a character."""

import codecs
import contextlib
import os
import sys
import threading
from _thread import interrupt_main
from collections.abc import Iterator
from typing import Any

SPELL_OUT = "fwdecg.spell_out"
_SPELLED = {"±": "+-"}  # all other characters become their Unicode escape


class Output:
    """A text stream that ends the job like Ctrl-C once it can no longer be written.

    An `OSError` would be mistaken for a failure of the storage, and logging would print it as a
    traceback and go on.

    Attributes:
        lost: the error that made the stream unusable, or None.
    """

    def __init__(self, stream: Any) -> None:
        """Wrap a text stream."""
        self._stream = stream
        self.lost: OSError | None = None

    def write(self, text: str) -> int:
        """Write text; raise `KeyboardInterrupt` in the main thread if that fails."""
        try:
            return self._stream.write(text)
        except OSError as error:
            self._end_job(error)
            return len(text)

    def flush(self) -> None:
        """Flush the stream; raise `KeyboardInterrupt` in the main thread if that fails."""
        try:
            self._stream.flush()
        except OSError as error:
            self._end_job(error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def _end_job(self, error: OSError) -> None:
        self.lost = error
        discard(self._stream)
        if threading.current_thread() is threading.main_thread():
            raise KeyboardInterrupt from error
        interrupt_main()


@contextlib.contextmanager
def guarded_output() -> Iterator[Output]:
    """Replace `sys.stdout` by an `Output`, and open `os.devnull` for streams that are closed."""
    _open_missing_streams()
    stream = sys.stdout
    encoding = getattr(stream, "encoding", None) or "utf-8"
    if codecs.lookup(encoding).name != "utf-8" and hasattr(stream, "reconfigure"):
        codecs.register_error(SPELL_OUT, _spell_out)
        stream.reconfigure(errors=SPELL_OUT)
    output = Output(stream)
    sys.stdout = output
    try:
        yield output
    finally:
        sys.stdout = stream


def print_on_stderr(text: str) -> None:
    """Print a line on standard error, if it can be written."""
    try:
        print(text, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        discard(sys.stderr)


def discard(stream: Any) -> None:
    """Redirect a stream to `os.devnull`, or the interpreter would fail to flush it at its end."""
    with contextlib.suppress(OSError, ValueError):  # a stream of a test has no file descriptor
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _open_missing_streams() -> None:
    """Open standard streams that the parent process closed.

    Otherwise the next file that the job opens would take the number of the closed stream, and child
    processes would print into it.
    """
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115, PTH123


def _spell_out(error: UnicodeError) -> tuple[str, int]:
    """Return ASCII text for the characters that the stream cannot encode."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    characters = error.object[error.start : error.end]
    spelled = (_SPELLED.get(c, c.encode("ascii", "backslashreplace").decode()) for c in characters)
    return "".join(spelled), error.end
