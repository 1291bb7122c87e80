"""Estimates of a case's memory and work, and the limits on them."""

from dataclasses import replace

import numpy as np
import pytest

from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.tissue_config import TissueConfig
from fwdecg.library.check.fault import Check
from fwdecg.library.check.limits import (
    case_bytes,
    check_case_size,
    check_sheet_size,
    lead_bytes,
    sheet_size,
)
from fwdecg.physics.pseudo_ecg import lead_fields


@pytest.mark.parametrize("kind", ["small_config", "varied_config"])
def test_the_estimates_match_a_simulated_case(kind, request):
    config = request.getfixturevalue(kind)
    case = draw_case(config, 2)
    record = simulate_case(case, config)
    tensors = [record.u, record.phi_e, record.diffusivity_mm2_per_ms, record.electrodes_mm]
    if config.tissue.diffusivity_variation:
        tensors.append(record.conducting_fraction)
    assert case_bytes(config) == sum(tensor.nbytes for tensor in tensors)
    tissue = case.sheet.rasterise(record.solver_spacing_mm)
    # A raster has up to one more row and column than its spacing asks for.
    leads = lead_fields(tissue, case.electrodes_mm, np.float32)
    bulk = case.spec.bulk_diffusivity_mm2_per_ms
    assert lead_bytes(config, bulk) == pytest.approx(leads.nbytes, rel=0.05)
    assert tissue.conducts.size <= 1.05 * sheet_size(config)


@pytest.mark.parametrize(
    ("shifts", "diffusivity", "patches", "change", "size"),
    [
        # Whether a stimulus reaches the tissue is decided on 200 x 200 cells.
        ((), 1.0, 40.0, {}, 200**2),
        # Lattice nodes are a third of the smoothing length apart. For a variation of D,
        # the smoothing length is half the correlation length.
        (
            (),
            1.0,
            40.0,
            {"diffusivity_variation": 0.1, "diffusivity_variation_length_mm": 1.0},
            600**2,
        ),
        # By Rice's formula a patch size of 1 mm at a fraction of 0.4 needs smoothing over 0.272 mm.
        (("patch_size",), 1.0, 40.0, {"shifted_patch_size_mm": (1.0, 2.0)}, (300 / 0.2725) ** 2),
        # Cells of 2 mm resolve these waves and patches; the reach of a stimulus needs 1 mm.
        ((), 8.0, 1e3, {"size_mm": 1e4}, 1e8),
    ],
)
def test_the_finest_raster_or_lattice_counts(shifts, diffusivity, patches, change, size):
    tissue = TissueConfig(
        healthy_diffusivity_mm2_per_ms=(diffusivity, diffusivity),
        remodelled_diffusivity_mm2_per_ms=(diffusivity, diffusivity),
        small_patch_size_mm=(patches, patches),
        large_patch_size_mm=(patches, patches),
        **change,
    )
    config = LibraryConfig(tissue=tissue, shifts=shifts)
    assert sheet_size(config) == pytest.approx(size, rel=5e-3)


@pytest.mark.parametrize(
    ("values", "size"),
    [
        ({"duration_ms": 1e8}, "2.7e+09"),
        ({"map_pixels": 10**4}, "2e+09"),
        ({"duration_ms": 4e5, "electrode_grid": (99, 99)}, "3.1e+09"),
    ],
)
def test_too_large_cases_are_reported(small_config, run_check, values, size):
    config = replace(small_config, recording=replace(small_config.recording, **values))
    readable, (fault,) = run_check(check_case_size, config)
    assert (readable, fault.check) == (False, Check.VALUES)
    assert f"a case has {size} bytes: the limit is 5.36871e+08" in fault.problem


def test_too_large_sheets_are_reported(small_config, run_check):
    config = replace(small_config, tissue=replace(small_config.tissue, size_mm=2e3))
    drawable, (fault,) = run_check(check_sheet_size, config)
    assert (drawable, fault.check) == (False, Check.DRAWS)
    assert "the limit is 2.5e+07, so no case is drawn or simulated again" in fault.problem
