"""Interleave the measurements so that drift in machine load affects every candidate equally."""

from collections.abc import Callable, Mapping
from typing import TypeVar

Name = TypeVar("Name")
Value = TypeVar("Value")


def interleave(
    measurements: Mapping[Name, Callable[[], Value]], rounds: int
) -> dict[Name, list[Value]]:
    """Return the values of each measurement, one per round.

    Args:
        measurements: functions by name; each round calls all of them once, in this order.
        rounds: number of rounds.
    """
    values: dict[Name, list[Value]] = {name: [] for name in measurements}
    for _ in range(rounds):
        for name, measure in measurements.items():
            values[name].append(measure())
    return values
