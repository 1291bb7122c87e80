"""Batch normalisation, 2 x 2 max pooling and rectification, on a processor all in one.

Axes: N frame of any case, C channel, H row, W column, h = H // 2, w = W // 2, P part, M moment.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable
from torch.nn import functional

from fwdecg.model.batch_norm import FrameBatchNorm, merged_moments, moments_of_all, worker_count
from fwdecg.model.threads import in_threads, parts_of


class PooledNorm(FrameBatchNorm):
    """`FrameBatchNorm`, then 2 x 2 max pooling, then ReLU.

    On a processor torch goes through memory a dozen times for that and for its gradient, and most
    of an epoch is spent so; this goes three times, in `fwdecg.kernels.pooling`. Elsewhere, in
    an exported program, and where a gradient is asked for in evaluation, torch does it.
    """

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
        """Pooled frames; in training the running statistics are updated."""
        if not self._at_once(input):
            return functional.relu(functional.max_pool2d(super().forward(input), 2))
        frames = input.contiguous(memory_format=torch.channels_last)
        if self.training:
            pooled, count, mean, variance = _PooledNorm.apply(
                frames, self.weight, self.bias, self.eps
            )
            self.track(count, mean, variance)
            return pooled
        assert self.running_mean is not None
        assert self.running_var is not None
        slope = self.weight * torch.rsqrt(self.running_var + self.eps)
        return _pool(frames, slope, self.bias - self.running_mean * slope)[0]

    def _at_once(self, frames: Tensor) -> bool:
        return (
            frames.device.type == "cpu"
            and frames.dtype in {torch.float32, torch.bfloat16}
            and not torch.compiler.is_compiling()  # exports too
            and (self.training or not torch.is_grad_enabled())
        )


class _PooledNorm(torch.autograd.Function):
    """In training, by the statistics of all workers; count, mean and variance are returned too."""

    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count, mean, variance = moments_of_all(*_moments(frames))
        inverse_spread = torch.rsqrt(variance + eps)
        slope = weight * inverse_spread
        pooled, chosen, places = _pool(frames, slope, bias - mean * slope)
        ctx.save_for_backward(frames, pooled, chosen, places, slope, count, mean, inverse_spread)
        ctx.mark_non_differentiable(count, mean, variance)
        return pooled, count, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of frames, weight and bias; those of weight and bias are this worker's own.

        As for `FrameBatchNorm`, with dy only where a pool has its greatest and that is above 0.
        """
        frames, pooled, chosen, places, slope, count, mean, inverse_spread = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        by_bias, by_slope = _gradient_sums(gradient, pooled, chosen, mean)
        by_weight = by_slope * inverse_spread
        means = torch.stack((by_bias, by_weight)) / count
        if worker_count() > 1:
            distributed.all_reduce(means)
        constant, along_z = slope * means
        along = along_z * inverse_spread
        coefficients = torch.stack((slope, -along, along * mean - constant))
        by_frame = _frame_gradient(frames, gradient, pooled, places, coefficients)
        return by_frame, by_weight, by_bias, None


def _moments(
    frames: Float[Tensor, "N C H W"],
) -> tuple[Float[Tensor, ""], Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Number of values, mean and biased variance of each channel."""
    images = _images(frames)
    parts = parts_of(len(images))
    totals = torch.empty((len(parts), 2, frames.shape[1]), dtype=torch.float64)

    def work(part: slice, number: int) -> None:
        _kernels().moments(images[part], totals[number].numpy())

    in_threads(work, parts)
    pixels = frames.shape[2] * frames.shape[3]
    counts = torch.tensor([(part.stop - part.start) * pixels for part in parts])
    gathered = torch.cat((counts[:, None, None].expand(-1, 1, totals.shape[2]), totals), dim=1)
    count, mean, variance = merged_moments(gathered)
    return count, mean.float(), variance.float()


def _pool(
    frames: Float[Tensor, "N C H W"], slope: Float[Tensor, " C"], constant: Float[Tensor, " C"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Pooled frames, what was chosen of each pool, and its place in it."""
    count, channels, rows, columns = frames.shape
    shape = (count, channels, rows // 2, columns // 2)
    pooled, chosen, places = (
        torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)
        for dtype in (frames.dtype, frames.dtype, torch.uint8)
    )
    arrays = [_images(tensor) for tensor in (frames, pooled, chosen, places)]
    lines = [line.detach().numpy() for line in (slope, constant)]

    def work(part: slice, _number: int) -> None:
        images, *results = (array[part] for array in arrays)
        _kernels().normalise_and_pool(images, *lines, *results)

    in_threads(work, parts_of(count))
    return pooled, chosen, places


def _gradient_sums(
    gradient: Tensor, pooled: Tensor, chosen: Tensor, mean: Float[Tensor, " C"]
) -> Float[Tensor, "2 C"]:
    """Sums over all frames of dy and of dy (x - mean)."""
    arrays = [_images(tensor) for tensor in (gradient, pooled, chosen)]
    parts = parts_of(len(pooled))
    totals = torch.empty((len(parts), 2, pooled.shape[1]), dtype=torch.float64)

    def work(part: slice, number: int) -> None:
        own = (array[part] for array in arrays)
        _kernels().gradient_sums(*own, mean.numpy(), totals[number].numpy())

    in_threads(work, parts)
    return totals.sum(0).float()


def _frame_gradient(
    frames: Tensor,
    gradient: Tensor,
    pooled: Tensor,
    places: Tensor,
    coefficients: Float[Tensor, "3 C"],
) -> Float[Tensor, "N C H W"]:
    result = torch.empty_like(frames, memory_format=torch.channels_last)
    arrays = [_images(tensor) for tensor in (frames, gradient, pooled, places)]
    images = _images(result)

    def work(part: slice, _number: int) -> None:
        own = (array[part] for array in arrays)
        _kernels().image_gradient(*own, coefficients.numpy(), images[part])

    in_threads(work, parts_of(len(frames)))
    return result


def _images(frames: Tensor) -> Any:
    """The array (N, H, W, C) in which frames lie; of bfloat16 the bits."""
    images = frames.detach().permute(0, 2, 3, 1)
    return (images.view(torch.uint16) if images.dtype == torch.bfloat16 else images).numpy()


def _kernels() -> Any:
    """When they are needed, for numba takes half a second to load."""
    from fwdecg.kernels import pooling  # noqa: PLC0415

    return pooling
