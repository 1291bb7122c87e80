"""Pictures: written, of the size asked for, and not blank."""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread

from fwdecg.evaluation.gallery import ranked
from fwdecg.evaluation.report import PredictorReport, Spread, Summary
from fwdecg.library.statistics import Statistics
from fwdecg.pictures import evaluation_figures as figures
from fwdecg.pictures.evaluation_figures import Trace, draw_bars, draw_overlays

TIME_MS = np.arange(12) * 5.0


def _trace(r2: float = 0.9, condition: str = "healthy", electrodes: int = 1) -> Trace:
    wave = np.sin(TIME_MS / 10)[None].repeat(electrodes, 0).astype(np.float32)
    return Trace(
        case_id=round(100 * r2),
        condition=condition,
        r2=r2,
        time_ms=TIME_MS,
        true=wave,
        predicted=0.8 * wave,
    )


def _statistics(electrodes: int) -> Statistics:
    return Statistics(
        cases=1,
        u_mean=0.0,
        u_spread=1.0,
        phi_e_mean=(0.5,) * electrodes,
        phi_e_spread=(0.25,) * electrodes,
    )


def _report(name: str, mean: float, spread: float | None) -> PredictorReport:
    value = Spread(mean=mean, spread=spread, median=mean, worst=mean)
    summary = Summary(cases=2, r2=value, mae=value, rmse=value, spectral_entropy_error=value)
    return PredictorReport(
        name=name,
        knows_tissue=name == "exact",
        detail="",
        summaries={"healthy": summary, "all": summary},
    )


def _is_drawn(path: Path) -> bool:
    """Dark and coloured ink on between 1 and 90 % of the picture."""
    pixels = imread(path)[..., :3]
    ink = (pixels < 0.9).any(axis=-1).mean()
    coloured = (np.ptp(pixels, axis=-1) > 0.2).any()
    return bool(0.01 < ink < 0.9 and coloured)


@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_overlays(tmp_path: Path, count: int) -> None:
    path = tmp_path / "ecg.png"
    conditions = ("healthy", "gap_junction", "fibrosis", "combined")
    traces = [_trace(0.9, name, 3) for name in conditions[:count]]
    draw_overlays(traces, path, rank="worst", statistics=_statistics(3))
    assert _is_drawn(path)


def test_overlays_are_in_z_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = []
    draw = figures.draw_ecg
    monkeypatch.setattr(figures, "draw_ecg", lambda *each: drawn.extend(each[2:]) or draw(*each))
    trace = _trace()
    draw_overlays([trace], tmp_path / "ecg.png", rank="best", statistics=_statistics(1))
    for found, ecg in zip(drawn, (trace.true, trace.predicted), strict=True):
        np.testing.assert_allclose(found, (ecg - 0.5) / 0.25)


def test_bars_that_leave_the_picture(tmp_path: Path) -> None:
    path = tmp_path / "r2.png"
    reports = [
        _report("network", 0.9, 0.2),
        _report("exact", 0.99, None),
        _report("nominal", -3.0, 5.0),
    ]
    draw_bars(reports, path)
    assert _is_drawn(path)


def test_drawing_leaves_matplotlib_as_it_was(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)
    draw_overlays([_trace()], tmp_path / "ecg.png", rank="best", statistics=_statistics(1))
    assert dict(mpl.rcParams) == before


def test_ranks() -> None:
    traces = [_trace(r2) for r2 in (0.5, 0.9, 0.1, 0.7)] + [_trace(0.3, "combined")]
    chosen = {
        rank: [trace.r2 for trace in ranked(traces, rank)] for rank in ("best", "median", "worst")
    }
    assert chosen == {"best": [0.9, 0.3], "median": [0.5, 0.3], "worst": [0.1, 0.3]}
