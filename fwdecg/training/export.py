"""Export a trained surrogate to formats that run without this software: torch.export and ONNX.

Axes: N case, T frame, H row, W column, E electrode.

Each program takes dimensionless float32 maps `u` (N, T, H, W) of any number of cases and returns
the ECG `phi_e` (N, E, T) in mm/ms. The training fixes the numbers of frames and pixels.
"""

import logging
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float32
from torch import Tensor, nn

from fwdecg.errors import ConfigError, RunError
from fwdecg.model import Surrogate
from fwdecg.runtime.ownership import record_owner
from fwdecg.runtime.storage import METRICS_FILE, Store
from fwdecg.training.trained_surrogate import TrainedSurrogate, predict_maps
from fwdecg.training.training_spec import ModelSignature

WEIGHTS, PROGRAM, ONNX = "surrogate.safetensors", "surrogate.pt2", "surrogate.onnx"
ONNX_EXTRA = ("onnx", "onnxscript", "onnxruntime")

# Batch sizes for which a program is compared with the network.
COMPARED_BATCH_SIZES = (1, 3)
# Tolerance for the standardised ECG. A program sums in another order, which changes the ECG by
# about 1e-6 after 160 recurrent steps in float32. An error of the export would be much larger.
LARGEST_DIFFERENCE = 1e-4

Program = Callable[[Float32[np.ndarray, "N T H W"]], Float32[np.ndarray, "N E T"]]


class Predictor(nn.Module):
    """A module whose forward pass is the surrogate's `predict`."""

    def __init__(self, surrogate: Surrogate) -> None:
        """Wrap a surrogate in evaluation mode."""
        super().__init__()
        self.surrogate = surrogate

    def forward(self, u: Float[Tensor, "N T H W"]) -> Float[Tensor, "N E T"]:
        """Return the ECG in mm/ms."""
        return self.surrogate.phi_e_score.inverse(self.surrogate(u)).mT


def export_surrogate(trained: TrainedSurrogate, folder: Path, *, onnx: bool) -> dict[str, Any]:
    """Export a surrogate; publish each program after comparing it with the network.

    Args:
        trained: surrogate to export.
        folder: result folder, which must be empty or belong to this surrogate.
        onnx: whether to export to ONNX as well.

    Returns:
        The content of metrics.json: the description of the surrogate, and the largest difference
        between each program's ECG and the network's, in z-scores.

    Raises:
        ConfigError: `onnx` is true, but a package that it needs is not installed.
        ResultError: the folder contains another result.
        RunError: a program differs from the network.
    """
    missing = [name for name in ONNX_EXTRA if find_spec(name) is None]
    if onnx and missing:
        raise ConfigError(
            f"ONNX needs {', '.join(missing)}, not installed here; install fwdecg[onnx]"
        )
    store = Store.at(folder)
    record_owner(store, trained.describe())
    store.publish_with(WEIGHTS, trained.save)
    program = export_program(trained)
    differences = {}

    def write_program(path: Path) -> None:
        with warnings.catch_warnings():
            # The warning concerns weights in channels-last order on a GPU; these are on the CPU.
            warnings.filterwarnings("ignore", "No complete tensor found")
            torch.export.save(program, path)
        differences[PROGRAM] = _compare(trained, _load_program(path), PROGRAM)

    def write_onnx(path: Path) -> None:
        _export_onnx(program, path)
        differences[ONNX] = _compare(trained, _load_onnx(path), ONNX)

    store.publish_with(PROGRAM, write_program)
    if onnx:
        store.publish_with(ONNX, write_onnx)
    metrics = trained.describe() | {"largest_difference": differences}
    store.publish_json(METRICS_FILE, metrics)
    store.clear_staging()
    return metrics


def export_program(trained: TrainedSurrogate) -> torch.export.ExportedProgram:
    """Return the surrogate as a graph of tensor operations for any number of cases."""
    example = torch.from_numpy(_example_maps(trained.signature, cases=2))
    cases = torch.export.Dim("cases", min=1)
    predictor = Predictor(trained.build()).eval()
    with torch.no_grad():
        return torch.export.export(predictor, (example,), dynamic_shapes={"u": {0: cases}})


def _export_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    # torch warns about optional packages that are missing or outdated.
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            exported = torch.onnx.export(
                program, input_names=["u"], output_names=["phi_e"], dynamo=True, verbose=False
            )
    finally:
        logger.setLevel(level)
    assert exported is not None, "torch.onnx returns a program if it is given no path"
    exported.save(path, external_data=False)


def _load_program(path: Path) -> Program:
    module = torch.export.load(path).module()
    return lambda u: module(torch.from_numpy(u)).detach().numpy()


def _load_onnx(path: Path) -> Program:
    import onnxruntime  # noqa: PLC0415  # an optional dependency

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda u: session.run(["phi_e"], {"u": u})[0]


def _compare(trained: TrainedSurrogate, program: Program, name: str) -> float:
    """Return the largest difference between a program's ECG and the network's, in z-scores.

    Raises:
        RunError: the difference is too large.
    """
    surrogate = trained.build()
    standard_deviation = np.array(trained.standardisation.phi_e_spread)[:, None]
    differences = []
    for cases in COMPARED_BATCH_SIZES:
        u = _example_maps(trained.signature, cases)
        difference = program(u) - predict_maps(surrogate, u, cases)
        differences.append(float(np.abs(difference / standard_deviation).max()))
    largest = max(differences)
    if not largest <= LARGEST_DIFFERENCE:
        raise RunError(
            f"{name} differs from the network by {largest:.1e} of the ECG's standard deviation: "
            f"must be at most {LARGEST_DIFFERENCE:g}; it was not written"
        )
    return largest


def _example_maps(signature: ModelSignature, cases: int) -> Float32[np.ndarray, "N T H W"]:
    """Return random maps in the format of the training; equal arguments give equal maps."""
    shape = (cases, signature.frames, signature.map_pixels, signature.map_pixels)
    return np.random.default_rng(cases).random(shape, dtype=np.float32)
