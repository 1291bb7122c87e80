import logging

import pytest

from fwdecg.runtime import progress
from fwdecg.runtime.progress import Progress, duration_text, log_to_stdout


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""

    class Clock:
        now = 0.0

    monkeypatch.setattr(progress.time, "monotonic", lambda: Clock.now)
    return Clock


def lines(caplog):
    return [record.getMessage() for record in caplog.records]


def test_a_line_contains_count_rate_and_time_left(clock, caplog):
    caplog.set_level(logging.INFO)
    work = Progress(logging.getLogger("x"), "cases simulated", 40)
    clock.now = 5.0
    work.advance(5)
    assert lines(caplog) == []  # too soon
    clock.now = 10.0
    work.advance(5, ", 1 quarantined")
    assert lines(caplog) == ["10/40 cases simulated, 1.00/s, 30 s left, 1 quarantined"]
    clock.now = 11.0
    work.advance(30)
    assert lines(caplog)[-1] == "40/40 cases simulated, 3.64/s, in 11 s"


def test_short_work_may_log_nothing(clock, caplog):
    caplog.set_level(logging.INFO)
    short = Progress(logging.getLogger("x"), "frames simulated", 2, quiet_if_short=True)
    clock.now = 5.0
    short.advance(2)
    assert lines(caplog) == []
    long = Progress(logging.getLogger("x"), "frames simulated", 2, quiet_if_short=True)
    clock.now = 16.0
    long.advance(1)
    clock.now = 17.0
    long.advance(1)
    assert lines(caplog) == [
        "1/2 frames simulated, 0.09/s, 11 s left",
        "2/2 frames simulated, 0.17/s, in 12 s",
    ]


def test_the_time_left_accounts_for_items_of_different_work(clock, caplog):
    """The first of ten items is half of the work."""
    caplog.set_level(logging.INFO)
    work = Progress(logging.getLogger("x"), "cases simulated", 10, work=18.0)
    clock.now = 20.0
    work.advance(1, work=9.0)
    assert lines(caplog) == ["1/10 cases simulated, 0.05/s, 20 s left"]
    clock.now = 40.0
    work.advance(9, work=9.0)
    assert lines(caplog)[-1] == "10/10 cases simulated, 0.25/s, in 40 s"


def test_a_day_of_work_logs_a_few_hundred_lines(clock, caplog):
    caplog.set_level(logging.INFO)
    work = Progress(logging.getLogger("x"), "cases simulated", 86_400)
    for second in range(86_400):
        clock.now = float(second)
        work.advance(1)
    assert 50 < len(lines(caplog)) < 400


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (59, "59 s"), (190, "3 min 10 s"), (7500, "2 h 05 min")],
)
def test_text_of_durations(seconds, text):
    assert duration_text(seconds) == text


@pytest.mark.parametrize(("name", "line"), [("", "3 of 4\n"), ("seed 2", "seed 2: 3 of 4\n")])
def test_lines_start_with_the_name_of_the_process(name, line, monkeypatch, capsys):
    logger = logging.getLogger("fwdecg")
    for attribute in ("handlers", "level", "propagate"):
        monkeypatch.setattr(logger, attribute, getattr(logger, attribute))
    log_to_stdout(name)
    logging.getLogger("fwdecg.here").info("%d of %d", 3, 4)
    assert capsys.readouterr().out == line
