"""Mean and standard deviation of maps and ECGs over the training split.

Each part is reduced to counts, sums and sums of squares in float64. These are added in the order of
the parts, so that the result does not depend on which worker finishes first.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np

from fwdecg.errors import LibraryError


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Count, sum and sum of squares of a set of values."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def from_values(cls, values: np.ndarray) -> "Moments":
        """Return the moments of an array's values."""
        wide = values.astype(np.float64).ravel()
        return cls(count=wide.size, total=float(wide.sum()), squares=float(np.square(wide).sum()))

    def __add__(self, other: "Moments") -> "Moments":
        """Return the moments of the union of both sets."""
        return Moments(
            count=self.count + other.count,
            total=self.total + other.total,
            squares=self.squares + other.squares,
        )

    @property
    def mean(self) -> float:
        """Mean."""
        return self.total / self.count

    @property
    def standard_deviation(self) -> float:
        """Population standard deviation (divided by the count)."""
        return float(np.sqrt(max(self.squares / self.count - self.mean**2, 0.0)))


@dataclass(frozen=True, kw_only=True)
class PartMoments:
    """Moments of the training cases of one part: of the maps, and of each electrode's ECG."""

    u: Moments
    phi_e: tuple[Moments, ...]

    @classmethod
    def from_arrays(cls, u: np.ndarray, phi_e: np.ndarray) -> "PartMoments":
        """Return the moments of maps (case, ...) and ECGs (case, electrode, frame)."""
        electrodes = range(phi_e.shape[1])
        return cls(
            u=Moments.from_values(u),
            phi_e=tuple(Moments.from_values(phi_e[:, electrode]) for electrode in electrodes),
        )

    def __add__(self, other: "PartMoments") -> "PartMoments":
        """Return the moments of both parts together."""
        phi_e = tuple(a + b for a, b in zip(self.phi_e, other.phi_e, strict=True))
        return PartMoments(u=self.u + other.u, phi_e=phi_e)


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Mean and standard deviation ("spread") of u (dimensionless) and of each ECG (mm/ms)."""

    cases: int
    u_mean: float
    u_spread: float
    phi_e_mean: tuple[float, ...]
    phi_e_spread: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return the fields by name, as stored in statistics.json."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Statistics":
        """Restore the statistics from the content of statistics.json.

        Raises:
            LibraryError: a field is missing.
        """
        try:
            return cls(
                cases=fields["cases"],
                u_mean=fields["u_mean"],
                u_spread=fields["u_spread"],
                phi_e_mean=tuple(fields["phi_e_mean"]),
                phi_e_spread=tuple(fields["phi_e_spread"]),
            )
        except KeyError as error:
            raise LibraryError(
                f"statistics.json has no {error}; build the library again"
            ) from error


def combine_moments(parts: Iterable[PartMoments], *, cases: int) -> Statistics | None:
    """Return the statistics over the training cases of all parts; None without training cases.

    Args:
        parts: moments of the parts, by first case.
        cases: total number of training cases.
    """
    if cases == 0:
        return None
    moments = reduce(lambda a, b: a + b, parts)
    return Statistics(
        cases=cases,
        u_mean=moments.u.mean,
        u_spread=moments.u.standard_deviation,
        phi_e_mean=tuple(electrode.mean for electrode in moments.phi_e),
        phi_e_spread=tuple(electrode.standard_deviation for electrode in moments.phi_e),
    )
