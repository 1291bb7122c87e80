"""Each baseline is exact on data that satisfy its assumptions."""

import dataclasses

import numpy as np
import pytest

from fwdecg.evaluation.baselines import (
    PENALTIES,
    LinearPredictor,
    choose_nominal_operator,
    fit_baselines,
    fit_mean_voltage,
    fit_ridge,
    nominal_operator,
)
from fwdecg.evaluation.operators import ExactOperator
from fwdecg.evaluation.scores import score_cases
from fwdecg.library.labelled_cases import LabelledCases, stream_labelled_cases


def _with_ecg(cases: LabelledCases, phi_e: np.ndarray) -> LabelledCases:
    return dataclasses.replace(cases, phi_e=phi_e.astype(np.float32))


def test_nominal_operator_is_exact_for_its_own_tissue(library, cases):
    diffusivity = 0.07
    nominal = nominal_operator(library.config, diffusivity)
    homogeneous = dataclasses.replace(
        cases,
        diffusivity_mm2_per_ms=np.full_like(cases.diffusivity_mm2_per_ms, diffusivity),
        conducting_fraction=np.ones_like(cases.conducting_fraction),
        bulk_diffusivity_mm2_per_ms=np.full(len(cases), diffusivity),
    )
    expected = ExactOperator(map_spacing_mm=0.5).predict(homogeneous)
    scale = float(np.abs(expected).max())
    np.testing.assert_allclose(nominal.predict(cases), expected, rtol=0, atol=1e-5 * scale)


def test_ridge_recovers_linear_weights(library, cases):
    rng = np.random.default_rng(0)
    # The few waves of a tiny library determine smooth weights only.
    x = np.linspace(-1, 1, 16)
    weights = np.stack((np.add.outer(x, x), np.multiply.outer(x, x) + rng.random()))
    truth = LinearPredictor(
        name="truth", detail="", weights=weights, intercept=np.array([100.0, -50.0])
    )
    linear = _with_ecg(cases, truth.predict(cases))
    ridge = fit_ridge([linear], [linear], recording=library.config.recording)
    scores = score_cases("ridge", ridge.predict(linear), linear, library.statistics)
    assert min(score.r2 for score in scores) > 0.999
    np.testing.assert_allclose(ridge.intercept, [100.0, -50.0], rtol=1e-3)


def test_ridge_chooses_the_penalty_by_validation(library, cases):
    noise = np.random.default_rng(0).standard_normal(cases.phi_e.shape)
    ridge = fit_ridge(
        [_with_ecg(cases, noise)],
        [_with_ecg(cases, np.random.default_rng(1).standard_normal(noise.shape))],
        recording=library.config.recording,
    )
    assert ridge.detail == f"penalty {max(PENALTIES):g}, by validation R2"


def test_ridge_pools_fine_maps(library, cases, monkeypatch):
    recording = library.config.recording
    coarse = fit_ridge([cases], [cases], recording=recording)
    monkeypatch.setattr("fwdecg.evaluation.baselines.RIDGE_PIXELS", recording.map_pixels)
    np.testing.assert_array_equal(
        fit_ridge([cases], [cases], recording=recording).weights, coarse.weights
    )
    # Replace each pixel by four.
    maps = {
        name: getattr(cases, name).repeat(2, axis=-2).repeat(2, axis=-1)
        for name in ("u", "diffusivity_mm2_per_ms", "conducting_fraction")
    }
    fine = dataclasses.replace(cases, **maps)
    pooled = fit_ridge([fine], [fine], recording=dataclasses.replace(recording, map_pixels=32))
    assert pooled.detail == f"{coarse.detail}, fitted to maps pooled to 16 x 16"
    assert pooled.weights.shape == (2, 32, 32)
    np.testing.assert_allclose(pooled.weights, np.kron(coarse.weights, np.full((2, 2), 0.25)))
    np.testing.assert_allclose(pooled.predict(fine), coarse.predict(cases), rtol=1e-4, atol=1e-5)


def test_mean_voltage_is_exact_for_an_ecg_affine_in_it(library, cases):
    mean = cases.u.mean(axis=(2, 3), dtype=np.float64)
    affine = _with_ecg(cases, np.stack((3 * mean - 1, 0.5 - 2 * mean), axis=1))
    fitted = fit_mean_voltage([affine], recording=library.config.recording)
    np.testing.assert_allclose(fitted.predict(affine), affine.phi_e, rtol=0, atol=1e-6)
    np.testing.assert_allclose(fitted.weights.sum((1, 2)), [3, -2], rtol=1e-6)


def test_the_five_baselines_of_a_library(library):
    baselines = fit_baselines(library)
    assert [(baseline.name, baseline.knows_tissue) for baseline in baselines] == [
        ("exact operator", True),
        ("read-off operator", False),
        ("nominal operator", False),
        ("ridge regression", False),
        ("mean voltage", False),
    ]
    (test,) = stream_labelled_cases(library, "test")
    r2 = {
        baseline.name: score_cases(baseline.name, baseline.predict(test), test, library.statistics)[
            0
        ].r2
        for baseline in baselines
    }
    assert r2["exact operator"] == pytest.approx(1, abs=1e-4)
    assert max(r2, key=r2.__getitem__) == "exact operator"


def test_the_nominal_diffusivity_is_chosen_by_validation(library, cases):
    mean = float(cases.bulk_diffusivity_mm2_per_ms[np.array(cases.split) == "train"].mean())
    truth = nominal_operator(library.config, 0.4 * mean)
    judged = dataclasses.replace(cases, phi_e=truth.predict(cases))
    chosen = choose_nominal_operator(library, [judged])
    np.testing.assert_allclose(chosen.weights, truth.weights)
