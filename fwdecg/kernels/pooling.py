"""Batch normalisation, 2 x 2 max pooling and rectification of images, in one pass over memory.

Images lie as (N image, H row, W column, C channel), float32 or bfloat16; the latter come as the
uint16 that have their bits, for NumPy has no such type. Sums and products are float32 in both. A
pooled image has h = H // 2 rows and w = W // 2 columns; an odd last row or column is in the
moments, but not in any pool, as in torch.
"""

from typing import Any

import numpy as np
from jaxtyping import Float32, Float64, Int
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from fwdecg.kernels.compile import kernel, vectorise

# float32, or the bits of bfloat16
Images = Float32[np.ndarray, "N H W C"] | Int[np.ndarray, "N H W C"]
Pooled = Float32[np.ndarray, "N h w C"] | Int[np.ndarray, "N h w C"]


@kernel()
def moments(images: Images, totals: Float64[np.ndarray, "2 C"]) -> None:
    """Put mean and biased variance of each channel into `totals`.

    By mean and squares about it of each image, merged one after the other, which loses no digits
    where the mean is large against the spread.
    """
    vectorise()
    count, rows, columns, channels = images.shape
    pixels = rows * columns
    row = np.zeros(channels, np.float32)
    mean = np.zeros(channels, np.float32)
    squares = np.zeros(channels, np.float64)
    totals[:] = 0.0
    for n in range(count):
        mean[:] = 0.0
        squares[:] = 0.0
        for i in range(rows):
            row[:] = 0.0
            for j in range(columns):
                for c in range(channels):
                    row[c] += _wide(images[n, i, j, c])
            for c in range(channels):
                mean[c] += row[c]
        for c in range(channels):
            mean[c] /= np.float32(pixels)
        for i in range(rows):
            row[:] = 0.0
            for j in range(columns):
                for c in range(channels):
                    off = _wide(images[n, i, j, c]) - mean[c]
                    row[c] += off * off
            for c in range(channels):
                squares[c] += row[c]
        for c in range(channels):
            off_total = mean[c] - totals[0, c]
            totals[0, c] += off_total / (n + 1)
            totals[1, c] += squares[c] + off_total * off_total * pixels * n / (n + 1)
    totals[1] /= count * pixels


@kernel()
def normalise_and_pool(
    images: Images,
    slope: Float32[np.ndarray, " C"],
    constant: Float32[np.ndarray, " C"],
    pooled: Pooled,
    chosen: Pooled,
    places: Int[np.ndarray, "N h w C"],
) -> None:
    """Put max(0, the greatest of slope x + constant over a pool) into `pooled`.

    The x of the greatest goes into `chosen`, its place in the pool, 0 to 3 by rows, into `places`.
    """
    vectorise()
    zero = np.float32(0.0)
    for n in range(pooled.shape[0]):
        for i in range(pooled.shape[1]):
            for j in range(pooled.shape[2]):
                for c in range(pooled.shape[3]):
                    a, b = slope[c], constant[c]
                    x0 = _wide(images[n, 2 * i, 2 * j, c])
                    x1 = _wide(images[n, 2 * i, 2 * j + 1, c])
                    x2 = _wide(images[n, 2 * i + 1, 2 * j, c])
                    x3 = _wide(images[n, 2 * i + 1, 2 * j + 1, c])
                    y0, y1, y2, y3 = a * x0 + b, a * x1 + b, a * x2 + b, a * x3 + b
                    right = y1 > y0
                    upper, upper_x = (y1, x1) if right else (y0, x0)
                    upper_place = np.uint8(1) if right else np.uint8(0)
                    right = y3 > y2
                    lower, lower_x = (y3, x3) if right else (y2, x2)
                    lower_place = np.uint8(3) if right else np.uint8(2)
                    low = lower > upper
                    greatest = lower if low else upper
                    # NaN stays what it is, so that a training that diverges is seen.
                    pooled[n, i, j, c] = _narrow(zero if greatest < zero else greatest, pooled)
                    chosen[n, i, j, c] = _narrow(lower_x if low else upper_x, chosen)
                    places[n, i, j, c] = lower_place if low else upper_place


