"""Batch normalisation whose statistics span all workers of a distributed training run.

Axes: N frame of any case, C channel, H row, W column, P part, M moment.
"""

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, distributed, nn

# Of torch's backward kernel: not the frames' gradient, but those of weight and bias.
SUMS_ALONE = [False, True, True]


class FrameBatchNorm(nn.BatchNorm2d):
    """Batch normalisation over (N, H, W) of the frames of all workers together.

    One worker of batch 8 and two of batch 4 train the same network. `torch.nn.SyncBatchNorm` does
    that on accelerators alone (it raises on CPU tensors); this one runs wherever the process group
    does, and the workers' batches may differ in size, but none may be empty. With one worker, or
    in evaluation, it is `torch.nn.BatchNorm2d`.
    """

    def forward(self, input: Float[Tensor, "N C H W"]) -> Float[Tensor, "N C H W"]:
        """Normalised frames; in training the running statistics are updated."""
        if not self.training or worker_count() == 1:
            return super().forward(input)
        normalised, count, mean, variance = _NormaliseTogether.apply(
            input, self.weight, self.bias, self.eps
        )
        self.track(count, mean, variance)
        return normalised

    def track(
        self, count: Float[Tensor, ""], mean: Float[Tensor, " C"], variance: Float[Tensor, " C"]
    ) -> None:
        """Update the running statistics by those of a batch."""
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.num_batches_tracked is not None
        assert self.momentum is not None
        self.num_batches_tracked.add_(1)
        self.running_mean.lerp_(mean, self.momentum)
        # torch tracks the unbiased variance, though it normalises by the biased one.
        self.running_var.lerp_(variance * count / (count - 1), self.momentum)


def worker_count() -> int:
    """Number of workers of the training, 1 where nothing is distributed."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_world_size()
    return 1


class _NormaliseTogether(torch.autograd.Function):
    """Batch normalisation by the statistics of all workers, with torch's own local kernels.

    The biased variance and the mean are also returned, for the running statistics.
    """

    @staticmethod
    def forward(
        ctx: Any, frames: Tensor, weight: Tensor, bias: Tensor, eps: float
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        count, mean, variance = moments_of_all(*_moments(frames, weight, eps))
        inverse_spread = torch.rsqrt(variance + eps)
        scale = weight * inverse_spread
        ctx.save_for_backward(frames, weight, count, mean, inverse_spread)
        ctx.mark_non_differentiable(count, mean, variance)
        return _affine(frames, scale, bias - mean * scale), count, mean, variance

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        """Gradients of frames, weight and bias; those of weight and bias are this worker's own.

        With z the normalised frame before weight and bias, the gradient of a frame is
        scale (dy - mean(dy) - z mean(dy z)), with the means over the frames of all workers.
        """
        frames, weight, count, mean, inverse_spread = ctx.saved_tensors
        _, by_weight, by_bias = torch.ops.aten.native_batch_norm_backward(
            gradients[0], frames, weight, None, None, mean, inverse_spread, True, 0.0, SUMS_ALONE
        )
        means = torch.stack((by_weight, by_bias)) / count
        distributed.all_reduce(means)
        scale = weight * inverse_spread
        along_z, constant = scale * means
        slope = along_z * inverse_spread
        by_frame = _affine(frames, -slope, slope * mean - constant)
        return by_frame.add_(_affine(gradients[0], scale)), by_weight, by_bias, None


def _affine(
    frames: Float[Tensor, "N C H W"],
    slope: Float[Tensor, " C"],
    constant: Float[Tensor, " C"] | None = None,
) -> Float[Tensor, "N C H W"]:
    """Frames times a slope plus a constant, both by channel, in the precision of the frames.

    torch's kernel of batch normalisation does it in one pass, whatever the precisions; elementwise
    operations would widen bfloat16 frames on the way.
    """
    constant = torch.zeros_like(slope) if constant is None else constant
    zero, one = torch.zeros_like(slope), torch.ones_like(slope)
    return torch.native_batch_norm(frames, slope, constant, zero, one, False, 0.0, 0.0)[0]


def _moments(
    frames: Float[Tensor, "N C H W"], weight: Float[Tensor, " C"], eps: float
) -> tuple[Float[Tensor, ""], Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Number of values, mean and biased variance per channel."""
    # Several times faster than torch.var_mean, though it normalises too. The weight is there for
    # its precision, which the statistics of bfloat16 frames take.
    _, mean, inverse_spread = torch.native_batch_norm(
        frames, weight, weight, None, None, True, 0.0, eps
    )
    variance = (inverse_spread**-2 - eps).clamp_min(0.0)
    return mean.new_tensor(frames.numel() // frames.shape[1]), mean, variance


def moments_of_all(
    count: Float[Tensor, ""], mean: Float[Tensor, " C"], variance: Float[Tensor, " C"]
) -> tuple[Float[Tensor, ""], Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Count, mean and biased variance per channel over all workers, from each one's own."""
    if worker_count() == 1:
        return count, mean, variance
    moments = torch.stack((count.to(mean).expand_as(mean), mean, variance))
    gathered = [torch.empty_like(moments) for _ in range(worker_count())]
    distributed.all_gather(gathered, moments)
    return merged_moments(torch.stack(gathered))


def merged_moments(
    moments: Float[Tensor, "P M C"],
) -> tuple[Float[Tensor, ""], Float[Tensor, " C"], Float[Tensor, " C"]]:
    """Count, mean and biased variance of the whole from those of its parts.

    Mean and variance of each, not its sums of squares: merging them adds squares alone, and so
    loses no digits where the mean is large against the spread.
    """
    counts, means, variances = moments.unbind(1)
    total = counts.sum(0)
    share = counts / total
    mean = (share * means).sum(0)
    variance = (share * (variances + (means - mean) ** 2)).sum(0)
    return total[0], mean, variance
