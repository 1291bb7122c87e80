"""The search space: which keys of a recipe vary, and over which values.

In a preset a key of [tuning.space] names a key of [model] or [training]. Its value is a table with
one entry: `choice = [...]`, `uniform = [low, high]`, `loguniform = [low, high]` or
`integer = [low, high]`. Ranges include both ends.
"""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from fwdecg.errors import ConfigError

CHOICE, UNIFORM, LOGUNIFORM, INTEGER = KINDS = ("choice", "uniform", "loguniform", "integer")
DIGITS = 4  # significant digits of a drawn number: no training depends on a fifth
MAX_CHECKED_INTEGERS = 1000  # in a wider integer range only the ends are checked
MAX_REPEATED_DRAWS = 10_000  # consecutive repeats after which the space counts as exhausted

# Values of the varied keys, by dotted name.
Settings = dict[str, Any]


@dataclass(frozen=True)
class Dimension:
    """One key that varies.

    Attributes:
        name: dotted name of the key, e.g. "model.hidden_size".
        kind: one of `KINDS`.
        values: the choices, or the low and the high end of the range.
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
        """Draw a random value."""
        if self.kind == CHOICE:
            return self.values[int(rng.integers(len(self.values)))]
        low, high = self.values
        if self.kind == INTEGER:
            return int(rng.integers(low, high, endpoint=True))
        if self.kind == UNIFORM:
            return self.rounded(rng.uniform(low, high))
        return self.rounded(math.exp(rng.uniform(math.log(low), math.log(high))))

    def rounded(self, value: float) -> float:
        """Round a real number to `DIGITS` significant digits, but keep it inside the range."""
        low, high = self.values
        return min(max(float(f"{value:.{DIGITS}g}"), low), high)

    def values_to_check(self) -> Sequence[Any]:
        """Return the values that are checked before a search starts."""
        if self.kind == INTEGER and self.size <= MAX_CHECKED_INTEGERS:
            return range(self.values[0], self.values[1] + 1)
        return self.values

    def coordinate(self, value: Any) -> float:
        """Return the position of a value on the axis along which draws are uniform."""
        if self.kind == CHOICE:
            return float(self.values.index(value))
        return math.log(value) if self.kind == LOGUNIFORM else float(value)


def read_space(table: Mapping[str, Any]) -> tuple[Dimension, ...]:
    """Parse [tuning.space] and return its dimensions in order.

    Dotted names may be quoted keys or nested tables.

    Raises:
        ConfigError: a dimension does not have exactly one kind, or its values do not suit the kind.
    """
    return tuple(_parse_dimension(*item) for item in dict(_flatten(table, "")).items())


def check_space(space: Sequence[Dimension], check_settings: Callable[[Settings], object]) -> None:
    """Check every choice and the ends of every range against the rules of the varied keys.

    Args:
        space: dimensions of the search space.
        check_settings: function that raises `ConfigError` for settings that are not valid.

    Raises:
        ConfigError: the space is empty, or a key is unknown or does not accept a value.
    """
    if not space:
        raise ConfigError(
            "tuning.space is empty; name at least one key that varies, as in "
            '"model.hidden_size" = {choice = [64, 128]}'
        )
    for dimension in space:
        for value in dimension.values_to_check():
            try:
                check_settings({dimension.name: value})
            except ConfigError as error:
                raise ConfigError(f"tuning.space: {error}") from error


def draw_settings(space: Sequence[Dimension], seed: int, count: int) -> list[Settings]:
    """Draw `count` different settings; a larger count begins with the same settings.

    Raises:
        ConfigError: the space has fewer different settings.
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
        if repeats > MAX_REPEATED_DRAWS:
            raise ConfigError(
                f"tuning.trials = {count}: only {len(drawn)} different settings could be drawn; "
                "lower it or widen tuning.space"
            )
        settings = {dimension.name: dimension.draw(rng) for dimension in space}
        key = json.dumps(settings)
        repeats = repeats + 1 if key in drawn else 0
        drawn[key] = settings
    return list(drawn.values())


def short_name(name: str) -> str:
    """Return the last part of a dotted name."""
    return name.rpartition(".")[2]


def value_text(value: Any) -> str:
    """Format a setting for a table or a log line."""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _flatten(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield dotted names and their values, whether the names are quoted or nested in TOML."""
    for key, value in table.items():
        if isinstance(value, dict) and value and not set(value) & set(KINDS):
            yield from _flatten(value, f"{prefix}{key}.")
        else:
            yield prefix + key, value


def _parse_dimension(name: str, table: Any) -> Dimension:
    entry = f"tuning.space.{name} = {table!r}"
    if not isinstance(table, dict) or len(table) != 1 or not set(table) <= set(KINDS):
        raise ConfigError(f"{entry}: must be a table with one of {', '.join(KINDS)}")
    ((kind, values),) = table.items()
    if not isinstance(values, list):
        raise ConfigError(f"{entry}: {kind} must be a list")
    broken_rule = _broken_rule(kind, values)
    if broken_rule:
        raise ConfigError(f"{entry}: {broken_rule}")
    if kind in (UNIFORM, LOGUNIFORM):
        values = [float(value) for value in values]
    return Dimension(name, kind, tuple(values))


def _broken_rule(kind: str, values: list[Any]) -> str | None:
    """Return the rule that the values of a dimension break, or None."""
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
