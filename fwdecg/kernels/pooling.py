"""Batch normalisation, 2 x 2 max pooling and ReLU of images, in one pass over memory.

Images are (N image, H row, W column, C channel) arrays of float32 or bfloat16. NumPy has no
bfloat16, so such images are passed as uint16 arrays of the same bits. Arithmetic is float32 in both
cases. A pooled image has h = H // 2 rows and w = W // 2 columns. As in torch, an odd last row or
column contributes to the moments but belongs to no pool.
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
    """Write mean (row 0) and biased variance (row 1) of each channel into `totals`.

    The means and sums of squared deviations are merged one image at a time (Chan et al., 1979).
    This stays accurate where the mean is much larger than the standard deviation.
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
                    row[c] += _to_float32(images[n, i, j, c])
            for c in range(channels):
                mean[c] += row[c]
        for c in range(channels):
            mean[c] /= np.float32(pixels)
        for i in range(rows):
            row[:] = 0.0
            for j in range(columns):
                for c in range(channels):
                    deviation = _to_float32(images[n, i, j, c]) - mean[c]
                    row[c] += deviation * deviation
            for c in range(channels):
                squares[c] += row[c]
        for c in range(channels):
            total_deviation = mean[c] - totals[0, c]
            totals[0, c] += total_deviation / (n + 1)
            totals[1, c] += squares[c] + total_deviation * total_deviation * pixels * n / (n + 1)
    totals[1] /= count * pixels


@kernel()
def normalise_and_pool(
    images: Images,
    slope: Float32[np.ndarray, " C"],
    constant: Float32[np.ndarray, " C"],
    pooled: Pooled,
    selected: Pooled,
    argmax: Int[np.ndarray, "N h w C"],
) -> None:
    """Normalise, pool and rectify images.

    Args:
        images: input x.
        slope: factor of each channel.
        constant: offset of each channel.
        pooled: output, max(0, largest slope x + constant in each pool).
        selected: output, the x at which the largest value was reached.
        argmax: output, the position of that x in its pool, 0 to 3 row by row.
    """
    vectorise()
    zero = np.float32(0.0)
    for n in range(pooled.shape[0]):
        for i in range(pooled.shape[1]):
            for j in range(pooled.shape[2]):
                for c in range(pooled.shape[3]):
                    a, b = slope[c], constant[c]
                    x0 = _to_float32(images[n, 2 * i, 2 * j, c])
                    x1 = _to_float32(images[n, 2 * i, 2 * j + 1, c])
                    x2 = _to_float32(images[n, 2 * i + 1, 2 * j, c])
                    x3 = _to_float32(images[n, 2 * i + 1, 2 * j + 1, c])
                    y0, y1, y2, y3 = a * x0 + b, a * x1 + b, a * x2 + b, a * x3 + b
                    right = y1 > y0
                    upper, upper_x = (y1, x1) if right else (y0, x0)
                    upper_argmax = np.uint8(1) if right else np.uint8(0)
                    right = y3 > y2
                    lower, lower_x = (y3, x3) if right else (y2, x2)
                    lower_argmax = np.uint8(3) if right else np.uint8(2)
                    lower_wins = lower > upper
                    largest = lower if lower_wins else upper
                    # This form of max(0, largest) passes NaN on, which reveals diverging training.
                    pooled[n, i, j, c] = _from_float32(zero if largest < zero else largest, pooled)
                    selected[n, i, j, c] = _from_float32(
                        lower_x if lower_wins else upper_x, selected
                    )
                    argmax[n, i, j, c] = lower_argmax if lower_wins else upper_argmax


@kernel()
def gradient_sums(
    gradient: Pooled,
    pooled: Pooled,
    selected: Pooled,
    mean: Float32[np.ndarray, " C"],
    totals: Float64[np.ndarray, "2 C"],
) -> None:
    """Write the sums of dy and of dy (x - mean) over all pools into `totals`.

    Args:
        gradient: gradient of the loss with respect to the pooled images.
        pooled: pooled images. dy is `gradient` where these are positive, and 0 where the ReLU was
            inactive.
        selected: the x that each pool selected.
        mean: mean of x in each channel.
        totals: output, both sums of each channel.
    """
    vectorise()
    channels = pooled.shape[3]
    unweighted = np.zeros(channels, np.float32)
    weighted = np.zeros(channels, np.float32)
    zero = np.float32(0.0)
    totals[:] = 0.0
    for n in range(pooled.shape[0]):
        for i in range(pooled.shape[1]):
            unweighted[:] = 0.0
            weighted[:] = 0.0
            for j in range(pooled.shape[2]):
                for c in range(channels):
                    passes = _to_float32(pooled[n, i, j, c]) > zero
                    dy = _to_float32(gradient[n, i, j, c]) if passes else zero
                    unweighted[c] += dy
                    weighted[c] += dy * (_to_float32(selected[n, i, j, c]) - mean[c])
            for c in range(channels):
                totals[0, c] += unweighted[c]
                totals[1, c] += weighted[c]


