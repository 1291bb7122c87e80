"""Progress of long-running work as log lines: items done, rate and expected time left."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

SECONDS_BETWEEN_LINES = 10.0
# The pause also grows with the elapsed time, so that a day of work logs only a few hundred lines.
FRACTION_BETWEEN_LINES = 0.02


def log_to_stdout(name: str = "") -> None:
    """Print the log of this package on standard output, without the logs of other packages.

    Args:
        name: prefix of each line. It identifies the process where several share one output.
    """
    logger = logging.getLogger("fwdecg")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(f"{name}: %(message)s" if name else "%(message)s"))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False  # Ray installs handlers on the root logger


@contextmanager
def lines_on_stderr() -> Iterator[None]:
    """Print the log of this package on standard error unless the program handles it already."""
    logger = logging.getLogger("fwdecg")
    if logger.hasHandlers():
        yield
        return
    handler, level = logging.StreamHandler(), logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)


class Progress:
    """Count finished items and log the progress."""

    def __init__(
        self,
        logger: logging.Logger,
        items: str,
        total: int,
        *,
        work: float | None = None,
        quiet_if_short: bool = False,
    ) -> None:
        """Start the clock.

        Args:
            logger: logger that receives the lines.
            items: name of the counted items, for example "cases simulated".
            total: number of items.
            work: total work in any unit. Give it if items take different times, so that the time
                left is estimated from the work. By default all items count equally.
            quiet_if_short: whether to log nothing if all items finish before a line is due.
        """
        self._logger, self._items, self._total = logger, items, total
        self._work = float(total) if work is None else work
        self._done, self._work_done = 0, 0.0
        self._may_wait_at_end = quiet_if_short
        self._started = self._last_line = time.monotonic()

    @property
    def rate(self) -> float:
        """Finished items per second since the start."""
        return self._done / max(time.monotonic() - self._started, 1e-9)

    @property
    def fraction_done(self) -> float:
        """Fraction of the items that are finished."""
        return self._done / self._total if self._total else 1.0

    def advance(self, items: int, note: str = "", *, work: float | None = None) -> None:
        """Count finished items and log a line if one is due.

        Args:
            items: number of newly finished items.
            note: text appended to the line.
            work: work of these items, in the unit of the total work.
        """
        self._done += items
        self._work_done += items if work is None else work
        now = time.monotonic()
        elapsed_s = now - self._started
        finished = self._done >= self._total
        pause_s = max(SECONDS_BETWEEN_LINES, FRACTION_BETWEEN_LINES * elapsed_s)
        if now - self._last_line < pause_s and (not finished or self._may_wait_at_end):
            return
        self._may_wait_at_end = False
        self._last_line = now
        left_s = elapsed_s * max(self._work / self._work_done - 1, 0.0)
        end = f"in {duration_text(elapsed_s)}" if finished else f"{duration_text(left_s)} left"
        counts = f"{self._done}/{self._total} {self._items}"
        self._logger.info("%s, %.2f/s, %s%s", counts, self.rate, end, note)


def duration_text(seconds: float) -> str:
    """Return a duration as text: "42 s", "3 min 10 s" or "2 h 05 min"."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
