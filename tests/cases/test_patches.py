import numpy as np
import pytest

from fwdecg.cases.patches import draw_scar, smoothing_length_mm
from fwdecg.physics.tissue import Sheet


def conducts(seed, patch_size_mm, fraction, size_mm=100.0):
    rng = np.random.default_rng(seed)
    scar = draw_scar(rng, size_mm, patch_size_mm=patch_size_mm, fraction=fraction)
    sheet = Sheet(size_mm=size_mm, diffusivity_mm2_per_ms=0.1, scar=scar)
    return sheet.rasterise(size_mm / 600).conducts


@pytest.mark.parametrize(("size_mm", "fraction"), [(2.0, 0.05), (5.0, 0.1), (10.0, 0.4)])
def test_patches_have_the_asked_size_and_share(size_mm, fraction):
    rasters = [~conducts(seed, size_mm, fraction) for seed in range(8)]
    covered = np.mean([raster.mean() for raster in rasters])
    entries = np.mean([(raster[:, 1:] & ~raster[:, :-1]).sum() for raster in rasters])
    chord_mm = covered * rasters[0].size * (100 / 600) / entries
    # About 8 x 1000 patches at 2 mm, 8 x 40 at 10 mm: a few per cent of scatter.
    assert covered == pytest.approx(fraction, rel=0.05)
    assert chord_mm == pytest.approx(size_mm, rel=0.1)


def test_smoothing_length_by_hand():
    # At half the area the threshold is 0, and the mean chord pi sqrt(2) s.
    assert smoothing_length_mm(1.0, 0.5) == pytest.approx(1 / (np.pi * np.sqrt(2)))


def test_the_same_generator_gives_the_same_patches_at_any_raster():
    coarse, fine = (
        Sheet(
            size_mm=20.0,
            diffusivity_mm2_per_ms=0.1,
            scar=draw_scar(np.random.default_rng(5), 20.0, patch_size_mm=4.0, fraction=0.3),
        )
        .rasterise(spacing)
        .conducts
        for spacing in (0.2, 0.1)
    )
    same = coarse.repeat(2, axis=0).repeat(2, axis=1) == fine
    assert same.mean() > 0.97  # all but cells that an edge of a patch crosses
