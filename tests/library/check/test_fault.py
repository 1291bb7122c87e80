"""Untrusted text in the lines of a report."""

from fwdecg.library.check.fault import LONGEST_QUOTE, Check, Fault, quoted


def test_a_line_escapes_control_characters():
    fault = Fault(Check.FILES, "a\x1b[2J", "has\na line break", "replace it")
    assert fault.line == r"a\x1b[2J: has\na line break; replace it"


def test_a_quote_is_short():
    assert len(quoted("x" * 10**6)) == LONGEST_QUOTE + 3
