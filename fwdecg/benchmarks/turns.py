"""What is compared is measured in turn, so that a machine's moods meet all alike."""

from collections.abc import Callable, Mapping
from typing import TypeVar

Name = TypeVar("Name")
Found = TypeVar("Found")


def in_turns(measures: Mapping[Name, Callable[[], Found]], turns: int) -> dict[Name, list[Found]]:
    """What each measure found in each turn.

    Args:
        measures: by name; all are taken in every turn, in this order.
        turns: their number.
    """
    found: dict[Name, list[Found]] = {name: [] for name in measures}
    for _ in range(turns):
        for name, measure in measures.items():
            found[name].append(measure())
    return found
