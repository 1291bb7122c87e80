"""A fault: one thing that is wrong with a library, where, and what helps."""

from collections.abc import Generator, Iterator
from enum import StrEnum
from typing import NamedTuple, TypeVar

T = TypeVar("T")

REBUILD = "delete it and build the library again: the other parts are kept"
LONGEST_TEXT = 300  # characters of what a file says about itself


class Check(StrEnum):
    """What a fault was found in."""

    DESCRIPTIONS = "descriptions"
    FILES = "files"
    SCHEMA = "schema"
    VALUES = "values"
    DRAWS = "draws"
    CASES = "cases"
    SPLITS = "splits"
    STATISTICS = "statistics"
    SIMULATION = "re-simulation"


class Fault(NamedTuple):
    """One thing that is wrong.

    Attributes:
        check: that found it.
        subject: the file or the case.
        problem: what is wrong, and what was expected.
        remedy: what helps; empty if nothing but another library does.
    """

    check: Check
    subject: str
    problem: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """The fault in one line; control characters from a foreign file are spelled out."""
        text = f"{self.subject}: {self.problem}"
        return printable(f"{text}; {self.remedy}" if self.remedy else text)


def printable(text: str) -> str:
    """A text in one line that does nothing to a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


def quoted(value: object) -> str:
    """A foreign value in words of bounded length."""
    text = str(value)
    return text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."


def faults_at(check: Check, subject: str, problems: Iterator[str]) -> Iterator[Fault]:
    """The faults of one file or case."""
    return (Fault(check, subject, problem) for problem in problems)


def collect(check: Generator[Fault, None, T], into: list[Fault]) -> T:
    """What a check returns; the faults that it yields are appended to `into`."""
    while True:
        try:
            into.append(next(check))
        except StopIteration as end:
            return end.value
