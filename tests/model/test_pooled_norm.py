"""Normalised, pooled and rectified in one pass: what torch does in three, and its gradients."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, distributed, nn
from torch.nn import functional

from fwdecg.model.batch_norm import FrameBatchNorm
from fwdecg.model.pooled_norm import PooledNorm

CHANNELS = 5
BATCHES = (3, 2)  # of the two workers
STEPS = 2
WEIGHT = [1.0, -2.0, 0.5, 3.0, 0.0]
BIAS = [0.0, 1.0, -1.0, 2.0, 0.5]


class ByTorch(nn.BatchNorm2d):
    def forward(self, input: Tensor) -> Tensor:
        return functional.relu(functional.max_pool2d(super().forward(input), 2))


def _frames(rows: int = 6, columns: int = 10) -> Tensor:
    """(N, C, H, W) whose channels differ in mean and spread, as do the workers' shares."""
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(sum(BATCHES), CHANNELS, rows, columns, generator=generator)
    frames[BATCHES[0] :] += 2.0
    shifts = torch.tensor([0.0, 1.0, -3.0, 30.0, 0.0])[:, None, None]
    return frames * torch.tensor([1.0, 0.1, 5.0, 1.0, 2.0])[:, None, None] + shifts


def _cotangent(rows: int = 3, columns: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(sum(BATCHES), CHANNELS, rows, columns, generator=generator)


def _run(layer: nn.BatchNorm2d, frames: Tensor, cotangent: Tensor) -> dict[str, Tensor]:
    """Outputs, gradients and buffers of two training steps, then the output in evaluation."""
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


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize(("rows", "columns"), [(6, 10), (7, 11), (2, 3)])
def test_float32_gives_what_torch_gives_in_float64(
    rows: int, columns: int, order: torch.memory_format, threads: int
) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        frames = _frames(rows, columns)
        cotangent = _cotangent(rows // 2, columns // 2)
        ours = _run(PooledNorm(CHANNELS), frames.to(memory_format=order), cotangent)
    finally:
        torch.set_num_threads(before)
    theirs = _run(ByTorch(CHANNELS).double(), frames.double(), cotangent.double())
    for name, expected in theirs.items():
        torch.testing.assert_close(ours[name].to(expected), expected, rtol=2e-5, atol=2e-5)


def test_bfloat16_is_rounded_once() -> None:
    frames, cotangent = _frames().bfloat16(), _cotangent().bfloat16()
    ours = _run(PooledNorm(CHANNELS), frames, cotangent)
    theirs = _run(ByTorch(CHANNELS).double(), frames.double(), cotangent.double())
    assert ours["output"].dtype == ours["input_gradient"].dtype == torch.bfloat16
    for name, expected in theirs.items():
        rounding = 2.0**-8 if ours[name].dtype == torch.bfloat16 else 1e-4
        torch.testing.assert_close(ours[name].to(expected), expected, rtol=rounding, atol=1e-4)


def test_of_equal_values_the_first_is_chosen_as_by_torch() -> None:
    frames = torch.zeros(1, CHANNELS, 4, 4)
    frames[..., 2:] = 1.0
    cotangent = torch.ones(1, CHANNELS, 2, 2)
    ours = _run(PooledNorm(CHANNELS), frames, cotangent)
    theirs = _run(ByTorch(CHANNELS), frames, cotangent)
    for name, expected in theirs.items():
        torch.testing.assert_close(ours[name], expected, rtol=1e-5, atol=1e-5)


def test_what_is_not_a_number_is_not_hidden() -> None:
    frames = _frames()
    frames[0, 0, 0, 0] = torch.nan
    assert PooledNorm(CHANNELS)(frames)[:, 0].isnan().all()


def test_gradients_in_evaluation_are_torchs() -> None:
    frames = _frames().requires_grad_()
    layer = PooledNorm(CHANNELS).eval()
    layer(frames).sum().backward()
    expected = _frames().requires_grad_()
    ByTorch(CHANNELS).eval()(expected).sum().backward()
    assert frames.grad is not None
    assert expected.grad is not None
    assert torch.equal(frames.grad, expected.grad)


def test_other_precisions_are_torchs() -> None:
    assert torch.equal(
        PooledNorm(CHANNELS).double()(_frames().double()),
        ByTorch(CHANNELS).double()(_frames().double()),
    )


def test_checkpoints_are_those_of_a_batch_norm() -> None:
    assert list(PooledNorm(CHANNELS).state_dict()) == list(FrameBatchNorm(CHANNELS).state_dict())


def _worker(rank: int, folder: Path, precision: str) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=len(BATCHES)
    )
    share = _frames().split(BATCHES)[rank].to(getattr(torch, precision))
    result = _run(PooledNorm(CHANNELS), share, _cotangent().split(BATCHES)[rank])
    torch.save(result, folder / f"{rank}.pt")
    distributed.destroy_process_group()


# bfloat16 keeps 8 bits, of values up to 10 here.
@pytest.mark.parametrize(("precision", "tolerance"), [("float32", 1e-4), ("bfloat16", 1e-1)])
def test_two_workers_of_uneven_batches_equal_one(
    tmp_path: Path, precision: str, tolerance: float
) -> None:
    ranks = range(len(BATCHES))
    arguments = [[str(rank), str(tmp_path), precision] for rank in ranks]
    processes = [subprocess.Popen([sys.executable, __file__, *own]) for own in arguments]
    assert [process.wait(timeout=100) for process in processes] == [0, 0]
    workers = [torch.load(tmp_path / f"{rank}.pt") for rank in ranks]
    frames = _frames().to(getattr(torch, precision))
    joint = _run(PooledNorm(CHANNELS), frames, _cotangent())
    for name in ("output", "input_gradient", "evaluated"):
        joined = torch.cat([worker[name] for worker in workers])
        torch.testing.assert_close(joined, joint[name], rtol=tolerance, atol=tolerance)
    for name in ("weight_gradient", "bias_gradient"):
        total = sum(worker[name] for worker in workers)
        torch.testing.assert_close(total, joint[name], rtol=tolerance, atol=tolerance)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        for worker in workers:
            torch.testing.assert_close(worker[name], joint[name], rtol=1e-5, atol=1e-5)


if __name__ == "__main__":  # one of the two workers, started by the test above
    _worker(int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
