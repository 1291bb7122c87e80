"""Features of voltage maps that depend on the tissue: conducting fraction, gradients, front speed.

Axes: B batch, T frame, H row, W column, P row or column of a coarse grid of cells.

The maps show neither the conducting fraction of a pixel nor D, but both can be estimated. Patches
stay at rest, so the peak of a pixel's voltage over time is its conducting fraction. The speed of a
front is proportional to sqrt(D).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fwdecg.model.cpu_kernels import kernels_support, run_in_threads, split_range

# Pixels with a smaller conducting fraction are ignored, because rounding dominates their voltage.
LEAST_FRACTION = 0.15
# Speeds are computed from pixels above this conducting fraction, because a front bends and slows
# down beside patches.
FULL_FRACTION = 0.9
FRONT = 0.5  # voltage at which a front has arrived
LEAST_RISE = 1e-6  # avoids a division by 0
FRAMES_PER_WIDTH = 32  # speeds are in map widths per 32 frames, so that they are near 1
SLOWEST, FASTEST = 0.02, 10.0  # bounds of the front speed
# Least number of frames that a front needs to cross the pixels from which its speed is computed.
# The front is sharp, so within fewer frames the arrivals form steps rather than a slope. The first
# value applies to direct neighbours, the second to pixels farther apart.
LEAST_CROSSING, LEAST_WIDE_CROSSING = 0.85, 2.5
REACHES_PER_MAP = 8  # a speed is computed from pixels up to an eighth of the map to either side


def conducting_fraction(u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B H W"]:
    """Return each pixel's conducting fraction, its peak over time; 0 below `LEAST_FRACTION`."""
    peak = u.amax(1).clamp_max(1.0)
    return torch.where(peak > LEAST_FRACTION, peak, 0.0)


def wavefront_features(
    u: Float[Tensor, "B T H W"], fraction: Float[Tensor, "B H W"], cells: int
) -> tuple[Float[Tensor, "B T 2 P P"], Float[Tensor, "B H W"]]:
    """Return `voltage_steps` and `front_arrival` of the conducting voltage.

    On a CPU, a kernel computes both in one pass.

    Args:
        u: voltage maps.
        fraction: conducting fraction of each pixel.
        cells: side P of the coarse grid.
    """
    if kernels_support(u, torch.float32) and not u.requires_grad:
        return _wavefront_features_on_cpu(u, fraction, cells)
    voltage = conducting_voltage(u, fraction)
    return voltage_steps(voltage, fraction, cells), front_arrival(voltage)


def conducting_voltage(
    u: Float[Tensor, "B T H W"], fraction: Float[Tensor, "B H W"]
) -> Float[Tensor, "B T H W"]:
    """Return the voltage of the conducting part of each pixel.

    The maps are area means, in which patches count as u = 0.
    """
    return u * _inverse_fraction(fraction).unsqueeze(1)


