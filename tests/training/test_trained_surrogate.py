"""The file of a trained surrogate, its predictions and attention for NumPy maps, and bad input."""

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from synthetic import FRAMES, PIXELS, waves
from synthetic import trained as random_surrogate

from fwdecg.errors import CheckpointError, MapsError
from fwdecg.training.checkpoint import load_tensors
from fwdecg.training.trained_surrogate import load_surrogate, predict_maps


@pytest.fixture(name="trained")
def _trained():
    return random_surrogate()


def test_a_saved_surrogate_is_loaded_again(trained, tmp_path):
    trained.save(tmp_path / "best.safetensors")
    loaded = load_surrogate(tmp_path / "best.safetensors")
    assert loaded.describe() == trained.describe()
    assert loaded.state.keys() == trained.state.keys()
    assert loaded.weights_hash == trained.weights_hash


def test_any_reader_of_safetensors_opens_the_file(trained, tmp_path):
    trained.save(tmp_path / "best.safetensors")
    with safe_open(tmp_path / "best.safetensors", framework="np") as file:
        header = json.loads(file.metadata()["fwdecg"])
        assert set(file.keys()) == trained.state.keys()
    assert header["signature"]["library_hash"] == "library"
    assert header["standardisation"]["phi_e_mean"] == [-0.5]
    assert header["validation"] == {"loss": 0.2, "r2": 0.9, "mae": 0.1}


def test_the_same_surrogate_gives_the_same_bytes(trained, tmp_path):
    for name in ("first", "second"):
        trained.save(tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_predictions_have_the_unit_of_the_library_for_any_batch_size(trained, dtype):
    u = waves(3, seed=0).u.numpy().astype(dtype)
    phi_e = trained.predict(u, batch_size=2)
    assert phi_e.dtype == np.float32
    assert phi_e.shape == (3, 1, FRAMES)
    with torch.no_grad():
        score = trained.build()(torch.tensor(u)).mT.numpy()
    # Mean and standard deviation of the synthetic ECG. Sums of float32 are taken in another order.
    np.testing.assert_allclose(phi_e, score * 0.3 - 0.5, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(trained.predict(u[0]), phi_e[:1], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("u", "message"),
    [
        (np.zeros((FRAMES, PIXELS, PIXELS), int), "u holds int64 values: maps must be floating"),
        (np.zeros((FRAMES + 1, PIXELS, PIXELS)), r"u has shape \(13, 8, 8\): must be"),
        (np.zeros((0, FRAMES, PIXELS, PIXELS)), r"u has shape \(0, 12, 8, 8\): must be"),
        (np.full((FRAMES, PIXELS, PIXELS), -80.0), "u holds values from -80 to -80: u must lie"),
        (np.full((FRAMES, PIXELS, PIXELS), np.nan), "u holds NaN or infinity"),
    ],
)
def test_unsuitable_maps_are_rejected(trained, u, message):
    with pytest.raises(MapsError, match=message) as caught:
        trained.predict(u)
    assert "\n" not in str(caught.value)


class Malicious:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


def cut(path):
    path.write_bytes(path.read_bytes()[:1000])


def become_folder(path):
    path.unlink()
    path.mkdir()


def become_pickle(path):
    path.write_bytes(pickle.dumps(Malicious()))


def become_other(path):
    save_file({"weights": torch.zeros(3)}, path)


def with_header(text):
    return lambda path: save_file(load_file(path), path, metadata={"fwdecg": text})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "no such checkpoint; train one with the job train"),
        (cut, "cannot be read as a checkpoint"),
        (become_folder, "cannot be read as a checkpoint"),
        (become_pickle, "cannot be read as a checkpoint"),
        (become_other, "is not a surrogate's checkpoint; give a best.safetensors or last"),
        (with_header("{}"), r"is not consistent \(its header has no 'format'\); train again"),
        (with_header("no JSON"), "is not consistent"),
        (with_header('{"format": "later"}'), "format is later, this fwdecg reads fwdecg surrogate"),
    ],
)
def test_a_damaged_file_is_rejected_in_one_line(trained, tmp_path, damage, message):
    path = tmp_path / "best.safetensors"
    trained.save(path)
    damage(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_surrogate(path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_rejected(trained, tmp_path):
    larger = replace(trained, config=replace(trained.config, hidden_size=32))
    larger.save(tmp_path / "best.safetensors")
    with pytest.raises(CheckpointError, match="is not consistent"):
        load_surrogate(tmp_path / "best.safetensors")


def test_loading_the_state_of_a_training_runs_no_code(tmp_path):
    torch.save({"optimizer": Malicious()}, tmp_path / "progress.pt")
    with pytest.raises(CheckpointError, match="damaged, or contains more than tensors"):
        load_tensors(tmp_path / "progress.pt")


def test_attend_takes_numpy_maps(trained):
    u = waves(3, seed=0).u.numpy()
    weights = trained.attend(u, batch_size=2)
    assert weights.shape == (3, FRAMES, FRAMES)
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-5)
    # Sums of float32 are taken in another order.
    np.testing.assert_allclose(trained.attend(u[2])[0], weights[2], rtol=1e-4, atol=1e-6)


def test_a_surrogate_without_attention_cannot_attend(trained):
    without = replace(trained, config=replace(trained.config, attention=False))
    with pytest.raises(CheckpointError, match=r"model.attention = false .* use one with"):
        without.attend(waves(1, seed=0).u.numpy())


def test_the_package_contains_a_trained_network():
    best = load_surrogate()
    assert (best.signature.frames, best.signature.map_pixels) == (160, 64)
    assert best.validation.r2 > 0.98


def test_a_prediction_that_is_not_finite_is_an_error(trained):
    network = trained.build()
    with torch.no_grad():
        next(network.decoder.parameters()).fill_(torch.nan)
    with pytest.raises(CheckpointError, match="not finite"):
        predict_maps(network, waves(5, seed=0).u.numpy(), 8)
