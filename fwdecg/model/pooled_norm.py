"""Batch normalisation, 2 x 2 max pooling and ReLU, fused into one operation on a CPU.

Axes: N frame of all cases, C channel, H row, W column, h = H // 2, w = W // 2.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed
from torch.autograd.function import once_differentiable
from torch.nn import functional

from fwdecg.model.batch_norm import FrameBatchNorm, gather_moments, merge_moments, worker_count
from fwdecg.model.cpu_kernels import kernels_support, run_in_threads, split_range


class PooledNorm(FrameBatchNorm):
    """`FrameBatchNorm`, then 2 x 2 max pooling, then ReLU.

    On a CPU, torch needs about a dozen passes over memory for this and its gradient, which would
    take most of an epoch. The kernels of `fwdecg.kernels.pooling` need three. Torch does the work
    on other devices, in an exported program, and where evaluation needs gradients.
    """

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C h w"]:
        """Return pooled frames; in training, also update the running statistics."""
        if not self._uses_kernels(input):
            return functional.relu(functional.max_pool2d(super().forward(input), 2))
        frames = input.contiguous(memory_format=torch.channels_last)
        if self.training:
            pooled, count, mean, variance = _PooledNorm.apply(
                frames, self.weight, self.bias, self.eps
            )
            self.update_running_statistics(count, mean, variance)
            return pooled
        assert self.running_mean is not None
        assert self.running_var is not None
        slope = self.weight * torch.rsqrt(self.running_var + self.eps)
        return _pool(frames, slope, self.bias - self.running_mean * slope)[0]

    def _uses_kernels(self, frames: Tensor) -> bool:
        return kernels_support(frames, torch.float32, torch.bfloat16) and (
            self.training or not torch.is_grad_enabled()
        )


class _PooledNorm(torch.autograd.Function):
    """`PooledNorm` in training: uses the moments of all workers, and also returns them."""

    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count, mean, variance = gather_moments(*_moments(frames))
        inverse_deviation = torch.rsqrt(variance + eps)
        slope = weight * inverse_deviation
        pooled, maxima, places = _pool(frames, slope, bias - mean * slope)
        ctx.save_for_backward(frames, pooled, maxima, places, slope, count, mean, inverse_deviation)
        ctx.mark_non_differentiable(count, mean, variance)
        return pooled, count, mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the frame gradient, and this worker's terms of the weight and bias gradients.

        The formula is that of batch normalisation without pooling (`batch_norm`). Here dy is 0
        everywhere except at the maximum of each pool, and there only if this is positive.
        """
        frames, pooled, maxima, places, slope, count, mean, inverse_deviation = ctx.saved_tensors
        gradient = gradients[0].contiguous(memory_format=torch.channels_last)
        bias_gradient, slope_gradient = _gradient_sums(gradient, pooled, maxima, mean)
        weight_gradient = slope_gradient * inverse_deviation
        means = torch.stack((bias_gradient, weight_gradient)) / count
        if worker_count() > 1:
            distributed.all_reduce(means)
        constant, z_coefficient = slope * means
        mean_slope = z_coefficient * inverse_deviation
        coefficients = torch.stack((slope, -mean_slope, mean_slope * mean - constant))
        frame_gradient = _frame_gradient(frames, gradient, pooled, places, coefficients)
        return frame_gradient, weight_gradient, bias_gradient, None


def _moments(
    frames: Float[Tensor, "N C H W"],
) -> tuple[Float[Tensor, ""], Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Return the number of values, and mean and biased variance of each channel."""
    images = _images(frames)
    parts = split_range(len(images))
    totals = torch.empty((len(parts), 2, frames.shape[1]), dtype=torch.float64)

    def work(part: slice, number: int) -> None:
        _load_kernels().moments(images[part], totals[number].numpy())

    run_in_threads(work, parts)
    pixels = frames.shape[2] * frames.shape[3]
    counts = torch.tensor([(part.stop - part.start) * pixels for part in parts])
    gathered = torch.cat((counts[:, None, None].expand(-1, 1, totals.shape[2]), totals), dim=1)
    count, mean, variance = merge_moments(gathered)
    return count, mean.float(), variance.float()


def _pool(
    frames: Float[Tensor, "N C H W"], slope: Float[Tensor, " C"], constant: Float[Tensor, " C"]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return pooled frames, the input at each pool's maximum, and its place in the pool."""
    count, channels, rows, columns = frames.shape
    shape = (count, channels, rows // 2, columns // 2)
    pooled, maxima, places = (
        torch.empty(shape, dtype=dtype, memory_format=torch.channels_last)
        for dtype in (frames.dtype, frames.dtype, torch.uint8)
    )
    arrays = [_images(tensor) for tensor in (frames, pooled, maxima, places)]
    lines = [line.detach().numpy() for line in (slope, constant)]

    def work(part: slice, _number: int) -> None:
        images, *results = (array[part] for array in arrays)
        _load_kernels().normalise_and_pool(images, *lines, *results)

    run_in_threads(work, split_range(count))
    return pooled, maxima, places


def _gradient_sums(
    gradient: Tensor, pooled: Tensor, maxima: Tensor, mean: Float[Tensor, " C"]
) -> Float[Tensor, "2 C"]:
    """Return the sums of dy and of dy (x - mean) over all frames."""
    arrays = [_images(tensor) for tensor in (gradient, pooled, maxima)]
    parts = split_range(len(pooled))
    totals = torch.empty((len(parts), 2, pooled.shape[1]), dtype=torch.float64)

    def work(part: slice, number: int) -> None:
        own = (array[part] for array in arrays)
        _load_kernels().gradient_sums(*own, mean.numpy(), totals[number].numpy())

    run_in_threads(work, parts)
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
        _load_kernels().image_gradient(*own, coefficients.numpy(), images[part])

    run_in_threads(work, split_range(len(frames)))
    return result


def _images(frames: Tensor) -> Any:
    """Return a view of frames as an array (N, H, W, C); bfloat16 as the same bits in uint16."""
    images = frames.detach().permute(0, 2, 3, 1)
    return (images.view(torch.uint16) if images.dtype == torch.bfloat16 else images).numpy()


def _load_kernels() -> Any:
    """Import the kernels on first use, because numba takes half a second to load."""
    from fwdecg.kernels import pooling  # noqa: PLC0415

    return pooling
