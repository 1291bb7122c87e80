"""What voltage maps tell of the tissue beneath them.

Axes: B batch, T frame, H row, W column, P row or column of a coarse grid of cells.

Maps show neither the share of a pixel that conducts nor D. But patches stay at rest, so the peak of
a pixel's voltage over time is the share that conducts; and a front runs at a speed proportional to
sqrt(D).
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from fwdecg.model.threads import in_threads, parts_of

LEAST_SHARE = 0.15  # of a pixel; with less its voltage is mostly rounding
FULL_SHARE = 0.9  # beside patches a front bends and slows down
FRONT, LEAST_RISE = 0.5, 1e-6  # the voltage at which a front has arrived, and what is divided by
FRAMES_PER_WIDTH = 32  # speeds are in widths of the map per so many frames, to be near 1
SLOWEST, FASTEST = 0.02, 10.0  # of the speeds that are told apart
# Frames that a front takes across the pixels whose arrivals tell its speed. It is sharp: within
# less, arrivals are steps rather than a slope. Next to a pixel less will do than farther off.
LEAST_CROSSING, LEAST_WIDE_CROSSING = 0.85, 2.5
WIDEST_SHARE = 8  # a speed is taken over at most two of so many parts of a map


def conducting_share(u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B H W"]:
    """Share of each pixel that conducts, by its peak over time; 0 where it is too small to tell."""
    peak = u.amax(1).clamp_max(1.0)
    return torch.where(peak > LEAST_SHARE, peak, 0.0)


def read_maps(
    u: Float[Tensor, "B T H W"], share: Float[Tensor, "B H W"], cells: int
) -> tuple[Float[Tensor, "B T 2 P P"], Float[Tensor, "B H W"]]:
    """`voltage_steps` and `front_arrival` of the conducting voltage, on a processor at once."""
    if (
        u.device.type == "cpu"
        and u.dtype == torch.float32
        and not u.requires_grad
        and not torch.compiler.is_compiling()
    ):
        return _read_at_once(u, share, cells)
    voltage = conducting_voltage(u, share)
    return voltage_steps(voltage, share, cells), front_arrival(voltage)


def conducting_voltage(
    u: Float[Tensor, "B T H W"], share: Float[Tensor, "B H W"]
) -> Float[Tensor, "B T H W"]:
    """Voltage of what conducts in each pixel: a map's area mean counts patches as u = 0."""
    return u * _inverse(share).unsqueeze(1)


def _inverse(share: Float[Tensor, "B H W"]) -> Float[Tensor, "B H W"]:
    return torch.where(share > 0, 1.0 / share.clamp_min(LEAST_SHARE), 0.0)


def voltage_steps(
    voltage: Float[Tensor, "B T H W"], share: Float[Tensor, "B H W"], cells: int
) -> Float[Tensor, "B T 2 P P"]:
    """Mean gradient in each cell times the cell's side: to the right, and down; P = `cells`.

    No current passes from a conducting pixel to a patch, so the step between two pixels counts by
    the harmonic mean of their shares.
    """
    right = _steps_between(voltage, share, cells)
    down = _steps_between(voltage.mT, share.mT, cells).mT
    return torch.stack([right, down], dim=2)


def _steps_between(
    voltage: Float[Tensor, "B T H W"], share: Float[Tensor, "B H W"], cells: int
) -> Float[Tensor, "B T P P"]:
    """`voltage_steps` along the last axis."""
    across = voltage.diff(dim=3) * _passing(share).unsqueeze(1)
    rows, columns = voltage.shape[2:]
    between = _cell_steps(columns, cells, like=voltage)
    return _cell_means(rows, cells, like=voltage) @ (across @ between.T)


def _passing(share: Float[Tensor, "B H W"]) -> Float[Tensor, "B H steps"]:
    """How much of a step between two neighbours of a row counts."""
    near, far = share[..., :-1], share[..., 1:]
    return 2.0 * near * far / (near + far).clamp_min(LEAST_SHARE)


def _cell_steps(size: int, cells: int, *, like: Tensor) -> Float[Tensor, "P steps"]:
    """The matrix by which steps between pixels give the mean step of cells times their side."""
    # Half of the step between two pixels lies in each of them.
    return _cell_means(size, cells, like=like).unfold(1, 2, 1).mean(2) * (size / cells)


def _cell_means(size: int, cells: int, *, like: Tensor) -> Float[Tensor, "P pixels"]:
    """The matrix by which a mean over cells is taken along an axis."""
    identity = torch.eye(size, dtype=like.dtype, device=like.device)
    return functional.adaptive_avg_pool1d(identity, cells).T


