"""A trained surrogate in forms that run without this software: torch.export, and ONNX.

Axes: N case, T frame, H row, W column, E electrode.

Each program takes dimensionless float32 maps `u` (N, T, H, W), of any number of cases, and gives
the ECG `phi_e` (N, E, T) in the library's unit. Frames and pixels are those of the training.
"""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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

# Cases of the batches on which a program is compared with the network: one, and some.
COMPARED_BATCHES = (1, 3)
# Of the standardised ECG. Programs add in another order; over 160 recurrent steps in float32 that
# comes to some 1e-6, an error of the export to much more.
LARGEST_DIFFERENCE = 1e-4

Program = Callable[[Float32[np.ndarray, "N T H W"]], Float32[np.ndarray, "N E T"]]


class Predictor(nn.Module):
    """A surrogate's `predict` as the forward pass of a module."""

    def __init__(self, surrogate: Surrogate) -> None:
        """Wrap a surrogate in evaluation mode."""
        super().__init__()
        self.surrogate = surrogate

    def forward(self, u: Float[Tensor, "N T H W"]) -> Float[Tensor, "N E T"]:
        """ECG in the library's unit."""
        return self.surrogate.phi_e_score.inverse(self.surrogate(u)).mT


def export_surrogate(trained: TrainedSurrogate, folder: Path, *, onnx: bool) -> dict[str, Any]:
    """Write a surrogate's portable forms, each compared with the network before it is published.

    Args:
        trained: the surrogate.
        folder: of the files; it belongs to this surrogate.
        onnx: whether to write ONNX too.

    Returns:
        The content of metrics.json: what the surrogate is, and the largest difference of each
        program's ECG, in z-scores.

    Raises:
        ConfigError: ONNX is asked for, and its packages are not installed.
        ResultError: the folder holds something else.
        RunError: a program does not agree with the network.
    """
    if onnx:
        _require_onnx()
    store = Store.at(folder)
    record_owner(store, trained.describe())
    store.publish_with(WEIGHTS, trained.save)
    program = export_program(trained)
    differences = {}

    def write_program(path: Path) -> None:
        with warnings.catch_warnings():
            # Weights in channels-last order on a GPU might be lost; these are on the CPU.
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
    """The surrogate as a graph of tensor operations with any number of cases."""
    example = torch.from_numpy(_example_maps(trained.signature, cases=2))
    cases = torch.export.Dim("cases", min=1)
    predictor = Predictor(trained.build()).eval()
    with torch.no_grad():
        return torch.export.export(predictor, (example,), dynamic_shapes={"u": {0: cases}})


def _export_onnx(program: torch.export.ExportedProgram, path: Path) -> None:
    with _quiet_exporter():
        exported = torch.onnx.export(
            program, input_names=["u"], output_names=["phi_e"], dynamo=True, verbose=False
        )
    assert exported is not None, "torch.onnx gives a program where no path is given"
    exported.save(path, external_data=False)


@contextmanager
def _quiet_exporter() -> Iterator[None]:
    """Nothing of torch's remarks on packages that are not needed here, or are not its newest."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _load_program(path: Path) -> Program:
    module = torch.export.load(path).module()

    def predict(u: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            return module(torch.from_numpy(u)).numpy()

    return predict


def _load_onnx(path: Path) -> Program:
    import onnxruntime  # noqa: PLC0415  # an extra

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda u: session.run(["phi_e"], {"u": u})[0]


def _require_onnx() -> None:
    missing = [name for name in ONNX_EXTRA if find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"ONNX needs {', '.join(missing)}, not installed here; install fwdecg[onnx]"
        )


def _compare(trained: TrainedSurrogate, program: Program, name: str) -> float:
    """The largest difference between a program's ECG and the network's, in z-scores.

    Raises:
        RunError: it is too large.
    """
    surrogate = trained.build()
    spread = np.array(trained.standardisation.phi_e_spread)[:, None]
    differences = []
    for cases in COMPARED_BATCHES:
        u = _example_maps(trained.signature, cases)
        difference = program(u) - predict_maps(surrogate, u, cases)
        differences.append(float(np.abs(difference / spread).max()))
    largest = max(differences)
    if not largest <= LARGEST_DIFFERENCE:
        raise RunError(
            f"{name} differs from the network by {largest:.1e} of the ECG's spread: must be at "
            f"most {LARGEST_DIFFERENCE:g}; it was not written"
        )
    return largest


def _example_maps(signature: ModelSignature, cases: int) -> Float32[np.ndarray, "N T H W"]:
    """Maps of the trained kind, drawn at random: each case another one, the same each time."""
    shape = (cases, signature.frames, signature.map_pixels, signature.map_pixels)
    return np.random.default_rng(cases).random(shape, dtype=np.float32)
