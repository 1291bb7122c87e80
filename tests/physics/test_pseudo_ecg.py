import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

from fwdecg.errors import TissueError
from fwdecg.physics.diffusion import divergence
from fwdecg.physics.pseudo_ecg import lead_fields, pseudo_ecg
from fwdecg.physics.tissue import Tissue

D = 0.1
ELECTRODES = np.array([[3.0, 4.0, 5.0], [-2.0, 1.0, 0.0], [10.0, 10.0, 1.0]])


def square(cells, size_mm=10.0):
    diffusivity = np.full((cells, cells), D)
    return Tissue(spacing_mm=size_mm / cells, diffusivity_mm2_per_ms=diffusivity)


def direct_sum(u, tissue, electrode):
    """Return Eq. 1 as a sum over cells, as printed in the paper."""
    rows, cols = u.shape
    y, x = (np.mgrid[0:rows, 0:cols] + 0.5) * tissue.spacing_mm
    distance = np.sqrt((x - electrode[0]) ** 2 + (y - electrode[1]) ** 2 + electrode[2] ** 2)
    return (divergence(u, tissue) * tissue.spacing_mm**2 / distance).sum()


@given(seed=st.integers(0, 999), scarred=st.floats(0, 0.5))
def test_lead_fields_agree_with_the_direct_sum(seed, scarred):
    rng = np.random.default_rng(seed)
    diffusivity = rng.uniform(0.01, 0.1, (16, 16)) * (rng.random((16, 16)) >= scarred)
    diffusivity[0, 0] = 0.1
    tissue = Tissue(spacing_mm=0.625, diffusivity_mm2_per_ms=diffusivity)
    u = rng.random((16, 16))
    found = pseudo_ecg(u[None], lead_fields(tissue, ELECTRODES))[:, 0]
    expected = [direct_sum(u, tissue, electrode) for electrode in ELECTRODES]
    # The sum has 256 terms of at most 4 D du / r, each rounded to 1e-16.
    np.testing.assert_allclose(found, expected, rtol=0, atol=256 * 4 * 0.1 * 1e-15)


@pytest.mark.parametrize("electrode", ELECTRODES[:2].tolist())
def test_a_ramp_converges_to_the_exact_integral(electrode):
    # The flux of the ramp ends at the edges: div(D grad x) is D at the left edge, -D at the right
    # edge and 0 elsewhere. phi_e is therefore D times the difference of the edge integrals of 1/r.
    def inverse_distance(y, x):
        return 1 / np.sqrt((x - electrode[0]) ** 2 + (y - electrode[1]) ** 2 + electrode[2] ** 2)

    left, right = (quad(inverse_distance, 0, 10, args=(edge,))[0] for edge in (0.0, 10.0))
    exact = D * (left - right)
    errors = []
    for cells in (50, 100, 200, 400):
        tissue = square(cells)
        ramp = np.broadcast_to((np.arange(cells) + 0.5) * tissue.spacing_mm, (cells, cells))
        found = pseudo_ecg(ramp[None], lead_fields(tissue, np.array([electrode]))).item()
        errors.append(abs(found - exact) / abs(exact))
    # The ramp violates the no-flux condition, which costs half a cell at each edge: first order.
    np.testing.assert_allclose(-np.diff(np.log2(errors)), 1.0, atol=0.2)
    assert errors[-1] < 0.01


def by_gradients(u, tissue, electrode):
    """Return - integral of D grad u . grad(1/r), summed over the faces between cells."""
    h, total = tissue.spacing_mm, 0.0
    y, x = (np.indices(u.shape) + 0.5) * h
    for axis, faces in ((0, np.s_[1:, :]), (1, np.s_[:, 1:])):
        # The centre of a face is half a cell before that of the cell after it.
        offset = [x[faces] - electrode[0], y[faces] - electrode[1]]
        offset[1 - axis] = offset[1 - axis] - h / 2
        distance = np.sqrt(offset[0] ** 2 + offset[1] ** 2 + electrode[2] ** 2)
        total += (D * np.diff(u, axis=axis) * h * offset[1 - axis] / distance**3).sum()
    return total


def test_the_ecg_converges_to_the_gradient_form_with_second_order():
    electrode, errors = np.array([3.0, 4.0, 5.0]), []
    for cells in (20, 40, 80):
        tissue = square(cells)
        wave = np.cos(np.pi * (np.arange(cells) + 0.5) / cells)
        u = wave[:, None] + np.cos(2 * np.pi * (np.arange(cells) + 0.5) / cells)[None]
        found = pseudo_ecg(u[None], lead_fields(tissue, electrode[None])).item()
        errors.append(abs(found / by_gradients(u, tissue, electrode) - 1))
    np.testing.assert_allclose(-np.diff(np.log2(errors)), 2.0, atol=0.3)


@pytest.mark.parametrize("electrode", [[5.0, 5.0, -0.9], [10.5, 5.0, 0.0]])
def test_electrodes_too_close_to_the_sheet_are_rejected(electrode):
    with pytest.raises(TissueError, match="must be at least 1 mm away"):
        lead_fields(square(10), np.array([electrode]))


def test_frames_and_electrodes_are_independent():
    rng = np.random.default_rng(3)
    frames = rng.random((11, 20, 20)).astype(np.float32)
    leads = rng.standard_normal((19, 20, 20))
    expected = np.einsum("erc,frc->ef", leads, frames)
    np.testing.assert_allclose(pseudo_ecg(frames, leads), expected, rtol=0, atol=1e-12)


def test_the_ecg_does_not_depend_on_the_number_of_threads():
    program = """
import hashlib, numpy
from fwdecg.physics.pseudo_ecg import FRAMES_AT_ONCE, pseudo_ecg
draw = numpy.random.default_rng(0).random
for electrodes, columns in ((1, 3000), (30, 2000), (12, 9000)):
    frames = draw((FRAMES_AT_ONCE, 8, columns), dtype=numpy.float32)
    leads = draw((electrodes, 8, columns), dtype=numpy.float32)
    print(hashlib.sha256(pseudo_ecg(frames, leads)).hexdigest())
"""
    found = {
        subprocess.check_output(
            [sys.executable, "-c", program],
            env=os.environ | {"OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads},
        )
        for threads in ("1", "3")
    }
    assert len(found) == 1


def test_lead_fields_in_single_precision_are_accurate():
    spacing_mm, cells = 0.2, 100
    x = (np.arange(cells) + 0.5) * spacing_mm
    tissue = Tissue(spacing_mm=spacing_mm, diffusivity_mm2_per_ms=np.full((cells, cells), 0.1))
    fronts = np.array([np.tile(x < position, (cells, 1)) for position in (3.0, 8.0, 13.0, 18.0)])
    frames, electrode = fronts.astype(np.float32), np.array([[10.0, 10.0, 8.0]])
    exact, rounded = (
        pseudo_ecg(frames, lead_fields(tissue, electrode, dtype))
        for dtype in (np.float64, np.float32)
    )
    assert np.abs(rounded - exact).max() < 1e-6 * np.ptp(exact)
