"""Exported programs run without fwdecg and return the network's ECG for any number of cases."""

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest
import torch
from synthetic import trained as untrained_weights
from synthetic import waves

from fwdecg.errors import ConfigError, ResultError, RunError
from fwdecg.training import export
from fwdecg.training.export import export_surrogate
from fwdecg.training.trained_surrogate import load_surrogate

# Sums of float32 values around 0.1 are taken in another order.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-6}


@pytest.fixture(
    scope="module", name="trained", params=["dipoles", pytest.param("cnn", marks=pytest.mark.slow)]
)
def _trained(request):
    return untrained_weights(request.param)


@pytest.fixture(scope="module")
def folder(trained, tmp_path_factory):
    root = tmp_path_factory.mktemp("export") / "new"
    export_surrogate(trained, root, onnx=True)
    return root


def test_the_files_of_an_export(folder, trained):
    names = {path.name for path in folder.iterdir()}
    forms = {"surrogate.safetensors", "surrogate.pt2", "surrogate.onnx"}
    assert names == forms | {"config.json", "metrics.json"}
    metrics = json.loads((folder / "metrics.json").read_text())
    assert metrics["signature"]["library_hash"] == "library"
    assert metrics["validation"]["r2"] == 0.9
    assert metrics["largest_difference"].keys() == {"surrogate.pt2", "surrogate.onnx"}
    assert all(0 <= value < 1e-5 for value in metrics["largest_difference"].values())
    u = waves(2, seed=0).u.numpy()
    own = load_surrogate(folder / "surrogate.safetensors")
    np.testing.assert_array_equal(own.predict(u), trained.predict(u))


def test_the_program_runs_without_fwdecg(folder, trained, tmp_path):
    u = waves(5, seed=0).u.float()
    torch.save(u, tmp_path / "u.pt")
    script = (
        "import sys, torch\n"
        f"module = torch.export.load({str(folder / 'surrogate.pt2')!r}).module()\n"
        "torch.save(module(torch.load('u.pt')).detach(), 'phi_e.pt')\n"
        "assert 'fwdecg' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=tmp_path)
    phi_e = torch.load(tmp_path / "phi_e.pt").numpy()
    np.testing.assert_allclose(phi_e, trained.predict(u.numpy()), **TOLERANCE)


def test_onnx_returns_the_ecg_of_the_network(folder, trained):
    session = onnxruntime.InferenceSession(folder / "surrogate.onnx")
    u = waves(5, seed=0).u.float().numpy()
    (phi_e,) = session.run(["phi_e"], {"u": u})
    np.testing.assert_allclose(phi_e, trained.predict(u), **TOLERANCE)


def test_a_program_that_differs_is_an_error():
    trained = untrained_weights()
    with pytest.raises(RunError, match=r"surrogate.pt2 differs from the network by 3.3e\+00 of"):
        export._compare(trained, lambda u: trained.predict(u, doubts="ignore") + 1, "surrogate.pt2")


def test_the_folder_of_another_surrogate_is_rejected(folder, trained):
    with pytest.raises(ResultError, match=r"made with another epoch"):
        export_surrogate(replace(trained, epoch=8), folder, onnx=False)


def test_missing_onnx_packages_are_an_error(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"onnxruntime, not installed here; install fwdecg\[onnx"):
        export_surrogate(untrained_weights(), tmp_path, onnx=True)
    assert list(tmp_path.iterdir()) == []
