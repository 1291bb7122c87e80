"""Choose the cases that the pictures of an evaluation show, and write the pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.splits import TEST
from fwdecg.evaluation.report import PredictorReport
from fwdecg.evaluation.scores import CaseScore, z_scored
from fwdecg.library.labelled_cases import load_case, load_cases
from fwdecg.library.reader import Library
from fwdecg.library.schema import CASE_ID
from fwdecg.library.statistics import Statistics
from fwdecg.pictures.attention_picture import plot_attentions
from fwdecg.pictures.bar_charts import Bar, plot_r2_bars
from fwdecg.pictures.case_picture import plot_case
from fwdecg.pictures.ecg_overlays import EcgPair, plot_overlays
from fwdecg.pictures.parameter_pictures import COLUMNS, plot_errors
from fwdecg.pictures.style import Picture
from fwdecg.runtime.storage import Store
from fwdecg.training.trained_surrogate import TrainedSurrogate

FIGURES = "figures"  # folder of the pictures in the folder of the evaluation
RANKS = {"best": 1.0, "median": 0.5, "worst": 0.0}  # position in ascending order of R^2


def write_gallery(
    library: Library, pairs: Sequence[EcgPair], reports: Sequence[PredictorReport], folder: Path
) -> None:
    """Write a bar chart of R^2, the best, median and worst ECGs, and a picture of each median case.

    Args:
        library: library of the test cases.
        pairs: true and predicted ECG of each test case, in mm/ms.
        reports: reports of the predictors, the network first.
        folder: folder of the evaluation.
    """
    write_figure(folder, "r2", plot_reports(reports))
    recording = library.config.recording
    time_ms = np.arange(recording.frames) * recording.frame_interval_ms
    for rank in RANKS:
        chosen = [in_z_scores(pair, library.statistics) for pair in cases_of_rank(pairs, rank)]
        write_figure(folder, f"ecg_{rank}", plot_overlays(chosen, time_ms, rank=rank))
    for pair in cases_of_rank(pairs, "median"):
        picture = plot_case(load_case(library, pair.case_id), pair.predicted)
        write_figure(folder, f"case_{pair.condition}", picture)


def write_attention_maps(
    library: Library, trained: TrainedSurrogate, pairs: Sequence[EcgPair], folder: Path
) -> None:
    """Write the attention maps of the median case of each condition.

    Args:
        library: library of the test cases.
        trained: surrogate with attention.
        pairs: true and predicted ECG of each test case.
        folder: folder of the evaluation.
    """
    cases = load_cases(library, [pair.case_id for pair in cases_of_rank(pairs, "median")])
    write_figure(folder, "attention", plot_attentions(cases, trained))


def write_errors(library: Library, scores: Sequence[CaseScore], folder: Path) -> None:
    """Write a picture of one predictor's errors over the sampled parameters of the tissues.

    Args:
        library: library of the test cases.
        scores: scores of the predictor on the regular test cases.
        folder: folder of the evaluation.
    """
    by_id = {score.case_id: score for score in scores}
    columns = library.table(TEST, COLUMNS, list(by_id)).sort_by(CASE_ID)
    ordered = [by_id[case_id] for case_id in columns[CASE_ID].to_pylist()]
    picture = plot_errors(
        {name: columns[name].to_numpy() for name in COLUMNS},
        r2=np.array([score.r2 for score in ordered]),
        mae=np.array([score.mae for score in ordered]),
    )
    write_figure(folder, "errors", picture)


def write_figure(folder: Path, name: str, picture: Picture) -> None:
    """Write a picture as NAME.png among the figures of an evaluation."""
    Store.at(folder).publish_with(f"{FIGURES}/{name}.png", picture.savefig)


def plot_reports(reports: Sequence[PredictorReport]) -> Picture:
    """Plot the mean R^2 of each predictor in each group of cases."""
    groups = {name: summary.cases for name, summary in reports[0].summaries.items()}
    series = {
        report.name + (" (knows D)" if report.knows_tissue else ""): _r2_bars(report, groups)
        for report in reports
    }
    return plot_r2_bars(groups, series)


def _r2_bars(report: PredictorReport, groups: Mapping[str, int]) -> list[Bar]:
    bars = []
    for name in groups:
        r2 = report.summaries[name].r2
        whisker = r2.spread or 0.0
        bars.append(Bar(mean=r2.mean, low=r2.mean - whisker, high=r2.mean + whisker))
    return bars


def in_z_scores(pair: EcgPair, statistics: Statistics) -> EcgPair:
    """Convert ECGs from mm/ms to z-scores of the training split."""
    true, predicted = z_scored(np.stack([pair.true, pair.predicted]), statistics)
    return replace(pair, true=true, predicted=predicted)


def cases_of_rank(pairs: Sequence[EcgPair], rank: str) -> list[EcgPair]:
    """Return the best, median or worst case of each condition by R^2.

    The median of an even number of cases is the lower of the two middle ones.
    """
    chosen = []
    for condition in CONDITIONS:
        own = sorted(
            (pair for pair in pairs if pair.condition == condition.name),
            key=lambda pair: pair.r2,
        )
        if own:
            chosen.append(own[int(RANKS[rank] * (len(own) - 1))])
    return chosen