def _inverse_fraction(fraction: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    return torch.where(fraction > 0, 1.0 / fraction.clamp_min(LEAST_FRACTION), 0.0)


def voltage_steps(
    voltage: Float[Tensor, "B T H W"], fraction: Float[Tensor, "B H W"], cells: int
) -> Float[Tensor, "B T 2 P P"]:
    """Return the mean gradient in each cell times the side of the cell, to the right and down.

    No current passes from a conducting pixel to a patch. The difference between two pixels is
    therefore weighted with the harmonic mean of their conducting fractions.

    Args:
        voltage: conducting voltage.
        fraction: conducting fraction of each pixel.
        cells: side P of the coarse grid.
    """
    right = _steps_along_rows(voltage, fraction, cells)
    down = _steps_along_rows(voltage.mT, fraction.mT, cells).mT
    return torch.stack([right, down], dim=2)


def _steps_along_rows(
    voltage: Float[Tensor, "B T H W"], fraction: Float[Tensor, "B H W"], cells: int
) -> Float[Tensor, "B T P P"]:
    """Return the `voltage_steps` along the last axis."""
    differences = voltage.diff(dim=3) * _pair_weights(fraction).unsqueeze(1)
    rows, columns = voltage.shape[2:]
    pair_means = _pair_pooling(columns, cells, like=voltage)
    return _pixel_pooling(rows, cells, like=voltage) @ (differences @ pair_means.T)


def _pair_weights(fraction: Float[Tensor, "B H W"]) -> Float[Tensor, "B H pairs"]:
    """Return the harmonic means of the conducting fractions of neighbours in a row."""
    near, far = fraction[..., :-1], fraction[..., 1:]
    return 2.0 * near * far / (near + far).clamp_min(LEAST_FRACTION)


def _pair_pooling(size: int, cells: int, *, like: Tensor) -> Float[Tensor, "P pairs"]:
    """Return the matrix that maps differences of pixels to mean differences across cells."""
    # Half of the difference between two pixels lies in each of them.
    return _pixel_pooling(size, cells, like=like).unfold(1, 2, 1).mean(2) * (size / cells)


def _pixel_pooling(size: int, cells: int, *, like: Tensor) -> Float[Tensor, "P pixels"]:
    """Return the matrix that maps the pixels along an axis to their mean in each cell."""
    identity = torch.eye(size, dtype=like.dtype, device=like.device)
    return functional.adaptive_avg_pool1d(identity, cells).T


def front_speed(u: Float[Tensor, "B T H W"]) -> Float[Tensor, " B"]:
    """Return the median speed of the first front in conducting tissue, in widths per 32 frames.

    The speed is limited to `SLOWEST` and `FASTEST`. Maps without a front have `SLOWEST`.
    """
    fraction = conducting_fraction(u)
    return front_speed_from_arrival(front_arrival(conducting_voltage(u, fraction)), fraction)


@torch.no_grad()  # the gradient of a vector's length is not finite at 0
def front_speed_from_arrival(
    arrival: Float[Tensor, "B H W"], fraction: Float[Tensor, "B H W"]
) -> Float[Tensor, " B"]:
    """Return the `front_speed`, given the arrival and the conducting fraction of each pixel.

    The slope of the arrival is taken between direct neighbours if the front is slow enough.
    Otherwise the pixels lie so far apart that the front takes several frames from one to the other.
    """
    usable = (arrival >= 0) & (fraction > FULL_FRACTION)
    pixels = arrival.shape[2]
    frames_per_pixel = _frames_per_pixel(arrival, usable, 1)
    resolved = frames_per_pixel * 2 >= LEAST_CROSSING
    reach = 2
    while reach * REACHES_PER_MAP <= pixels:
        wider = _frames_per_pixel(arrival, usable, reach)
        frames_per_pixel = torch.where(resolved | wider.isinf(), frames_per_pixel, wider)
        resolved |= frames_per_pixel * 2 * reach >= LEAST_WIDE_CROSSING
        reach *= 2
    return (FRAMES_PER_WIDTH / (frames_per_pixel * pixels)).clamp(SLOWEST, FASTEST)


def _frames_per_pixel(
    arrival: Float[Tensor, "B H W"], usable: Bool[Tensor, "B H W"], reach: int
) -> Float[Tensor, " B"]:
    """Return the median slowness, from arrivals `reach` pixels to either side.

    It is infinite if no pixel is usable.
    """
    span = 2 * reach
    inner = slice(reach, -reach)
    right = (arrival[:, inner, span:] - arrival[:, inner, :-span]) / span
    down = (arrival[:, span:, inner] - arrival[:, :-span, inner]) / span
    complete = (
        usable[:, inner, inner]
        & (usable[:, inner, span:] & usable[:, inner, :-span])
        & (usable[:, span:, inner] & usable[:, :-span, inner])
    )
    length = (right.square() + down.square()).sqrt()
    return _median(length.flatten(1), complete.flatten(1))


@torch.no_grad()
def front_arrival(voltage: Float[Tensor, "B T H W"]) -> Float[Tensor, "B H W"]:
    """Return the frame number at which a front first arrives, negative if none does.

    It is interpolated linearly. Pixels above the threshold in the first frame are also negative,
    because the time of their activation is unknown.
    """
    above = voltage > FRONT
    after = above.to(torch.uint8).argmax(1, keepdim=True)
    before = (after - 1).clamp_min(0)
    low, high = voltage.gather(1, before), voltage.gather(1, after)
    position = (FRONT - low) / (high - low).clamp_min(LEAST_RISE)
    return torch.where(after > 0, before + position, -1.0).squeeze(1)


def _median(values: Float[Tensor, "B N"], chosen: Bool[Tensor, "B N"]) -> Float[Tensor, " B"]:
    """Return the lower median of the chosen values of each row; infinity if a row has none."""
    if torch.compiler.is_compiling():  # an exported program may lack nanmedian
        ordered = torch.where(chosen, values, torch.inf).sort(dim=1).values
        middle = ((chosen.sum(1, keepdim=True) - 1) // 2).clamp_min(0)
        return ordered.gather(1, middle).squeeze(1)
    median = torch.where(chosen, values, torch.nan).nanmedian(dim=1).values
    return median.nan_to_num(nan=torch.inf)


def _wavefront_features_on_cpu(
    u: Float[Tensor, "B T H W"], fraction: Float[Tensor, "B H W"], cells: int
) -> tuple[Float[Tensor, "B T 2 P P"], Float[Tensor, "B H W"]]:
    # Imported on first use, because numba takes half a second to load.
    from fwdecg.kernels import wavefront_features as kernels  # noqa: PLC0415

    count, frames, rows, columns = u.shape
    steps = u.new_empty((count, frames, 2, cells, cells))
    arrival = torch.empty_like(fraction)
    weights = (_inverse_fraction(fraction), _pair_weights(fraction), _pair_weights(fraction.mT).mT)
    pixel_weights = [each.contiguous().numpy() for each in weights]
    pooling = kernels.PoolingWeights(
        *(
            matrix(size, cells, like=u).contiguous().numpy()
            for size in (rows, columns)
            for matrix in (_pixel_pooling, _pair_pooling)
        )
    )
    maps, outputs = u.contiguous().numpy(), (steps.numpy(), arrival.numpy())

    def work(part: slice, _number: int) -> None:
        for case in range(part.start, part.stop):
            pixels = kernels.PixelWeights(*(each[case] for each in pixel_weights))
            kernels.compute_features(maps[case], pixels, pooling, *(out[case] for out in outputs))

    run_in_threads(work, split_range(count))
    return steps, arrival
