"""A recorded case: its values as in the library, and the activation times of a known front."""

from dataclasses import replace
from xml.etree import ElementTree

import numpy as np
import pytest

from fwdecg.cases.recorded_case import RecordedCase, contribution_map
from fwdecg.errors import CaseError
from fwdecg.library.labelled_cases import load_cases
from fwdecg.physics.map_ecg import ecg

FRAMES, SIDE = 20, 8


def front() -> RecordedCase:
    """Front that starts at the left and advances by a pixel each frame; a patch in the middle."""
    conducts = np.ones((SIDE, SIDE), np.float32)
    conducts[3:5, 3:5] = 0.0
    wave = np.arange(SIDE) < np.arange(FRAMES)[:, None]
    return RecordedCase(
        case_id=0,
        condition="fibrosis",
        bulk_diffusivity_mm2_per_ms=0.1,
        u=(wave[:, None, :] * conducts).astype(np.float16),
        diffusivity_mm2_per_ms=0.1 * conducts,
        conducting_fraction=conducts,
        map_spacing_mm=2.0,
        frame_interval_ms=5.0,
        phi_e_mm_per_ms=np.zeros((1, FRAMES), np.float32),
        electrodes_mm=np.zeros((1, 3)),
    )


def test_cases_of_a_library_in_the_requested_order(library, cases):
    chosen = load_cases(library, [7, 0, 3])
    assert [case.case_id for case in chosen] == [7, 0, 3]
    assert [case.condition for case in chosen] == ["fibrosis", "healthy", "combined"]
    for case in chosen:
        np.testing.assert_array_equal(case.u, cases.u[case.case_id])
        np.testing.assert_array_equal(case.phi_e_mm_per_ms, cases.phi_e[case.case_id])
        assert (case.map_spacing_mm, case.frame_interval_ms) == (0.5, 3.0)


def test_activation_times_of_a_front():
    case = front()
    assert np.isnan(case.activation_ms[3:5, 3:5]).all()
    # u jumps from 0 to 1 between frames `col` and `col + 1`, so it crosses 0.5 halfway.
    np.testing.assert_allclose(case.activation_ms[0], 5.0 * (np.arange(SIDE) + 0.5))
    assert case.latest_activation_ms == pytest.approx(37.5)


def test_a_pixel_that_conducts_in_half_of_its_area_activates_with_its_tissue():
    case = front()
    half = np.where(np.arange(SIDE) == 5, 0.5, 1.0).astype(np.float32)
    rim = replace(
        case,
        u=(case.u * half).astype(np.float16),
        diffusivity_mm2_per_ms=case.diffusivity_mm2_per_ms * half,
        conducting_fraction=case.conducting_fraction * half,
    )
    np.testing.assert_allclose(rim.activation_ms, case.activation_ms)


def test_a_saved_case_is_loaded_again(tmp_path):
    case = replace(front(), case_id=None)
    case.save(tmp_path / "case")
    loaded = RecordedCase.load(tmp_path / "case")
    for name, value in vars(front()).items():
        if name != "case_id":
            np.testing.assert_array_equal(getattr(loaded, name), value)
    assert loaded.case_id is None
    assert "fibrosis" in repr(loaded)
    assert repr(loaded).count("\n") == 0
    front().save(tmp_path / "numbered.npz")
    assert RecordedCase.load(tmp_path / "numbered.npz").case_id == 0


def test_a_case_is_saved_in_the_home_folder_but_not_in_a_missing_one(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    front().save("~/case.npz")
    assert RecordedCase.load("~/case.npz").case_id == 0
    with pytest.raises(CaseError, match="missing/case.npz cannot be written: No such file"):
        front().save(tmp_path / "missing/case.npz")


def test_a_notebook_shows_a_table():
    case = replace(
        front(),
        case_id=None,
        condition="<own>",
        u=front().u[:, :5],
        diffusivity_mm2_per_ms=front().diffusivity_mm2_per_ms[:5],
        conducting_fraction=front().conducting_fraction[:5],
        phi_e_mm_per_ms=np.zeros((5, FRAMES), np.float32),
        electrodes_mm=np.array([[x, 2.5, 6.0] for x in range(5)]),
    )
    table = ElementTree.fromstring(case._repr_html_())
    assert table.findtext("caption") == "<own>"
    assert {row[0].text: row[1].text for row in table.findall("tr")} == {
        "Sheet": "16 x 10 mm, 5 x 8 pixels",
        "Frames": "20, every 5 ms",
        "Electrodes": "(0, 2.5, 6); (1, 2.5, 6); (2, 2.5, 6) and 2 more mm",
        "D": "0.1 mm²/ms",
    }


@pytest.mark.parametrize("content", [None, b"", b"text", "array"])
def test_files_that_hold_no_case_are_rejected(content, tmp_path):
    path = tmp_path / "case.npz"
    if content == "array":
        np.savez(path, u=np.zeros(3))
    elif content is not None:
        path.write_bytes(content)
    with pytest.raises(CaseError, match=r"case.npz(: No such file| is no case: give a file)"):
        RecordedCase.load(path)


def test_contributions_lie_at_the_front_and_add_up_to_the_ecg():
    case = replace(front(), electrodes_mm=np.array([[2.0, 8.0, 6.0]]))
    found = contribution_map(case, 0, time_ms=26.0)  # frame 5: the front is between columns 4 and 5
    assert np.abs(found[:, [0, 1, 7]]).max() == 0
    assert found[0, 4] < 0 < found[0, 5]
    assert not found[3:5, 3:5].any()
    whole = ecg(
        case.u,
        spacing_mm=2.0,
        diffusivity_mm2_per_ms=case.diffusivity_mm2_per_ms,
        electrodes_mm=case.electrodes_mm,
        conducting_fraction=case.conducting_fraction,
    )
    assert found.sum() == pytest.approx(whole[0, 5], rel=1e-6)
    with pytest.raises(CaseError, match="electrode = 1: must be a whole number from 0 to 0"):
        contribution_map(case, 1, time_ms=0.0)
    with pytest.raises(CaseError, match="time_ms = nan: must be from 0 to 95"):
        contribution_map(case, 0, time_ms=np.nan)
    with pytest.raises(CaseError, match="time_ms = -1: must be from 0 to 95"):
        contribution_map(case, 0, time_ms=-1.0)
    with pytest.raises(CaseError, match="time_ms = 200: must be from 0 to 95"):
        contribution_map(case, 0, time_ms=200.0)
