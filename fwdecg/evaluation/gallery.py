"""Which cases are shown of an evaluation, and where their pictures lie."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.splits import TEST
from fwdecg.evaluation.report import PredictorReport
from fwdecg.evaluation.scores import CaseScore
from fwdecg.library.labelled_cases import load_case, load_cases
from fwdecg.library.reader import Library
from fwdecg.pictures.attention_picture import attention_of, plot_attentions
from fwdecg.pictures.case_picture import plot_case
from fwdecg.pictures.error_picture import plot_errors
from fwdecg.pictures.evaluation_figures import Trace, draw_bars, draw_overlays
from fwdecg.pictures.parameter_histograms import COLUMNS
from fwdecg.pictures.style import save
from fwdecg.runtime.storage import Store
from fwdecg.training.checkpoint import TrainedSurrogate

FIGURES = "figures"
RANKS = {"best": 1.0, "median": 0.5, "worst": 0.0}  # place in the order of R^2, 0 the smallest


def draw_gallery(
    library: Library, traces: Sequence[Trace], reports: Sequence[PredictorReport], folder: Path
) -> None:
    """Draw bars of R^2, overlays of the best, median and worst cases, and the median cases' tissue.

    Args:
        library: whose maps are drawn.
        traces: of the test cases.
        reports: of the predictors, the network first.
        folder: of the evaluation; the pictures lie in its folder figures.
    """
    store = Store.at(folder)
    store.publish_with(f"{FIGURES}/r2.png", partial(draw_bars, reports))
    for rank in RANKS:
        draw = partial(
            draw_overlays, ranked(traces, rank), rank=rank, statistics=library.statistics
        )
        store.publish_with(f"{FIGURES}/ecg_{rank}.png", draw)
    for trace in ranked(traces, "median"):
        picture = plot_case(load_case(library, trace.case_id), trace.predicted)
        store.publish_with(f"{FIGURES}/case_{trace.condition}.png", partial(save, picture))


def draw_attentions(
    library: Library, trained: TrainedSurrogate, traces: Sequence[Trace], folder: Path
) -> None:
    """Draw which frames a surrogate looks at in the median case of each condition.

    Args:
        library: whose cases they are.
        trained: the surrogate, with attention.
        traces: of the test cases.
        folder: of the evaluation.
    """
    cases = load_cases(library, [trace.case_id for trace in ranked(traces, "median")])
    picture = plot_attentions([attention_of(case, trained) for case in cases])
    Store.at(folder).publish_with(f"{FIGURES}/attention.png", partial(save, picture))


def draw_errors(library: Library, scores: Sequence[CaseScore], folder: Path) -> None:
    """Draw the errors of one predictor over the drawn parameters of the tissues.

    Args:
        library: whose regular test cases are scored.
        scores: of the predictor.
        folder: of the evaluation.
    """
    picture = plot_errors(scores, library.table(TEST, COLUMNS))
    Store.at(folder).publish_with(f"{FIGURES}/errors.png", partial(save, picture))


def ranked(traces: Sequence[Trace], rank: str) -> list[Trace]:
    """The best, median (the lower of two) or worst case by R^2 of each condition that has any."""
    chosen = []
    for condition in CONDITIONS:
        own = sorted(
            (trace for trace in traces if trace.condition == condition.name),
            key=lambda trace: trace.r2,
        )
        if own:
            chosen.append(own[int(RANKS[rank] * (len(own) - 1))])
    return chosen
