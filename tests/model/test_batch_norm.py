"""Two workers with uneven batches normalise like one worker with the whole batch."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed

from fwdecg.model.batch_norm import FrameBatchNorm

CHANNELS = 5
BATCHES = (3, 2)  # batch sizes of the two workers
STEPS = 2
WEIGHT = [1.0, -2.0, 0.5, 3.0, 0.0]
BIAS = [0.0, 1.0, -1.0, 2.0, 0.5]
# Values reach 1e2, so float32 rounds to 1e-5. bfloat16 has 8 bits, for values up to 10.
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 1e-1}


def inputs(precision: torch.dtype) -> tuple[Tensor, Tensor]:
    """Frames (N, C, H, W) whose moments differ between channels and workers, and a cotangent."""
    generator = torch.Generator().manual_seed(1)
    frames, cotangent = torch.randn(2, sum(BATCHES), CHANNELS, 6, 10, generator=generator)
    frames[BATCHES[0] :] += 2.0
    shifts = torch.tensor([0.0, 1.0, -3.0, 30.0, 0.0])[:, None, None]
    frames = frames * torch.tensor([1.0, 0.1, 5.0, 1.0, 2.0])[:, None, None] + shifts
    return frames.to(precision, memory_format=torch.channels_last), cotangent


def run(frames: Tensor, cotangent: Tensor) -> dict[str, Tensor]:
    """Return outputs, gradients and buffers of two training steps, and the evaluated output."""
    layer = FrameBatchNorm(CHANNELS)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(WEIGHT))
        layer.bias.copy_(torch.tensor(BIAS))
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
    with torch.no_grad():
        return result | {"evaluated": layer.eval()(frames)}


def work(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=len(BATCHES)
    )
    results = {
        precision: run(*(each.split(BATCHES)[rank] for each in inputs(precision)))
        for precision in TOLERANCE
    }
    torch.save(results, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[dict[torch.dtype, dict[str, Tensor]]]:
    """Results of both workers in each precision."""
    folder = tmp_path_factory.mktemp("workers")
    ranks = [str(rank) for rank in range(len(BATCHES))]
    processes = [subprocess.Popen([sys.executable, __file__, r, str(folder)]) for r in ranks]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in ranks]


@pytest.mark.slow
@pytest.mark.parametrize("precision", TOLERANCE)
def test_two_workers_with_uneven_batches_equal_one(
    workers: list[dict[torch.dtype, dict[str, Tensor]]], precision: torch.dtype
) -> None:
    results, tolerance = [worker[precision] for worker in workers], TOLERANCE[precision]
    joint = run(*inputs(precision))
    for name in ("output", "input_gradient", "evaluated"):
        joined = torch.cat([result[name] for result in results])
        torch.testing.assert_close(joined, joint[name], rtol=tolerance, atol=tolerance)
    for name in ("weight_gradient", "bias_gradient"):
        total = sum(result[name] for result in results)
        torch.testing.assert_close(total, joint[name], rtol=tolerance, atol=tolerance)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for result in results:
            torch.testing.assert_close(result[name], joint[name], rtol=1e-5, atol=1e-5)


if __name__ == "__main__":  # one of the two workers that the fixture starts
    work(int(sys.argv[1]), Path(sys.argv[2]))