@kernel()
def gradient_sums(
    gradient: Pooled,
    pooled: Pooled,
    chosen: Pooled,
    mean: Float32[np.ndarray, " C"],
    totals: Float64[np.ndarray, "2 C"],
) -> None:
    """Put the sums of dy and of dy (x - mean) into `totals`, with dy before rectification."""
    vectorise()
    channels = pooled.shape[3]
    plain = np.zeros(channels, np.float32)
    weighted = np.zeros(channels, np.float32)
    zero = np.float32(0.0)
    totals[:] = 0.0
    for n in range(pooled.shape[0]):
        for i in range(pooled.shape[1]):
            plain[:] = 0.0
            weighted[:] = 0.0
            for j in range(pooled.shape[2]):
                for c in range(channels):
                    passes = _wide(pooled[n, i, j, c]) > zero
                    dy = _wide(gradient[n, i, j, c]) if passes else zero
                    plain[c] += dy
                    weighted[c] += dy * (_wide(chosen[n, i, j, c]) - mean[c])
            for c in range(channels):
                totals[0, c] += plain[c]
                totals[1, c] += weighted[c]


@kernel()
def image_gradient(
    images: Images,
    gradient: Pooled,
    pooled: Pooled,
    places: Int[np.ndarray, "N h w C"],
    coefficients: Float32[np.ndarray, "3 C"],
    result: Images,
) -> None:
    """Put factor dy + slope x + constant into `result`; dy is 0 but where a pool had its greatest.

    Args:
        images: x.
        gradient: of the pooled images.
        pooled: those.
        places: in their pools, of what was chosen.
        coefficients: factor, slope and constant of each channel.
        result: gradient of the images.
    """
    vectorise()
    count, rows, columns, channels = images.shape
    factor, slope, constant = coefficients[0], coefficients[1], coefficients[2]
    pooled_rows, pooled_columns = pooled.shape[1], pooled.shape[2]
    zero = np.float32(0.0)
    for n in range(count):
        for i in range(pooled_rows):
            for j in range(pooled_columns):
                for c in range(channels):
                    a, b = slope[c], constant[c]
                    passes = _wide(pooled[n, i, j, c]) > zero
                    dy = factor[c] * _wide(gradient[n, i, j, c]) if passes else zero
                    place = places[n, i, j, c]
                    x0 = _wide(images[n, 2 * i, 2 * j, c])
                    x1 = _wide(images[n, 2 * i, 2 * j + 1, c])
                    x2 = _wide(images[n, 2 * i + 1, 2 * j, c])
                    x3 = _wide(images[n, 2 * i + 1, 2 * j + 1, c])
                    x0 = a * x0 + b + (dy if place == 0 else zero)
                    x1 = a * x1 + b + (dy if place == 1 else zero)
                    x2 = a * x2 + b + (dy if place == 2 else zero)
                    x3 = a * x3 + b + (dy if place == 3 else zero)
                    result[n, 2 * i, 2 * j, c] = _narrow(x0, result)
                    result[n, 2 * i, 2 * j + 1, c] = _narrow(x1, result)
                    result[n, 2 * i + 1, 2 * j, c] = _narrow(x2, result)
                    result[n, 2 * i + 1, 2 * j + 1, c] = _narrow(x3, result)
        for i in range(rows):
            first = 2 * pooled_columns if i < 2 * pooled_rows else 0
            for j in range(first, columns):
                for c in range(channels):
                    x = slope[c] * _wide(images[n, i, j, c]) + constant[c]
                    result[n, i, j, c] = _narrow(x, result)


def _widening(_typing: Any, pixel: Any) -> Any:
    """The float32 of a pixel."""

    def plain(_context: Any, _builder: Any, _signature: Any, arguments: Any) -> Any:
        return arguments[0]

    def widened(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits = builder.shl(builder.zext(arguments[0], _WORD), _WORD(16))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(pixel), widened if pixel == types.uint16 else plain


def _narrowing(_typing: Any, _value: Any, images: Any) -> Any:
    """What stands for a float32 in images, rounded to the nearest, ties to even."""

    def plain(_context: Any, _builder: Any, _signature: Any, arguments: Any) -> Any:
        return arguments[0]

    def narrowed(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], _WORD)
        odd = builder.and_(builder.lshr(bits, _WORD(16)), _WORD(1))
        rounded = builder.add(builder.add(bits, _WORD(0x7FFF)), odd)
        return builder.trunc(builder.lshr(rounded, _WORD(16)), ir.IntType(16))

    narrow = images.dtype == types.uint16
    return images.dtype(types.float32, images), narrowed if narrow else plain


_WORD = ir.IntType(32)

# Named by assignment: a type checker would ask for the typing context that numba passes itself.
_wide: Any = intrinsic(_widening)
_narrow: Any = intrinsic(_narrowing)
