"""Estimates of a case's memory and work, and the limits on them."""

from dataclasses import replace

import numpy as np
import pytest

from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.cases.tissue_config import TissueConfig
from fwdecg.library.check.limits import (
    case_bytes,
    check_case_size,
    check_sheet_size,
    lead_bytes,
    sheet_size,
)
from fwdecg.physics.pseudo_ecg import lead_fields


@pytest.mark.parametrize("variation", [0.0, 0.3])
def test_the_estimates_match_a_simulated_case(small_config, variation):
    tissue = replace(
        small_config.tissue,
        remodelled_diffusivity_mm2_per_ms=(0.1, 0.12),
        diffusivity_variation=variation,
        diffusivity_variation_length_mm=2.0,
    )
    solver = replace(small_config.solver, scheme="plain")
    config = replace(small_config, tissue=tissue, solver=solver)
    case = draw_case(config, 2)
    record = simulate_case(case, config)
    tensors = [record.u, record.phi_e, record.diffusivity_mm2_per_ms, record.electrodes_mm]
    if variation:
        tensors.append(record.conducting_fraction)
    assert case_bytes(config) == sum(tensor.nbytes for tensor in tensors)
    tissue = case.sheet.rasterise(record.solver_spacing_mm)
    # A raster has up to one more row and column than its spacing asks for.
    leads = lead_fields(tissue, case.electrodes_mm, np.float32)
    bulk = case.spec.bulk_diffusivity_mm2_per_ms
    assert lead_bytes(config, bulk) == pytest.approx(leads.nbytes, rel=0.05)
    assert tissue.conducts.size <= 1.05 * sheet_size(config)


@pytest.mark.parametrize(
    ("shifts", "change", "nodes"),
    [
        ((), {}, 0),
        # Lattice nodes are a third of the smoothing length apart. For a variation of D,
        # the smoothing length is half the correlation length.
        ((), {"diffusivity_variation": 0.1, "diffusivity_variation_length_mm": 1.0}, 600**2),
        # By Rice's formula a patch size of 1 mm at a fraction of 0.4 needs smoothing over 0.272 mm.
        (("patch_size",), {"shifted_patch_size_mm": (1.0, 2.0)}, (300 / 0.2725) ** 2),
    ],
)
def test_the_finest_texture_counts(shifts, change, nodes):
    quick, wide = (1.0, 1.0), (40.0, 50.0)
    tissue = TissueConfig(
        healthy_diffusivity_mm2_per_ms=quick,
        remodelled_diffusivity_mm2_per_ms=quick,
        small_patch_size_mm=wide,
        large_patch_size_mm=wide,
        **change,
    )
    config = LibraryConfig(tissue=tissue, shifts=shifts, solver=SolverConfig(spacing_mm=2.0))
    # Whether a stimulus reaches the tissue is decided on 200 x 200 cells.
    assert sheet_size(config) == pytest.approx(max(nodes, 200**2), rel=5e-3)


def test_the_raster_that_a_case_is_drawn_on_counts():
    # Cells of 67 mm resolve these waves and patches; the reach of a stimulus needs 1 mm.
    quick, wide = (1e4, 1e4), (1e3, 1e3)
    tissue = TissueConfig(
        size_mm=1e4,
        healthy_diffusivity_mm2_per_ms=quick,
        remodelled_diffusivity_mm2_per_ms=quick,
        small_patch_size_mm=wide,
        large_patch_size_mm=wide,
    )
    assert sheet_size(LibraryConfig(tissue=tissue)) == pytest.approx(1e8)


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({"duration_ms": 1e300}, "2.7e+301"),
        ({"map_pixels": 10**6}, "2e+13"),
        ({"duration_ms": 1e6, "electrode_grid": (99, 99)}, "7.9e+09"),
    ],
)
def test_too_large_cases_are_reported(small_config, values, size):
    config = replace(small_config, recording=replace(small_config.recording, **values))
    faults = []
    assert not check_case_size(config, faults.append)
    assert f"a case has {size} bytes: the limit is 5.36871e+08" in faults[0].problem


def test_too_large_sheets_are_reported(small_config):
    config = replace(small_config, tissue=replace(small_config.tissue, size_mm=1e6))
    faults = []
    assert not check_sheet_size(config, faults.append)
    assert "the limit is 2.5e+07, so no case is drawn or simulated again" in faults[0].problem


def test_small_libraries_are_within_the_limits(small_config):
    assert check_case_size(small_config, pytest.fail)
    assert check_sheet_size(small_config, pytest.fail)
