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
    """Names of the checks, in the order of the report."""

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
        remedy: how to repair the library; empty if it cannot be repaired.
    """

    check: Check
    subject: str
    problem: str
    remedy: str = ""

    @property
    def line(self) -> str:
        """The fault as one line of text, with control characters escaped."""
        text = f"{self.subject}: {self.problem}{self.remedy and '; '}{self.remedy}"
        return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)


# A function that takes the fields of a `Fault`.
ReportFault = Callable[..., None]
# A `ReportFault` with fixed check and subject. It takes a problem and, optionally, a remedy.
ReportProblem = Callable[..., None]


def quoted(value: object) -> str:
    """Return an untrusted value as text of bounded length."""
    text = str(value)
    return text if len(text) <= LONGEST_QUOTE else f"{text[:LONGEST_QUOTE]}..."