def front_speed(u: Float[Tensor, "B T H W"]) -> Float[Tensor, " B"]:
    """Median speed of the first front in conducting tissue, in map widths per 32 frames.

    Between `SLOWEST`, which is also what maps without any front have, and `FASTEST`.
    """
    share = conducting_share(u)
    return speed_of(front_arrival(conducting_voltage(u, share)), share)


@torch.no_grad()  # the slope of a median of lengths is not everywhere finite
def speed_of(arrival: Float[Tensor, "B H W"], share: Float[Tensor, "B H W"]) -> Float[Tensor, " B"]:
    """`front_speed` of what is known of the first front already.

    It is taken from a pixel's neighbours, or from as far as the front takes some frames to run.
    """
    seen = (arrival >= 0) & (share > FULL_SHARE)
    pixels = arrival.shape[2]
    frames_per_pixel = _frames_per_pixel(arrival, seen, 1)
    told = frames_per_pixel * 2 >= LEAST_CROSSING
    reach = 2
    while reach * WIDEST_SHARE <= pixels:
        wider = _frames_per_pixel(arrival, seen, reach)
        frames_per_pixel = torch.where(told | wider.isinf(), frames_per_pixel, wider)
        told |= frames_per_pixel * 2 * reach >= LEAST_WIDE_CROSSING
        reach *= 2
    return (FRAMES_PER_WIDTH / (frames_per_pixel * pixels)).clamp(SLOWEST, FASTEST)


def _frames_per_pixel(
    arrival: Float[Tensor, "B H W"], seen: Bool[Tensor, "B H W"], reach: int
) -> Float[Tensor, " B"]:
    """Median slowness from arrivals so many pixels to either side; infinity where none is seen."""
    span = 2 * reach
    inner = slice(reach, -reach)
    right = (arrival[:, inner, span:] - arrival[:, inner, :-span]) / span
    down = (arrival[:, span:, inner] - arrival[:, :-span, inner]) / span
    whole = (
        seen[:, inner, inner]
        & (seen[:, inner, span:] & seen[:, inner, :-span])
        & (seen[:, span:, inner] & seen[:, :-span, inner])
    )
    length = (right.square() + down.square()).sqrt()
    return _median(length.flatten(1), whole.flatten(1))


@torch.no_grad()
def front_arrival(voltage: Float[Tensor, "B T H W"]) -> Float[Tensor, "B H W"]:
    """Frame, between two by a straight line, at which a front first arrives; below 0 where none.

    Where the first frame is above it already, it is not known since when: below 0, too.
    """
    above = voltage > FRONT
    after = above.to(torch.uint8).argmax(1, keepdim=True)
    before = (after - 1).clamp_min(0)
    low, high = voltage.gather(1, before), voltage.gather(1, after)
    fraction = (FRONT - low) / (high - low).clamp_min(LEAST_RISE)
    return torch.where(after > 0, before + fraction, -1.0).squeeze(1)


def _median(values: Float[Tensor, "B N"], chosen: Bool[Tensor, "B N"]) -> Float[Tensor, " B"]:
    """The lower median of the chosen values of each row, infinity where there is none."""
    if torch.compiler.is_compiling():  # an exported program may not know the quicker function
        ordered = torch.where(chosen, values, torch.inf).sort(dim=1).values
        middle = ((chosen.sum(1, keepdim=True) - 1) // 2).clamp_min(0)
        return ordered.gather(1, middle).squeeze(1)
    median = torch.where(chosen, values, torch.nan).nanmedian(dim=1).values
    return median.nan_to_num(nan=torch.inf)


def _read_at_once(
    u: Float[Tensor, "B T H W"], share: Float[Tensor, "B H W"], cells: int
) -> tuple[Float[Tensor, "B T 2 P P"], Float[Tensor, "B H W"]]:
    # Imported here because numba takes half a second to load.
    from fwdecg.kernels import wavefront_features as kernels  # noqa: PLC0415

    count, frames, rows, columns = u.shape
    steps = u.new_empty((count, frames, 2, cells, cells))
    arrival = torch.empty_like(share)
    of_sheet = [
        each.contiguous().numpy()
        for each in (_inverse(share), _passing(share), _passing(share.mT).mT)
    ]
    grid = kernels.PoolingWeights(
        *(
            make(size, cells, like=u).contiguous().numpy()
            for size in (rows, columns)
            for make in (_cell_means, _cell_steps)
        )
    )
    given, filled = u.contiguous().numpy(), (steps.numpy(), arrival.numpy())

    def work(part: slice, _number: int) -> None:
        for case in range(part.start, part.stop):
            sheet = kernels.PixelWeights(*(each[case] for each in of_sheet))
            kernels.compute_features(given[case], sheet, grid, *(each[case] for each in filled))

    in_threads(work, parts_of(count))
    return steps, arrival
