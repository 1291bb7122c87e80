"""How well each predictor does by condition and over all: as records, and as plain text.

The text fits 100 columns: tables, who is told what, and a verdict on the network. Cases unlike
those of training, if the library has any, follow by shift.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.evaluation.scores import CaseScore
from fwdecg.evaluation.text_table import aligned

ALL_CONDITIONS = "all"
REGULAR = "regular"  # the test cases that are like those of training
COLUMNS = (*(condition.name for condition in CONDITIONS), ALL_CONDITIONS)

MARK = " *"  # of a predictor that is told more than the maps
LINE_LENGTH = 100


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A metric over some cases: mean, sample standard deviation (None for one), median, worst."""

    mean: float
    spread: float | None
    median: float
    worst: float

    @classmethod
    def of(cls, values: Sequence[float], worst: Callable[[Sequence[float]], float]) -> "Spread":
        """The spread of at least one value."""
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return cls(
            mean=float(np.mean(values)),
            spread=spread,
            median=float(np.median(values)),
            worst=worst(values),
        )


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
        summaries: by condition, for those that have cases, and last over "all"; or by shift, see
            `by_shift`.
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
    """Tables by condition, what each predictor is, and the verdict on the network.

    Args:
        network: of the trained surrogate.
        baselines: of those it is compared with.
    """
    reports = [network, *baselines]
    marked = f"{MARK.strip()} is told D and the patches of each case; the others see only its maps."
    return "\n".join(
        [
            "Mean ± spread over the test cases, of z-scored ECGs.",
            _counts(network),
            "",
            *_tables(reports, COLUMNS),
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


def by_shift(
    regular: Sequence[PredictorReport], shifted: Mapping[str, Sequence[PredictorReport]]
) -> list[PredictorReport]:
    """The predictors with their summaries over all cases, of the regular test split and each shift.

    Args:
        regular: on the regular test split.
        shifted: the same predictors on the test split of each shift.
    """
    columns = {REGULAR: regular} | dict(shifted)
    return [
        replace(report, summaries={name: held[place].overall for name, held in columns.items()})
        for place, report in enumerate(regular)
    ]


def shifts_text(
    regular: Sequence[PredictorReport], shifted: Mapping[str, Sequence[PredictorReport]]
) -> str:
    """Tables by shift, and for each shift a verdict on the network.

    Args:
        regular: on the regular test split, the network first.
        shifted: the same predictors on the test split of each shift.
    """
    across = by_shift(regular, shifted)
    lines = [
        "Test cases unlike those of training, by what is shifted in them (library.shifts); nothing",
        "was fitted to them. Displaced electrodes: only a predictor with * is told where they are.",
        _counts(across[0]),
        "",
        *_tables(across, list(across[0].summaries)),
        "",
    ]
    for name, (network, *baselines) in shifted.items():
        change = network.overall.r2.mean - regular[0].overall.r2.mean
        sentence = f"{name}: mean R2 {change:+.3f} against regular cases. "
        lines += textwrap.wrap(sentence + verdict(network, baselines), LINE_LENGTH)
    return "\n".join(lines)


def _counts(report: PredictorReport) -> str:
    counts = (f"{summary.cases} {name}" for name, summary in report.summaries.items())
    return f"Cases: {', '.join(counts)}."


def _tables(reports: Sequence[PredictorReport], columns: Sequence[str]) -> list[str]:
    """Mean ± spread and median of R^2, mean ± spread of MAE."""
    return [
        *_table("R2", reports, columns, lambda summary: mean_and_spread(summary.r2)),
        "",
        *_table("median R2", reports, columns, lambda summary: number(summary.r2.median)),
        "",
        *_table("MAE", reports, columns, lambda summary: mean_and_spread(summary.mae)),
    ]


def _table(
    title: str,
    reports: Sequence[PredictorReport],
    columns: Sequence[str],
    cell: Callable[[Summary], str],
) -> list[str]:
    rows = [
        [
            report.name + (MARK if report.knows_tissue else ""),
            *(
                cell(report.summaries[name]) if name in report.summaries else "-"
                for name in columns
            ),
        ]
        for report in reports
    ]
    return aligned([[title, *columns], *rows])


def mean_and_spread(value: Spread) -> str:
    """Mean ± spread, the mean alone where there is no spread."""
    return number(value.mean) + ("" if value.spread is None else f" ± {number(value.spread)}")


def number(value: float) -> str:
    """At most six characters up to 10^5."""
    decimals = 3 if abs(value) < 9.9995 else 1 if abs(value) < 999.95 else 0
    return f"{value:.{decimals}f}"
