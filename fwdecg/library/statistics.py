"""Mean and standard deviation of maps and ECGs over the training split.

Each part is reduced to counts, sums and sums of squares in float64. These are added in the order of
the parts, so the result does not depend on which worker finishes first.
"""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from functools import reduce
from typing import Any

import numpy as np
from jaxtyping import Float64

from fwdecg.errors import LibraryError

# Rows: count, sum and sum of squares. Columns: the maps, then the ECG of each electrode.
Moments = Float64[np.ndarray, "3 quantity"]


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Mean and standard deviation ("spread") of u (dimensionless) and of each ECG (mm/ms).

    `cases` is the number of training cases over which they are computed.
    """

    cases: int
    u_mean: float
    u_spread: float
    phi_e_mean: tuple[float, ...]
    phi_e_spread: tuple[float, ...]

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Statistics":
        """Restore the statistics from the content of statistics.json.

        Raises:
            LibraryError: a field is missing.
        """
        try:
            values: dict[str, Any] = {field.name: content[field.name] for field in fields(cls)}
        except KeyError as error:
            raise LibraryError(
                f"statistics.json has no {error}; build the library again"
            ) from error
        for name in ("phi_e_mean", "phi_e_spread"):
            values[name] = tuple(values[name])
        return cls(**values)


def moments_of(u: np.ndarray, phi_e: np.ndarray) -> Moments:
    """Return the moments of maps (case, ...) and ECGs (case, electrode, frame)."""
    columns = []
    for values in (u, *np.moveaxis(phi_e, 1, 0)):
        wide = values.astype(np.float64).ravel()
        columns.append((wide.size, wide.sum(), np.square(wide).sum()))
    return np.array(columns, dtype=np.float64).T


def combine_moments(parts: Iterable[Moments], *, cases: int) -> Statistics | None:
    """Return the statistics over the training cases of all parts; None without training cases.

    Args:
        parts: moments of the parts, sorted by case id.
        cases: total number of training cases.
    """
    if cases == 0:
        return None
    count, total, squares = reduce(np.add, parts)
    mean = total / count
    # float_power reproduces published statistics; the operator ** may differ in the last bit.
    variance = squares / count - np.float_power(mean, 2)
    deviation = np.sqrt(np.maximum(variance, 0.0))
    return Statistics(
        cases=cases,
        u_mean=float(mean[0]),
        u_spread=float(deviation[0]),
        phi_e_mean=tuple(mean[1:].tolist()),
        phi_e_spread=tuple(deviation[1:].tolist()),
    )
