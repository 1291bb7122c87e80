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

from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.errors import CheckpointError, FwdEcgWarning, MapsError
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


GEOMETRY = {
    "frame_interval_ms": 5.0,
    "map_spacing_mm": 1.0,
    "electrodes_mm": [[4.0, 4.0, 4.0]],
}


@pytest.fixture(name="located")
def _located(trained):
    """The same surrogate with a known sheet."""
    return replace(trained, signature=replace(trained.signature, map_spacing_mm=1.0))


def test_maps_with_the_geometry_of_the_training_raise_no_doubt(located):
    u = waves(1, seed=0).u.numpy()[0]
    phi_e = located.predict(u, **GEOMETRY, doubts="raise")
    case = RecordedCase(
        case_id=None,
        condition="own tissue",
        bulk_diffusivity_mm2_per_ms=0.1,
        u=u,
        diffusivity_mm2_per_ms=np.full((PIXELS, PIXELS), 0.1),
        conducting_fraction=np.ones((PIXELS, PIXELS)),
        map_spacing_mm=1.0,
        frame_interval_ms=5.0,
        phi_e_mm_per_ms=np.zeros((1, FRAMES), np.float32),
        electrodes_mm=np.array([[4.0, 4.0, 4.0]]),
    )
    np.testing.assert_array_equal(located.predict(case, doubts="raise"), phi_e)
    np.testing.assert_array_equal(located.predict(case, map_spacing_mm=1), phi_e)
    with pytest.raises(MapsError, match="frame_interval_ms = 10: must be that of the case, 5; "):
        located.predict(case, frame_interval_ms=10)
    np.testing.assert_array_equal(
        located.attend(case, doubts="raise"), located.attend(u, doubts="ignore")
    )
    with pytest.raises(MapsError, match="predicts the ECG at"):
        located.predict(replace(case, electrodes_mm=np.array([[4.0, 4.0, 5.0]])))


@pytest.mark.parametrize(
    ("convert", "geometry", "warning"),
    [
        (lambda u: u, {}, "frames every 5 ms, a sheet of 8 x 8 mm, electrodes at .4.0, 4.0, 4.0."),
        (lambda u: u, {"frame_interval_ms": 5.0}, "the maps are taken to have frames every 5 ms"),
        (lambda u: 0.9 * u, GEOMETRY, "instead of from 0 to 1 and was rescaled"),
        (
            lambda u: u.repeat(2, axis=1).repeat(2, axis=2),
            GEOMETRY | {"map_spacing_mm": 0.5},
            "maps of 16 x 16 pixels are resampled to 8 x 8",
        ),
        (
            lambda u: np.repeat(u, 2, axis=0)[:-1],
            GEOMETRY | {"frame_interval_ms": 2.5},
            "frames every 2.5 ms are interpolated to every 5 ms",
        ),
    ],
)
def test_what_is_assumed_or_converted_is_said(located, convert, geometry, warning):
    u = waves(1, seed=0).u.numpy()[0].astype(np.float32)
    expected = located.predict(u, **GEOMETRY)
    maps = convert(u)
    with pytest.warns(FwdEcgWarning, match=warning):
        found = located.predict(maps, **geometry)
    assert found.shape[-1] == len(maps)
    step = len(maps) // FRAMES + len(maps) % FRAMES % 2
    tolerance = 0.05 * np.ptp(expected) + 1e-3
    np.testing.assert_allclose(found[..., ::step], expected, atol=tolerance)
    with pytest.raises(MapsError, match=warning):
        located.predict(maps, **geometry, doubts="raise")
    np.testing.assert_array_equal(located.predict(maps, **geometry, doubts="ignore"), found)


def test_tensors_lists_and_reversed_arrays_are_maps(located):
    u = waves(1, seed=0).u.numpy()[0]
    expected = located.predict(u, **GEOMETRY)
    for maps in (torch.tensor(u), u.astype(float).tolist(), u[:, ::-1][:, ::-1]):
        np.testing.assert_array_equal(located.predict(maps, **GEOMETRY), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 0}, "batch_size = 0: must be at least 1"),
        ({"doubts": "shout"}, "doubts = 'shout': must be one of warn, raise, ignore"),
        ({"map_spacing_mm": 2.0}, "a sheet of 16 x 16 mm: the surrogate was trained on 8 x 8 mm"),
        ({"frame_interval_ms": 1.0}, "the last of 12 frames every 1 ms is at 11 ms"),
    ],
)
def test_unsuitable_arguments_are_rejected(located, arguments, message):
    with pytest.raises(MapsError, match=message):
        located.predict(waves(1, seed=0).u.numpy()[0], **(GEOMETRY | arguments))


def test_the_quality_of_maps_is_reported(located):
    (quality,) = located.quality(waves(1, seed=0).u.numpy())
    assert quality.problems == []
    assert quality.height == pytest.approx(1.0, abs=0.02)
