"""Mean and spread of maps and ECG over the training split, gathered part by part.

Each part is reduced to counts, sums and sums of squares in float64, which add up in the order of
the parts: the result does not depend on which worker finished first.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import reduce
from typing import Any

import numpy as np

from fwdecg.errors import LibraryError


@dataclass(frozen=True, kw_only=True)
class Moments:
    """Count, sum and sum of squares of some values."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    @classmethod
    def of(cls, values: np.ndarray) -> "Moments":
        """The moments of an array's values."""
        wide = values.astype(np.float64).ravel()
        return cls(count=wide.size, total=float(wide.sum()), squares=float(np.square(wide).sum()))

    def __add__(self, other: "Moments") -> "Moments":
        """The moments of both sets of values together."""
        return Moments(
            count=self.count + other.count,
            total=self.total + other.total,
            squares=self.squares + other.squares,
        )

    @property
    def mean(self) -> float:
        """The mean."""
        return self.total / self.count

    @property
    def spread(self) -> float:
        """The standard deviation (over all values, no correction of degrees of freedom)."""
        return float(np.sqrt(max(self.squares / self.count - self.mean**2, 0.0)))


@dataclass(frozen=True, kw_only=True)
class PartMoments:
    """Moments of the training cases of one part: the maps', and each electrode's ECG."""

    u: Moments
    phi_e: tuple[Moments, ...]

    @classmethod
    def of(cls, u: np.ndarray, phi_e: np.ndarray) -> "PartMoments":
        """The moments of maps, (case, ...), and of ECGs, (case, electrode, frame)."""
        electrodes = range(phi_e.shape[1])
        return cls(u=Moments.of(u), phi_e=tuple(Moments.of(phi_e[:, e]) for e in electrodes))

    def __add__(self, other: "PartMoments") -> "PartMoments":
        """The moments of both parts together."""
        phi_e = tuple(a + b for a, b in zip(self.phi_e, other.phi_e, strict=True))
        return PartMoments(u=self.u + other.u, phi_e=phi_e)


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What z-scores are made with: of u (dimensionless) and of phi_e per electrode (mm/ms)."""

    cases: int
    u_mean: float
    u_spread: float
    phi_e_mean: tuple[float, ...]
    phi_e_spread: tuple[float, ...]

    def as_dict(self) -> dict[str, Any]:
        """The fields by name."""
        return asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Statistics":
        """The statistics that `as_dict` gave."""
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


def combine(parts: Iterable[PartMoments], *, cases: int) -> Statistics | None:
    """The statistics over the training cases of all parts; None if there are none."""
    if cases == 0:
        return None
    moments = reduce(lambda a, b: a + b, parts)
    return Statistics(
        cases=cases,
        u_mean=moments.u.mean,
        u_spread=moments.u.spread,
        phi_e_mean=tuple(electrode.mean for electrode in moments.phi_e),
        phi_e_spread=tuple(electrode.spread for electrode in moments.phi_e),
    )
