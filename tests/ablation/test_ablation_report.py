"""Text and picture of an ablation study."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from fwdecg.ablation.ablation_report import ablation_text, plot_comparisons
from fwdecg.ablation.comparison import Comparison, RunScores, compare_variants
from fwdecg.evaluation.scores import CaseScore

CONDITIONS = ("healthy", "gap_junction", "fibrosis", "combined", "fibrosis")


def _comparisons(cases: int, shift: float = -0.3) -> list[Comparison]:
    """A variant that is worse by about `shift` in every case, and one that is hardly different."""
    rng = np.random.default_rng(0)
    ids = range(cases)
    whole = 0.9 + 0.05 * rng.random((2, cases))
    values = {
        "full": whole,
        "mean voltage": whole + shift * (1 + 0.1 * rng.random(cases)),
        "no time embedding": whole + 1e-3 * rng.normal(size=(2, cases)),
    }
    runs = [
        RunScores(
            variant=name,
            seed=seed,
            scores=[
                CaseScore(
                    case_id=i,
                    condition=CONDITIONS[i % 5],
                    split="test",
                    predictor=name,
                    r2=held[seed, i],
                    mae=1 - held[seed, i],
                    rmse=0.0,
                    spectral_entropy_error=0.0,
                )
                for i in ids
            ],
        )
        for name, held in values.items()
        for seed in (0, 1)
    ]
    return [compare_variants(runs, metric) for metric in ("r2", "mae")]


@pytest.mark.parametrize("shift", [-0.3, -25.0])
def test_the_text(shift: float) -> None:
    comparisons = _comparisons(60, shift)
    text = ablation_text(comparisons, (0, 1))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert "Cases: 12 healthy, 12 gap_junction, 24 fibrosis, 12 combined, 60 all." in lines
    # 12 equal signs: p = 2^-11, twice that corrected; 60 of them: below 0.001 by far.
    healthy, _ = (line for line in lines if line.startswith("mean voltage, healthy"))  # R2, MAE
    assert healthy.split()[-4:] == ["-1.00", "0.00049", "0.00098", "***"]
    table = text.split("\n\n")[1].splitlines()
    assert table[0].split() == ["R2", "healthy", "gap_junction", "fibrosis", "combined", "all"]
    assert table[2].split()[0:2] == ["mean", "voltage"]
    assert table[2].count("***") == 5
    assert table[3].count("*") == 0
    assert "Too few" not in text


def test_too_few_cases_are_named() -> None:
    text = " ".join(ablation_text(_comparisons(20), (0, 1)).split())
    # Two variants: 4 cases have p of 0.125 at least, 8 have 0.0078.
    assert "Too few cases for any significance: 4 healthy, 4 gap_junction, 4 combined." in text


@pytest.mark.parametrize("shift", [-0.3, -3.0])
@pytest.mark.parametrize("cases", [5, 60])
def test_the_picture(tmp_path: Path, shift: float, cases: int) -> None:
    path = tmp_path / "ablation.png"
    plot_comparisons(_comparisons(cases, shift)).savefig(path)
    pixels = imread(path)[..., :3]
    ink = (pixels < 0.9).any(axis=-1).mean()
    assert 0.01 < ink < 0.9
    assert (np.ptp(pixels, axis=-1) > 0.2).any()
