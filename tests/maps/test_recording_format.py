"""Maps of another geometry are converted where that is exact enough, and refused elsewhere."""

import numpy as np
import pytest

from fwdecg.errors import MapsError
from fwdecg.maps.recording_format import RecordingFormat, at_times, own_maps

FORM = RecordingFormat(
    frames=20,
    map_pixels=8,
    electrodes_mm=((4.0, 4.0, 4.0),),
    frame_interval_ms=5.0,
    map_spacing_mm=1.5,
)


def waves(frame_interval_ms=5.0, spacing_mm=1.5, last_ms=95.0, side_mm=12.0):
    """A front of finite width from the left, as a function of time and place."""
    time_ms = np.arange(round(last_ms / frame_interval_ms) + 1) * frame_interval_ms
    x_mm = (np.arange(round(side_mm / spacing_mm)) + 0.5) * spacing_mm
    u = 1 / (1 + np.exp((x_mm - 0.2 * time_ms[:, None] + 4.0) / 2.0))
    return np.repeat(u[:, None], len(x_mm), axis=1).astype(np.float32)


def test_maps_of_the_same_format_are_not_touched():
    own = own_maps(waves().astype(np.float16), 5.0, 1.5, [[4.0, 4.0, 4.0]])
    u, notes = own.converted(FORM)
    assert notes == []
    assert own.is_complete
    assert u.dtype == np.float16
    np.testing.assert_array_equal(u[0], waves().astype(np.float16))


@pytest.mark.parametrize(
    ("interval_ms", "spacing_mm", "tolerance"),
    [(2.5, 1.5, 1e-6), (1.0, 1.5, 1e-6), (10.0, 1.5, 0.03), (4.0, 1.5, 0.01), (5.0, 0.75, 0.01)],
)
def test_frames_and_pixels_are_converted(interval_ms, spacing_mm, tolerance):
    last_ms = 95.0 if interval_ms != 10.0 else 100.0
    maps = waves(interval_ms, spacing_mm, last_ms - last_ms % interval_ms)
    u, notes = own_maps(maps, interval_ms, spacing_mm).converted(FORM)
    assert len(notes) == 1
    inner = slice(1, -1)  # the record of the 4 ms frames ends before the last frame
    np.testing.assert_allclose(u[0, inner], waves()[inner], atol=tolerance)


def test_fewer_pixels_are_interpolated():
    y, x = np.mgrid[0:4, 0:4] * 3.0 + 1.5
    fine_y, fine_x = np.mgrid[0:8, 0:8] * 1.5 + 0.75
    maps = np.tile(0.02 * x + 0.05 * y, (20, 1, 1))
    u, notes = own_maps(maps, 5.0, 3.0).converted(FORM)
    assert notes == ["maps of 4 x 4 pixels are resampled to 8 x 8, which cannot restore details"]
    expected = 0.02 * fine_x + 0.05 * fine_y
    np.testing.assert_allclose(u[0, :, 1:-1, 1:-1], np.tile(expected, (20, 1, 1))[:, 1:-1, 1:-1])


@pytest.mark.parametrize(
    ("maps", "geometry", "message"),
    [
        (waves(), (2.5, 1.5), "the last of 20 frames every 2.5 ms is at 47.5 ms: .* until 95 ms"),
        (waves(), (5.0, 1.0), "a sheet of 8 x 8 mm: the surrogate was trained on 12 x 12 mm"),
        (waves()[:, :6], (5.0, 1.5), "a sheet of 12 x 9 mm"),
        (waves()[:-1], (None, None), r"u has shape \(19, 8, 8\): must be .* \(20, 8, 8\)"),
        (waves(), (0.0, 1.5), "frame_interval_ms = 0.0: must be above 0"),
        (waves(), (5.0, np.nan), "map_spacing_mm = nan: must be above 0"),
    ],
)
def test_other_records_and_sheets_are_refused(maps, geometry, message):
    with pytest.raises(MapsError, match=message) as caught:
        own_maps(maps, *geometry).converted(FORM)
    assert "\n" not in str(caught.value)


def test_other_electrodes_are_refused():
    FORM.require_electrodes([[4, 4, 4]])
    for electrodes in ([[4.0, 4.0, 5.0]], [[4.0, 4.0, 4.0], [1.0, 1.0, 4.0]]):
        with pytest.raises(MapsError, match=r"predicts the ECG at \[\[4.0, 4.0, 4.0\]\] only"):
            FORM.require_electrodes(electrodes)


def test_a_checkpoint_that_does_not_say_its_sheet_accepts_any_with_a_note():
    unknown = RecordingFormat(**(vars(FORM) | {"map_spacing_mm": None}))
    _, (note,) = own_maps(waves(), 5.0, 7.0).converted(unknown)
    assert note == "the checkpoint does not say its sheet; it must be that of the maps"
    assert own_maps(waves()).converted(unknown)[1] == []
    assert list(unknown.differences(FORM)) == []
    assert "an unknown sheet" in unknown.assumptions
    assert "a sheet of 12 x 12 mm, electrodes at [4.0, 4.0, 4.0] mm" in FORM.assumptions


def test_ecgs_are_returned_at_the_times_of_the_maps():
    phi_e = np.sin(FORM.times_ms / 20)[None, None].astype(np.float32)
    assert at_times(phi_e, FORM, None) is phi_e
    assert at_times(phi_e, FORM, FORM.times_ms) is phi_e
    np.testing.assert_array_equal(at_times(phi_e, FORM, np.arange(10) * 10.0), phi_e[..., ::2])
    between = at_times(phi_e, FORM, np.array([2.5]))
    assert between[0, 0, 0] == pytest.approx(phi_e[0, 0, :2].mean())


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (np.zeros((3, 4)), r"u has shape \(3, 4\): must be \(frame, row, col\)"),
        (np.zeros((0, 2, 4, 4)), r"u has shape \(0, 2, 4, 4\)"),
        ([[[1, 0], [0, 1]]], "u holds int64 values: maps must be floating-point"),
        ([[[0.1], [0.1, 0.2]]], "u cannot be read as an array of numbers"),
        (np.ma.masked_greater(waves(), 0.9), "u has [0-9]+ masked values"),
        (np.where(waves() > 0.9, np.nan, waves()), "u holds NaN or infinity"),
        (waves() * 100 - 85, "u holds values from -84.9"),
        (np.array([[["a"]]]), "u holds <U1 values: must be real numbers"),
        (waves() + 1j, "u holds complex64 values: must be real numbers"),
    ],
)
def test_arrays_that_are_no_maps_are_refused(maps, message):
    with pytest.raises(MapsError, match=message) as caught:
        own_maps(maps)
    assert "\n" not in str(caught.value)
