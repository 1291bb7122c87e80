"""How well each predictor does by condition and over all: as records, and as plain text.

The text fits 100 columns: two tables, who is told what, and a verdict on the network.
"""

import textwrap
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from fwdecg.evaluation.scores import CaseScore
from fwdecg.library.conditions import CONDITIONS

ALL_CONDITIONS = "all"
COLUMNS = (*(condition.name for condition in CONDITIONS), ALL_CONDITIONS)

MARK = " *"  # of a predictor that is told more than the maps
GAP = "  "
LINE_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A metric over some cases: mean, sample standard deviation (None for one case), worst."""

    mean: float
    spread: float | None
    worst: float

    @classmethod
    def of(cls, values: Sequence[float], worst: Callable[[Sequence[float]], float]) -> "Spread":
        """The spread of at least one value."""
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(mean=float(np.mean(values)), spread=spread, worst=worst(values))


@dataclass(frozen=True, kw_only=True)
class Summary:
    """All metrics over some cases; units as in `CaseScore`."""

    cases: int
    r2: Spread
    mae: Spread
    rmse: Spread
    spectral_entropy_error: Spread

    @classmethod
    def of(cls, scores: Sequence[CaseScore]) -> "Summary":
        """The summary of at least one score."""
        return cls(
            cases=len(scores),
            r2=Spread.of([score.r2 for score in scores], min),
            mae=Spread.of([score.mae for score in scores], max),
            rmse=Spread.of([score.rmse for score in scores], max),
            spectral_entropy_error=Spread.of(
                [score.spectral_entropy_error for score in scores], max
            ),
        )


@dataclass(frozen=True, kw_only=True)
class PredictorReport:
    """One predictor over a split.

    Attributes:
        name: of the predictor.
        knows_tissue: whether it is told D and the patches of a case beside its maps.
        detail: its main figure.
        summaries: by condition, for those that have cases, and last over "all".
    """

    name: str
    knows_tissue: bool
    detail: str
    summaries: dict[str, Summary]

    @property
    def overall(self) -> Summary:
        """Over all cases."""
        return self.summaries[ALL_CONDITIONS]

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, as plain values."""
        return asdict(self)


def summarise(scores: Sequence[CaseScore]) -> dict[str, Summary]:
    """Summaries of one predictor's scores by condition, and last over "all"."""
    groups = {
        column: [score for score in scores if column in (score.condition, ALL_CONDITIONS)]
        for column in COLUMNS
    }
    return {column: Summary.of(group) for column, group in groups.items() if group}


def report_text(network: PredictorReport, baselines: Sequence[PredictorReport]) -> str:
    """Tables of R^2 and MAE by condition, what each predictor is, and the verdict on the network.

    Args:
        network: of the trained surrogate.
        baselines: of those it is compared with.
    """
    reports = [network, *baselines]
    counts = (f"{summary.cases} {name}" for name, summary in network.summaries.items())
    marked = f"{MARK.strip()} is told D and the patches of each case; the others see only its maps."
    return "\n".join(
        [
            "Mean ± spread over the test cases, of z-scored ECGs.",
            f"Cases: {', '.join(counts)}.",
            "",
            *_table("R2", [(report, _row(report, "r2")) for report in reports]),
            "",
            *_table("MAE", [(report, _row(report, "mae")) for report in reports]),
            "",
            marked,
            *(f"{report.name}: {report.detail}." for report in reports),
            "",
            *textwrap.wrap(verdict(network, baselines), LINE_LENGTH),
        ]
    )


def verdict(network: PredictorReport, baselines: Sequence[PredictorReport]) -> str:
    """Whether the network's mean R^2 is above that of every baseline that sees only maps."""
    equals = [report for report in baselines if not report.knows_tissue]
    best = max(equals, key=lambda report: report.overall.r2.mean)
    figures = f"R2 {network.overall.r2.mean:.3f} against {best.overall.r2.mean:.3f}"
    if network.overall.r2.mean <= best.overall.r2.mean:
        return (
            "The network does NOT beat every baseline that does not know D: "
            f"{best.name} is at least as good ({figures})."
        )
    behind = [
        condition
        for condition, summary in network.summaries.items()
        if any(report.summaries[condition].r2.mean >= summary.r2.mean for report in equals)
    ]
    exception = f" It is behind one of them in {' and '.join(behind)}." if behind else ""
    return (
        "The network beats every baseline that does not know D; "
        f"the best of them is {best.name} ({figures}).{exception}"
    )


def _table(title: str, rows: Sequence[tuple[PredictorReport, list[str]]]) -> list[str]:
    """Lines of a table, the columns as wide as their widest cell."""
    head = [title, *COLUMNS]
    body = [[report.name + (MARK if report.knows_tissue else ""), *cells] for report, cells in rows]
    widths = [max(len(line[column]) for line in [head, *body]) for column in range(len(head))]
    return [
        GAP.join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]).rstrip()
        for line in [head, *body]
    ]


def _row(report: PredictorReport, metric: str) -> list[str]:
    return [
        _cell(getattr(report.summaries[column], metric)) if column in report.summaries else "-"
        for column in COLUMNS
    ]


def _cell(value: Spread) -> str:
    return _number(value.mean) + ("" if value.spread is None else f" ± {_number(value.spread)}")


def _number(value: float) -> str:
    """At most six characters up to 10^5."""
    decimals = 3 if abs(value) < 9.9995 else 1 if abs(value) < 999.95 else 0
    return f"{value:.{decimals}f}"
