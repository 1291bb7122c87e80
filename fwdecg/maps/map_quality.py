"""Whether voltage maps look like those of a library: from rest, of full height, without noise."""

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from fwdecg.errors import MapsError
from fwdecg.shapes import Frames

# u = (V - V0) / (Vfi - V0) overshoots [0, 1] slightly. Values far outside are not dimensionless.
LOWEST_U, HIGHEST_U = -0.5, 1.5
USUAL_PEAK = 0.998  # peak of u in tissue that a wave crosses
PEAK_QUANTILE = 0.99  # over the pixels; ignores single outliers
# Records are rescaled beyond these deviations of rest and height, and refused beyond the others.
# The shipped network's R^2 stays above 0.998 within the first, and vanishes at a height of 0.9.
REST_TOLERANCE, HEIGHT_TOLERANCE = 0.02, 0.03
LEAST_HEIGHT, MOST_HEIGHT = 0.5, 1.5
ACTIVE_LEVEL = 0.2  # share of the height above which a pixel is active
MOST_ACTIVE_AT_START = 0.01  # fraction of the pixels
LEAST_ACTIVATED = 0.25  # fraction of the pixels; the least in the paper's tissues is about 0.3
PIXELS_FOR_NOISE = 16  # rows and columns of pixels from which the noise is estimated
MOST_NOISE = 0.03  # with white noise of this standard deviation R^2 falls by up to 0.003


@dataclass(frozen=True, kw_only=True)
class MapQuality:
    """What the maps of one case show, whatever their tissue.

    Attributes:
        rest: u at rest.
        height: u at the crest of the wave, above rest.
        noise: standard deviation of white noise.
        active_at_start: fraction of the pixels that are active in the first frame.
        activated_fraction: fraction of the pixels that a wave reaches.
    """

    rest: float
    height: float
    noise: float
    active_at_start: float
    activated_fraction: float

    @classmethod
    def of(cls, u: Frames) -> "MapQuality":
        """Return the quality of the maps of one case.

        Raises:
            MapsError: the maps do not change, or their height is not that of dimensionless maps.
        """
        wide = u.astype(np.float32)
        crests = wide.max(axis=0)
        peak = float(np.quantile(crests, PEAK_QUANTILE))
        first = float(np.median(wide[0]))
        lowest = float(np.quantile(wide.min(axis=0), 1 - PEAK_QUANTILE))
        # A record that starts inside an activation has its rest in later frames.
        rest = first if first - lowest < ACTIVE_LEVEL * (peak - lowest) else lowest
        height = peak - rest
        if not LEAST_HEIGHT <= height <= MOST_HEIGHT:
            raise MapsError(
                f"u rises from {rest:.3g} at rest to {peak:.3g}: a wave must rise by about 1; "
                "scale the voltage V to (V - V0) / (Vfi - V0), for example with "
                "fwdecg.read_maps(unit=...); maps without a wave have no ECG to predict"
            )
        level = rest + ACTIVE_LEVEL * height
        return cls(
            rest=rest,
            height=height,
            noise=_noise(wide),
            active_at_start=float((wide[0] > level).mean()),
            activated_fraction=float((crests > level).mean()),
        )

    @property
    def rescales(self) -> bool:
        """Whether rest and height deviate so much that the maps must be rescaled."""
        return (
            abs(self.rest) > REST_TOLERANCE or abs(self.height / USUAL_PEAK - 1) > HEIGHT_TOLERANCE
        )

    def rescaled(self, u: Frames) -> Frames:
        """Return maps with rest at 0 and the usual height."""
        return ((u.astype(np.float32) - self.rest) * (USUAL_PEAK / self.height)).astype(np.float32)

    @property
    def problems(self) -> list[str]:
        """What may make a prediction wrong, in words."""
        found = []
        if self.rescales:
            found.append(
                f"u rises from {self.rest:.3g} to {self.rest + self.height:.3g} instead of from 0 "
                "to 1 and was rescaled"
            )
        if self.active_at_start > MOST_ACTIVE_AT_START:
            found.append(
                f"{self.active_at_start:.0%} of the pixels are active in the first frame; the "
                "network knows only waves that begin at rest, and its ECG may be wrong"
            )
        if self.activated_fraction < LEAST_ACTIVATED:
            found.append(f"a wave reaches only {self.activated_fraction:.0%} of the pixels")
        if self.noise > MOST_NOISE:
            found.append(f"the maps have noise of standard deviation {self.noise:.2g}")
        return found


def require_dimensionless(u: Float[np.ndarray, "*axes"], source: str) -> None:
    """Raise MapsError if values are not finite or not dimensionless."""
    lowest, highest = float(u.min()), float(u.max())
    if not np.isfinite([lowest, highest]).all():  # a single NaN makes both NaN
        raise MapsError(
            f"{source} holds NaN or infinity: every value must be finite; repair the maps"
        )
    if lowest < LOWEST_U or highest > HIGHEST_U:
        raise MapsError(
            f"{source} holds values from {lowest:g} to {highest:g}: u must lie within "
            f"{LOWEST_U:g} and {HIGHEST_U:g}; scale the voltage V to (V - V0) / (Vfi - V0), which "
            "is 0 at rest"
        )


def _noise(u: Frames) -> float:
    """Estimate the standard deviation of white noise from second differences in time.

    The median ignores the few frames in which a wave passes a pixel.
    """
    if len(u) < 3:
        return 0.0
    rows, cols = (max(1, side // PIXELS_FOR_NOISE) for side in u.shape[1:])
    second = np.abs(np.diff(u[:, ::rows, ::cols], n=2, axis=0))
    return float(np.median(second)) * 1.4826 / math.sqrt(6)
