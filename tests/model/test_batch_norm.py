"""Batch statistics over workers: two uneven batches give what the joint batch gives."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn

from fwdecg.model.batch_norm import FrameBatchNorm

CHANNELS = 4
BATCHES = (3, 2)  # of the two workers
STEPS = 2


def _frames() -> Tensor:
    """(N, C, H, W) whose channels differ in mean and spread, as do the workers' shares."""
    frames = torch.randn(sum(BATCHES), CHANNELS, 3, 5, generator=torch.Generator().manual_seed(1))
    frames[BATCHES[0] :] += 2.0
    shifts = torch.tensor([0.0, 1.0, -3.0, 30.0])[:, None, None]
    return frames * torch.tensor([1.0, 0.1, 5.0, 1.0])[:, None, None] + shifts


def _run(layer: nn.BatchNorm2d, frames: Tensor, cotangent: Tensor) -> dict[str, Tensor]:
    """Outputs, gradients and buffers of two training steps, then the output in evaluation."""
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, -2.0, 0.5, 3.0]))
        layer.bias.copy_(torch.tensor([0.0, 1.0, -1.0, 2.0]))
    leaf = frames.clone().requires_grad_()
    for _ in range(STEPS):
        output = layer(leaf)
    (output * cotangent).sum().backward()
    assert leaf.grad is not None
    assert layer.weight.grad is not None
    assert layer.bias.grad is not None
    result = {"output": output.detach(), "input_gradient": leaf.grad}
    result |= {"weight_gradient": layer.weight.grad, "bias_gradient": layer.bias.grad}
    result |= {name: buffer.clone() for name, buffer in layer.named_buffers()}
    return result | {"evaluated": layer.eval()(frames).detach()}


def _cotangent() -> Tensor:
    return torch.randn(_frames().shape, generator=torch.Generator().manual_seed(2))


def _worker(rank: int, folder: Path, order: str, precision: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=len(BATCHES)
    )
    share = _frames().split(BATCHES)[rank].to(getattr(torch, precision))
    share = share.to(memory_format=getattr(torch, order))
    result = _run(FrameBatchNorm(CHANNELS), share, _cotangent().split(BATCHES)[rank])
    torch.save(result, folder / f"{rank}.pt")
    distributed.destroy_process_group()


# Values reach 1e2, so float32 rounds to 1e-5; mean and spread pass on a few such roundings.
# bfloat16 keeps 8 bits: frames and outputs are rounded by 2^-8 of their size, up to 10 here.
@pytest.mark.parametrize(
    ("order", "precision", "tolerance"),
    [
        ("contiguous_format", "float32", 1e-4),
        ("channels_last", "float32", 1e-4),
        ("channels_last", "bfloat16", 1e-1),
    ],
)
def test_two_workers_of_uneven_batches_equal_one(
    tmp_path: Path, order: str, precision: str, tolerance: float
) -> None:
    ranks = range(len(BATCHES))
    arguments = [[str(rank), str(tmp_path), order, precision] for rank in ranks]
    commands = [[sys.executable, __file__, *argument] for argument in arguments]
    processes = [subprocess.Popen(command) for command in commands]
    assert [process.wait(timeout=100) for process in processes] == [0, 0]
    workers = [torch.load(tmp_path / f"{rank}.pt") for rank in ranks]
    frames = _frames().to(getattr(torch, precision))
    joint = _run(nn.BatchNorm2d(CHANNELS), frames, _cotangent())
    for name in ("output", "input_gradient", "evaluated"):
        joined = torch.cat([worker[name] for worker in workers])
        torch.testing.assert_close(joined, joint[name], rtol=tolerance, atol=tolerance)
    for name in ("weight_gradient", "bias_gradient"):
        total = sum(worker[name] for worker in workers)
        torch.testing.assert_close(total, joint[name], rtol=tolerance, atol=tolerance)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for worker in workers:
            torch.testing.assert_close(worker[name], joint[name], rtol=1e-5, atol=1e-5)


def test_one_worker_is_plain_batch_norm() -> None:
    ours = _run(FrameBatchNorm(CHANNELS), _frames(), _cotangent())
    plain = _run(nn.BatchNorm2d(CHANNELS), _frames(), _cotangent())
    assert all(torch.equal(ours[name], plain[name]) for name in plain)


if __name__ == "__main__":  # one of the two workers, started by the test above
    _worker(int(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
