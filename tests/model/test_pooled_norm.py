"""Batch normalisation over workers, and the fused normalisation, pooling and ReLU.

Both equal torch in value and gradient, and two workers with uneven batches equal one worker.
"""

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
BATCHES = (3, 2)  # batch sizes of the two workers
STEPS = 2
WEIGHT = [1.0, -2.0, 0.5, 3.0, 0.0]
BIAS = [0.0, 1.0, -1.0, 2.0, 0.5]


class TorchPooledNorm(nn.BatchNorm2d):
    """Reference for `PooledNorm`."""

    def forward(self, input: Tensor) -> Tensor:
        return functional.relu(functional.max_pool2d(super().forward(input), 2))


def _frames(rows: int = 6, columns: int = 10) -> Tensor:
    """Frames (N, C, H, W) whose means and deviations differ between channels and workers."""
    generator = torch.Generator().manual_seed(1)
    frames = torch.randn(sum(BATCHES), CHANNELS, rows, columns, generator=generator)
    frames[BATCHES[0] :] += 2.0
    shifts = torch.tensor([0.0, 1.0, -3.0, 30.0, 0.0])[:, None, None]
    return frames * torch.tensor([1.0, 0.1, 5.0, 1.0, 2.0])[:, None, None] + shifts


def _cotangent(rows: int = 3, columns: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(2)
    return torch.randn(sum(BATCHES), CHANNELS, rows, columns, generator=generator)


def _run(layer: nn.BatchNorm2d, frames: Tensor, cotangent: Tensor) -> dict[str, Tensor]:
    """Return outputs, gradients and buffers of two training steps, and the evaluated output."""
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


@pytest.mark.parametrize(
    ("rows", "columns", "order", "threads"),
    [
        (7, 11, torch.contiguous_format, 2),
        (2, 3, torch.channels_last, 1),
    ],
)
def test_float32_equals_torch_in_float64(
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
    expected_results = _run(TorchPooledNorm(CHANNELS).double(), frames.double(), cotangent.double())
    for name, expected in expected_results.items():
        torch.testing.assert_close(ours[name].to(expected), expected, rtol=2e-5, atol=2e-5)


def test_bfloat16_has_one_rounding_error() -> None:
    frames, cotangent = _frames().bfloat16(), _cotangent().bfloat16()
    ours = _run(PooledNorm(CHANNELS), frames, cotangent)
    expected_results = _run(TorchPooledNorm(CHANNELS).double(), frames.double(), cotangent.double())
    assert ours["output"].dtype == ours["input_gradient"].dtype == torch.bfloat16
    for name, expected in expected_results.items():
        rounding = 2.0**-8 if ours[name].dtype == torch.bfloat16 else 1e-4
        torch.testing.assert_close(ours[name].to(expected), expected, rtol=rounding, atol=1e-4)


def test_ties_go_to_the_first_value_as_in_torch() -> None:
    frames = torch.zeros(1, CHANNELS, 4, 4)
    frames[..., 2:] = 1.0
    cotangent = torch.ones(1, CHANNELS, 2, 2)
    ours = _run(PooledNorm(CHANNELS), frames, cotangent)
    expected_results = _run(TorchPooledNorm(CHANNELS), frames, cotangent)
    for name, expected in expected_results.items():
        torch.testing.assert_close(ours[name], expected, rtol=1e-5, atol=1e-5)


def test_nan_propagates() -> None:
    frames = _frames()
    frames[0, 0, 0, 0] = torch.nan
    assert PooledNorm(CHANNELS)(frames)[:, 0].isnan().all()


def test_gradients_in_evaluation_equal_torch() -> None:
    frames = _frames().requires_grad_()
    layer = PooledNorm(CHANNELS).eval()
    layer(frames).sum().backward()
    expected = _frames().requires_grad_()
    TorchPooledNorm(CHANNELS).eval()(expected).sum().backward()
    assert frames.grad is not None
    assert expected.grad is not None
    assert torch.equal(frames.grad, expected.grad)


def test_other_precisions_equal_torch() -> None:
    assert torch.equal(
        PooledNorm(CHANNELS).double()(_frames().double()),
        TorchPooledNorm(CHANNELS).double()(_frames().double()),
    )


# Layer, precision, tolerance. Values reach 1e2, so float32 rounds to 1e-5. bfloat16 has 8 bits, for
# values up to 10.
DISTRIBUTED: list[tuple[type[nn.BatchNorm2d], torch.dtype, float]] = [
    (FrameBatchNorm, torch.float32, 1e-4),
    (FrameBatchNorm, torch.bfloat16, 1e-1),
    (PooledNorm, torch.float32, 1e-4),
]


def _inputs(layer: type[nn.BatchNorm2d], precision: torch.dtype) -> tuple[Tensor, Tensor]:
    """Return frames and cotangent of all workers for an entry of DISTRIBUTED."""
    frames = _frames().to(precision, memory_format=torch.channels_last)
    return frames, _cotangent() if layer is PooledNorm else _cotangent(6, 10)


def _worker(rank: int, folder: Path) -> None:
    torch.set_num_threads(1)
    distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=len(BATCHES)
    )
    results = []
    for layer, precision, _ in DISTRIBUTED:
        own = (each.split(BATCHES)[rank] for each in _inputs(layer, precision))
        results.append(_run(layer(CHANNELS), *own))
    torch.save(results, folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.fixture(scope="module")
def workers(tmp_path_factory: pytest.TempPathFactory) -> list[list[dict[str, Tensor]]]:
    """Results of both workers for each entry of DISTRIBUTED."""
    folder = tmp_path_factory.mktemp("workers")
    ranks = [str(rank) for rank in range(len(BATCHES))]
    processes = [subprocess.Popen([sys.executable, __file__, r, str(folder)]) for r in ranks]
    assert [process.wait(timeout=300) for process in processes] == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in ranks]


@pytest.mark.slow
@pytest.mark.parametrize("index", range(len(DISTRIBUTED)))
def test_two_workers_with_uneven_batches_equal_one(
    workers: list[list[dict[str, Tensor]]], index: int
) -> None:
    layer, precision, tolerance = DISTRIBUTED[index]
    results = [worker[index] for worker in workers]
    joint = _run(layer(CHANNELS), *_inputs(layer, precision))
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
    _worker(int(sys.argv[1]), Path(sys.argv[2]))
