"""Faults of a library, and how a check reports them."""

from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

import pyarrow as pa

from fwdecg.errors import FwdEcgError

# Exceptions that damaged content raises in pyarrow, in Ray Data's extension types and in Python's
# decoders.
DAMAGE = (OSError, pa.ArrowException, ValueError, RecursionError, FwdEcgError)

REBUILD = "delete it and build the library again; the build keeps the other parts"
LONGEST_QUOTE = 300  # characters quoted from an untrusted file


class Check(StrEnum):
    """The checks, in the order of the report."""

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
    """One fault of a library.

    Attributes:
        check: check that found the fault.
        subject: faulty file or case.
        problem: found and expected values.
        remedy: how to repair the library; empty if only another library helps.
    """

    check: Check
    subject: str
    problem: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """The fault as one line of text, with control characters escaped."""
        text = f"{self.subject}: {self.problem}"
        return _escape(f"{text}; {self.remedy}" if self.remedy else text)


ReportFault = Callable[[Fault], None]
ReportProblem = Callable[[str], None]


def reporter(check: Check, subject: str, report: ReportFault) -> ReportProblem:
    """Return a callback that reports the problems of one file or case as faults."""
    return lambda problem: report(Fault(check, subject, problem))


def quoted(value: object) -> str:
    """Return an untrusted value as text of bounded length."""
    text = str(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."


def _escape(text: str) -> str:
    """Return a text on one line, without characters that control a terminal."""
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
