"""Settings and results of trials as text, for the log and for reports."""

from collections.abc import Mapping
from typing import Any


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings in a line."""
    return ", ".join(f"{short_name(n)} {value_text(v)}" for n, v in settings.items())


def short_name(name: str) -> str:
    """The last part of a dotted name."""
    return name.rpartition(".")[2]


def value_text(value: Any) -> str:
    """A value as a table has it."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def r2_text(r2: float) -> str:
    """An R^2 with four decimals; a very bad one with few digits."""
    return f"{r2:.4f}" if r2 > -10 else f"{r2:.2g}"
