"""Which cases are shown of an evaluation, and where their pictures lie."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from fwdecg.evaluation.case_picture import CasePicture, draw_case
from fwdecg.evaluation.figures import Trace, draw_bars, draw_overlays
from fwdecg.evaluation.recorded_case import recorded_cases
from fwdecg.evaluation.report import PredictorReport
from fwdecg.library.conditions import CONDITIONS
from fwdecg.library.reader import Library
from fwdecg.storage import Store

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
    store.publish_by(f"{FIGURES}/r2.png", partial(draw_bars, reports))
    for rank in RANKS:
        draw = partial(draw_overlays, ranked(traces, rank), rank=rank)
        store.publish_by(f"{FIGURES}/ecg_{rank}.png", draw)
    for trace in ranked(traces, "median"):
        (case,) = recorded_cases(library, [trace.case_id])
        picture = CasePicture(trace=trace, maps=case.maps)
        store.publish_by(f"{FIGURES}/case_{trace.condition}.png", partial(draw_case, picture))


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
