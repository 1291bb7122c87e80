"""Progress of long work as log lines: done, rate, expected end; the rarer the longer it takes."""

import logging
import sys
import time

SECONDS_BETWEEN_LINES = 10.0
FRACTION_BETWEEN_LINES = 0.02  # of the time so far: a day takes a few hundred lines


def log_to_stdout(name: str = "") -> None:
    """Let the lines of this package, and of it alone, appear on standard output.

    Args:
        name: of what this process works at, before each line, where several work side by side.
    """
    logger = logging.getLogger("fwdecg")
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(logging.Formatter(f"{name}: %(message)s" if name else "%(message)s"))
    logger.handlers = [handler]
    logger.setLevel(logging.INFO)
    logger.propagate = False  # Ray has handlers of its own at the root


class Progress:
    """Counts finished items and logs how far the work is."""

    def __init__(
        self, logger: logging.Logger, what: str, total: int, *, work: float | None = None
    ) -> None:
        """Start the clock.

        Args:
            logger: where the lines go.
            what: the items counted, e.g. "cases simulated".
            total: their number.
            work: what all of them take, in any unit, where some take much longer than others; by
                default all are alike.
        """
        self._logger, self._what, self._total = logger, what, total
        self._work = float(total) if work is None else work
        self._done, self._work_done = 0, 0.0
        self._started = self._last_line = time.monotonic()

    @property
    def rate(self) -> float:
        """Items per second since the start."""
        return self._done / max(time.monotonic() - self._started, 1e-9)

    @property
    def fraction_done(self) -> float:
        """What part of the items is finished."""
        return self._done / self._total if self._total else 1.0

    def advance(self, items: int, note: str = "", *, work: float | None = None) -> None:
        """Count finished items.

        Args:
            items: their number.
            note: appended to the line if one is due.
            work: what they took of the whole work, if that was given.
        """
        self._done += items
        self._work_done += items if work is None else work
        now = time.monotonic()
        finished = self._done >= self._total
        pause_s = max(SECONDS_BETWEEN_LINES, FRACTION_BETWEEN_LINES * (now - self._started))
        if finished or now - self._last_line >= pause_s:
            self._last_line = now
            self._logger.info("%s", self._line(now - self._started) + note)

    def _line(self, elapsed_s: float) -> str:
        rate = self._done / max(elapsed_s, 1e-9)
        left_s = elapsed_s * max(self._work / self._work_done - 1, 0.0)
        finished = self._done >= self._total
        ends = f"in {duration_text(elapsed_s)}" if finished else f"{duration_text(left_s)} left"
        return f"{self._done}/{self._total} {self._what}, {rate:.2f}/s, {ends}"


def duration_text(seconds: float) -> str:
    """A duration as a person says it: 42 s, 3 min 10 s, 2 h 05 min."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"
