"""Batch normalisation with statistics over all workers of a distributed training.

Axes: N frame of all cases, C channel, H row, W column, P part, M moment (count, mean, variance).
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

# Output mask for torch's backward kernel: only the gradients of weight and bias.
PARAMETERS_ONLY = [False, True, True]


class FrameBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over (N, H, W) of the frames of all workers.

    One worker with batch size 8 and two workers with batch size 4 train the same network.
    `torch.nn.SyncBatchNorm` raises on CPU tensors; this class runs on every device that the process
    group supports. The batches of the workers may differ in size, but none may be empty. With one
    worker, and in evaluation, the class equals `torch.nn.BatchNorm2d`.
    """

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """Return normalised frames; in training, also update the running statistics."""
        if not self.training or worker_count() == 1:
            return super().forward(input)
        normalised, count, mean, variance = _DistributedBatchNorm.apply(
            input, self.weight, self.bias, self.eps
        )
        self._update_running_statistics(count, mean, variance)
        return normalised

    def _update_running_statistics(
        self, count: Float[Tensor, ""], mean: Float[Tensor, " C"], variance: Float[Tensor, " C"]
    ) -> None:
        """Update the running statistics with the moments of a batch."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        # As in torch, the running variance is unbiased, although batches use the biased one.
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)


def worker_count() -> int:
    """Return the number of workers of a distributed training; 1 in a single process."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


class _DistributedBatchNorm(torch.autograd.Function):
    """Batch normalisation with the statistics of all workers, computed by torch's own kernels.

    It also returns count, mean and biased variance, which update the running statistics.
    """

    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count, mean, variance = _gather_moments(*_moments(frames, weight, eps))
        inverse_deviation = torch.rsqrt(variance + eps)
        scale = weight * inverse_deviation
        ctx.save_for_backward(frames, weight, count, mean, inverse_deviation)
        ctx.mark_non_differentiable(count, mean, variance)
        return _affine(frames, scale, bias - mean * scale), count, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Return the frame gradient, and this worker's terms of the weight and bias gradients.

        With z the normalised frame before weight and bias, the gradient of a frame is
        scale (dy - mean(dy) - z mean(dy z)), where the means are over the frames of all workers.
        """
        frames, weight, count, mean, inverse_deviation = ctx.saved_tensors
        dy, outputs = gradients[0], PARAMETERS_ONLY
        _, weight_gradient, bias_gradient = torch.ops.aten.native_batch_norm_backward(
            dy, frames, weight, None, None, mean, inverse_deviation, True, 0.0, outputs
        )
        means = torch.stack((weight_gradient, bias_gradient)) / count
        distributed.all_reduce(means)
        scale = weight * inverse_deviation
        z_coefficient, constant = scale * means
        slope = z_coefficient * inverse_deviation
        frame_gradient = _affine(frames, -slope, slope * mean - constant)
        frame_gradient.add_(_affine(dy, scale))
        return frame_gradient, weight_gradient, bias_gradient, None


def _affine(
    frames: Float[Tensor, "N C H W"],
    slope: Float[Tensor, " C"],
    constant: Float[Tensor, " C"] | None = None,
) -> Float[Tensor, "N C H W"]:
    """Return slope x frames + constant per channel, in the precision of the frames.

    torch's batch normalisation kernel needs one pass for any precision. Elementwise operations
    would convert bfloat16 frames to float32 in between.
    """
    constant = torch.zeros_like(slope) if constant is None else constant
    zero, one = torch.zeros_like(slope), torch.ones_like(slope)
    return torch.native_batch_norm(frames, slope, constant, zero, one, False, 0.0, 0.0)[0]


def _moments(
    frames: Float[Tensor, "N C H W"], weight: Float[Tensor, " C"], eps: float
) -> tuple[Float[Tensor, ""], Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Return the number of values per channel, and mean and biased variance of each channel."""
    # This kernel is several times faster than torch.var_mean, although it also normalises. The
    # weight only sets the precision of the statistics of bfloat16 frames.
    _, mean, inverse_deviation = torch.native_batch_norm(
        frames, weight, weight, None, None, True, 0.0, eps
    )
    variance = (inverse_deviation**-2 - eps).clamp_min(0.0)
    return mean.new_tensor(frames.numel() // frames.shape[1]), mean, variance


def _gather_moments(
    count: Float[Tensor, ""], mean: Float[Tensor, " C"], variance: Float[Tensor, " C"]
) -> tuple[Float[Tensor, ""], Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Return count, mean and biased variance per channel over all workers, given this worker's."""
    moments = torch.stack((count.to(mean).expand_as(mean), mean, variance))
    gathered = [torch.empty_like(moments) for _ in range(worker_count())]
    distributed.all_gather(gathered, moments)
    return _merge_moments(torch.stack(gathered))


def _merge_moments(
    moments: Float[Tensor, "P M C"],
) -> tuple[Float[Tensor, ""], Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Merge the counts, means and biased variances of the parts of a set.

    The variance is a sum of non-negative terms. Mean square minus squared mean would lose
    digits where the mean is large compared with the standard deviation.
    """
    counts, means, variances = moments.unbind(1)
    total = counts.sum(0)
    weights = counts / total
    mean = (weights * means).sum(0)
    variance = (weights * (variances + (means - mean) ** 2)).sum(0)
    return total[0], mean, variance
