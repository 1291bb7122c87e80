"""The space of a hyperparameter search: which keys of a preset vary, and over which values.

In a preset a key of [tuning.space] names a key of [model] or [training], and its table one kind:
`choice = [...]`, `uniform = [low, high]`, `loguniform = [low, high]` or `integer = [low, high]`.
Ranges hold both their ends.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fwdecg.errors import ConfigError

CHOICE, UNIFORM, LOGUNIFORM, INTEGER = KINDS = ("choice", "uniform", "loguniform", "integer")
DIGITS = 4  # of a drawn number: a preset stays readable, and no training hangs on a fifth
INTEGERS_CHECKED = 1000  # of a wider range only the ends are tried on the configurations

# Values of the varied keys, by their dotted names.
Settings = dict[str, Any]


@dataclass(frozen=True)
class Dimension:
    """One key that varies.

    Attributes:
        name: dotted, e.g. "model.hidden_size".
        kind: one of `KINDS`.
        values: the choices, or low and high end.
    """

    name: str
    kind: str
    values: tuple[Any, ...]

    @property
    def size(self) -> float:
        """Number of different values; infinite for a range of real numbers."""
        if self.kind == CHOICE:
            return len(self.values)
        low, high = self.values
        return high - low + 1 if self.kind == INTEGER else math.inf

    def draw(self, rng: np.random.Generator) -> Any:
        """A value at random."""
        if self.kind == CHOICE:
            return self.values[int(rng.integers(len(self.values)))]
        low, high = self.values
        if self.kind == INTEGER:
            return int(rng.integers(low, high, endpoint=True))
        if self.kind == UNIFORM:
            return self.rounded(rng.uniform(low, high))
        return self.rounded(math.exp(rng.uniform(math.log(low), math.log(high))))

    def rounded(self, value: float) -> float:
        """A number of a range with few digits, still inside it."""
        low, high = self.values
        return min(max(float(f"{value:.{DIGITS}g}"), low), high)

    def trials(self) -> Sequence[Any]:
        """The values that tell whether all others are acceptable."""
        if self.kind == INTEGER and self.size <= INTEGERS_CHECKED:
            return range(self.values[0], self.values[1] + 1)
        return self.values

    def scale(self, value: Any) -> float:
        """Where a value lies on an axis on which the draws are uniform."""
        if self.kind == CHOICE:
            return float(self.values.index(value))
        return math.log(value) if self.kind == LOGUNIFORM else float(value)


def read_space(table: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """The dimensions of [tuning.space], in its order; names may be quoted or nested.

    Raises:
        ConfigError: a dimension is not of exactly one kind, or its values do not suit the kind.
    """
    named = dict(_flat(table, ""))
    return tuple(_dimension(name, described) for name, described in named.items())


def check_space(space: Sequence[Dimension], accept: Callable[[Settings], object]) -> None:
    """Raise `ConfigError` if a value of some dimension is none that its key can have.

    Args:
        space: the dimensions.
        accept: makes configurations of settings, or raises `ConfigError`.
    """
    if not space:
        raise ConfigError(
            "tuning.space is empty; name at least one key that varies, as in "
            '"model.hidden_size" = {choice = [64, 128]}'
        )
    for dimension in space:
        for value in dimension.trials():
            try:
                accept({dimension.name: value})
            except ConfigError as error:
                raise ConfigError(f"tuning.space: {error}") from error


# Draws in a row that bring nothing new, after which there is taken to be nothing new.
MOST_REPEATS = 10_000


def draw_settings(space: Sequence[Dimension], seed: int, count: int) -> list[Settings]:
    """Settings drawn at random, no two alike; those of a larger count begin with these.

    Raises:
        ConfigError: the space has fewer.
    """
    size = math.prod(dimension.size for dimension in space)
    if count > size:
        raise ConfigError(
            f"tuning.trials = {count}: must be at most {size:g}, the number of different settings "
            "in tuning.space; lower it or widen the space"
        )
    rng = np.random.default_rng(seed)
    drawn: dict[str, Settings] = {}
    repeats = 0
    while len(drawn) < count:
        if repeats > MOST_REPEATS:
            raise ConfigError(
                f"tuning.trials = {count}: only {len(drawn)} different settings could be drawn; "
                "lower it or widen tuning.space"
            )
        settings = {dimension.name: dimension.draw(rng) for dimension in space}
        known = len(drawn)
        drawn.setdefault(json.dumps(settings), settings)
        repeats = repeats + 1 if len(drawn) == known else 0
    return list(drawn.values())


def _flat(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Dotted names and what stands beside them, whether TOML had them quoted or nested."""
    for key, value in table.items():
        if isinstance(value, dict) and value and not set(value) & set(KINDS):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _dimension(name: str, described: Any) -> Dimension:
    place = f"tuning.space.{name} = {described!r}"
    if not isinstance(described, dict) or len(described) != 1 or not set(described) <= set(KINDS):
        raise ConfigError(f"{place}: must be a table with one of {', '.join(KINDS)}")
    ((kind, values),) = described.items()
    if not isinstance(values, list):
        raise ConfigError(f"{place}: {kind} must be a list")
    complaint = _complaint(kind, values)
    if complaint:
        raise ConfigError(f"{place}: {complaint}")
    if kind in (UNIFORM, LOGUNIFORM):
        values = [float(value) for value in values]
    return Dimension(name, kind, tuple(values))


def _complaint(kind: str, values: list[Any]) -> str | None:
    if kind == CHOICE:
        distinct = {json.dumps(value, default=str) for value in values}
        return None if len(distinct) == len(values) > 0 else "must have values, all different"
    if len(values) != 2 or not all(type(value) in (int, float) for value in values):
        return f"{kind} must be two numbers, [low, high]"
    if kind == INTEGER and not all(type(value) is int for value in values):
        return "integer must be two whole numbers"
    if not all(math.isfinite(value) for value in values) or not values[0] < values[1]:
        return "a range must run from low to high"
    return "low must be above 0" if kind == LOGUNIFORM and values[0] <= 0 else None