@kernel()
def image_gradient(
    images: Images,
    gradient: Pooled,
    pooled: Pooled,
    argmax: Int[np.ndarray, "N h w C"],
    coefficients: Float32[np.ndarray, "3 C"],
    result: Images,
) -> None:
    """Write the gradient with respect to the images, factor dy + slope x + constant.

    Args:
        images: input x.
        gradient: gradient of the loss with respect to the pooled images.
        pooled: pooled images. dy is `gradient` where these are positive, and 0 where the ReLU was
            inactive.
        argmax: position in each pool at which dy applies; dy is 0 at the other positions.
        coefficients: factor, slope and constant of each channel.
        result: output, gradient of the loss with respect to the images.
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
                    passes = _to_float32(pooled[n, i, j, c]) > zero
                    dy = factor[c] * _to_float32(gradient[n, i, j, c]) if passes else zero
                    position = argmax[n, i, j, c]
                    x0 = _to_float32(images[n, 2 * i, 2 * j, c])
                    x1 = _to_float32(images[n, 2 * i, 2 * j + 1, c])
                    x2 = _to_float32(images[n, 2 * i + 1, 2 * j, c])
                    x3 = _to_float32(images[n, 2 * i + 1, 2 * j + 1, c])
                    x0 = a * x0 + b + (dy if position == 0 else zero)
                    x1 = a * x1 + b + (dy if position == 1 else zero)
                    x2 = a * x2 + b + (dy if position == 2 else zero)
                    x3 = a * x3 + b + (dy if position == 3 else zero)
                    result[n, 2 * i, 2 * j, c] = _from_float32(x0, result)
                    result[n, 2 * i, 2 * j + 1, c] = _from_float32(x1, result)
                    result[n, 2 * i + 1, 2 * j, c] = _from_float32(x2, result)
                    result[n, 2 * i + 1, 2 * j + 1, c] = _from_float32(x3, result)
        for i in range(rows):
            first = 2 * pooled_columns if i < 2 * pooled_rows else 0
            for j in range(first, columns):
                for c in range(channels):
                    x = slope[c] * _to_float32(images[n, i, j, c]) + constant[c]
                    result[n, i, j, c] = _from_float32(x, result)


def _to_float32_intrinsic(_typing: Any, pixel: Any) -> Any:
    """Convert a pixel to float32."""

    def unchanged(_context: Any, _builder: Any, _signature: Any, arguments: Any) -> Any:
        return arguments[0]

    def converted(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits = builder.shl(builder.zext(arguments[0], _WORD), _WORD(16))
        return builder.bitcast(bits, ir.FloatType())

    return types.float32(pixel), converted if pixel == types.uint16 else unchanged


def _from_float32_intrinsic(_typing: Any, _value: Any, images: Any) -> Any:
    """Convert a float32 to the type of `images`; bfloat16 is rounded to nearest, ties to even."""

    def unchanged(_context: Any, _builder: Any, _signature: Any, arguments: Any) -> Any:
        return arguments[0]

    def converted(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        bits = builder.bitcast(arguments[0], _WORD)
        odd = builder.and_(builder.lshr(bits, _WORD(16)), _WORD(1))
        rounded = builder.add(builder.add(bits, _WORD(0x7FFF)), odd)
        return builder.trunc(builder.lshr(rounded, _WORD(16)), ir.IntType(16))

    is_bfloat16 = images.dtype == types.uint16
    return images.dtype(types.float32, images), converted if is_bfloat16 else unchanged


_WORD = ir.IntType(32)

# Assignments instead of decorators, because type checkers would require callers to pass the typing
# context, which numba passes itself.
_to_float32: Any = intrinsic(_to_float32_intrinsic)
_from_float32: Any = intrinsic(_from_float32_intrinsic)
