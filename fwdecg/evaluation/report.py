"""The report of an evaluation: summaries by condition or shift, and tables in plain text.

The text is at most 100 columns wide. It contains tables, a description of each predictor and a
verdict on the network. If the library has shifted cases, their tables and verdicts follow.
"""

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.evaluation.scores import SCORED_METRICS, CaseScore

ALL_CONDITIONS = "all"
REGULAR = "regular"  # the test cases that resemble the training cases
COLUMNS = (*(condition.name for condition in CONDITIONS), ALL_CONDITIONS)

MARK = " *"  # marks a predictor that uses more than the maps
LINE_LENGTH = 100
GAP = "  "  # between the columns of a table

Summary = TypeVar("Summary")


@dataclass(frozen=True, kw_only=True)
class MetricSummary:
    """Statistics of a metric over some cases. The fields are the keys in metrics.json.

    Attributes:
        mean: mean over the cases.
        spread: sample standard deviation over the cases; None for a single case.
        median: median over the cases.
        worst: value of the worst case.
    """

    mean: float
    spread: float | None
    median: float
    worst: float

    @classmethod
    def from_values(
        cls, values: Sequence[float], worst: Callable[[Sequence[float]], float]
    ) -> "MetricSummary":
        """Summarise at least one value; `worst` is `min` or `max`."""
        return cls(
            mean=float(np.mean(values)),
            spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
            median=float(np.median(values)),
            worst=worst(values),
        )


@dataclass(frozen=True, kw_only=True)
class ScoreSummary:
    """All metrics over some cases, in the units of `CaseScore`."""

    cases: int
    r2: MetricSummary
    mae: MetricSummary
    rmse: MetricSummary
    spectral_entropy_error: MetricSummary

    @classmethod
    def from_scores(cls, scores: Sequence[CaseScore]) -> "ScoreSummary":
        """Summarise at least one score."""
        summaries = {
            name: MetricSummary.from_values(
                [getattr(score, name) for score in scores], worst=min if name == "r2" else max
            )
            for name in SCORED_METRICS
        }
        return cls(cases=len(scores), **summaries)


@dataclass(frozen=True, kw_only=True)
class PredictorReport:
    """The scores of one predictor, summarised.

    Attributes:
        name: name of the predictor.
        knows_tissue: whether it uses D and the patches of a case in addition to its maps.
        detail: short description of the predictor.
        summaries: summaries by group of cases. The groups are the conditions that have cases and
            "all"; in reports from `by_shift` they are "regular" and the shifts.
    """

    name: str
    knows_tissue: bool
    detail: str
    summaries: dict[str, ScoreSummary]

    @property
    def overall(self) -> ScoreSummary:
        """Summary of all cases."""
        return self.summaries[ALL_CONDITIONS]


def summarise(scores: Sequence[CaseScore]) -> dict[str, ScoreSummary]:
    """Summarise the scores of one predictor by condition, and last over all cases."""
    groups = {
        column: [score for score in scores if column in (score.condition, ALL_CONDITIONS)]
        for column in COLUMNS
    }
    return {column: ScoreSummary.from_scores(group) for column, group in groups.items() if group}


def report_text(network: PredictorReport, baselines: Sequence[PredictorReport]) -> str:
    """Return tables by condition, a description of each predictor and the verdict.

    Args:
        network: report of the trained surrogate.
        baselines: reports of the baselines.
    """
    reports = [network, *baselines]
    legend = f"{MARK.strip()} uses D and the patches of each case; the others use only its maps."
    return "\n".join(
        [
            "Mean ± standard deviation over the test cases, of z-scored ECGs.",
            _counts(network),
            "",
            *_tables(reports, COLUMNS),
            "",
            legend,
            *(f"{report.name}: {report.detail}." for report in reports),
            "",
            *textwrap.wrap(verdict(network, baselines), LINE_LENGTH),
        ]
    )


def verdict(network: PredictorReport, baselines: Sequence[PredictorReport]) -> str:
    """Return a sentence that compares the network with the baselines that do not know D."""
    rivals = [report for report in baselines if not report.knows_tissue]
    best = max(rivals, key=lambda report: report.overall.r2.mean)
    figures = f"R2 {network.overall.r2.mean:.3f} against {best.overall.r2.mean:.3f}"
    if network.overall.r2.mean <= best.overall.r2.mean:
        return (
            "The network does NOT beat every baseline that does not know D: "
            f"{best.name} is at least as good ({figures})."
        )
    behind = [
        condition
        for condition, summary in network.summaries.items()
        if any(report.summaries[condition].r2.mean >= summary.r2.mean for report in rivals)
    ]
    exception = f" It is behind one of them in {' and '.join(behind)}." if behind else ""
    return (
        "The network beats every baseline that does not know D; "
        f"the best of them is {best.name} ({figures}).{exception}"
    )


def by_shift(
    regular: Sequence[PredictorReport], shifted: Mapping[str, Sequence[PredictorReport]]
) -> list[PredictorReport]:
    """Return reports with one summary for the regular test split and one for each shift.

    Args:
        regular: reports on the regular test split.
        shifted: reports of the same predictors on the test split of each shift.
    """
    splits = {REGULAR: regular} | dict(shifted)
    return [
        replace(
            report, summaries={name: reports[place].overall for name, reports in splits.items()}
        )
        for place, report in enumerate(regular)
    ]


def shifts_text(
    regular: Sequence[PredictorReport], shifted: Mapping[str, Sequence[PredictorReport]]
) -> str:
    """Return tables by shift, and a verdict on the network for each shift.

    Args:
        regular: reports on the regular test split, the network first.
        shifted: reports of the same predictors on the test split of each shift.
    """
    reports = by_shift(regular, shifted)
    lines = [
        "Test cases that differ from those of training, by shift. Nothing was fitted to them.",
        "If the electrodes are displaced, only a predictor with * knows their positions.",
        _counts(reports[0]),
        "",
        *_tables(reports, reports[0].summaries),
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


def _tables(reports: Sequence[PredictorReport], columns: Iterable[str]) -> list[str]:
    """Return tables of the mean and median of R^2 and of the mean of MAE."""
    rows = {
        report.name + (MARK if report.knows_tissue else ""): report.summaries for report in reports
    }
    return [
        *summary_table("R2", rows, columns, lambda summary: _mean_and_deviation(summary.r2)),
        "",
        *summary_table("median R2", rows, columns, lambda summary: number(summary.r2.median)),
        "",
        *summary_table("MAE", rows, columns, lambda summary: _mean_and_deviation(summary.mae)),
    ]


def summary_table(
    title: str,
    rows: Mapping[str, Mapping[str, Summary]],
    columns: Iterable[str],
    cell: Callable[[Summary], str],
) -> list[str]:
    """Return the lines of a table with one value for each row and column.

    Args:
        title: heading of the first column, which contains the names of the rows.
        rows: summaries by name of the row and of the column; a missing summary becomes "-".
        columns: names of the columns.
        cell: function that formats a summary.
    """
    names = list(columns)
    lines = [
        [row, *(cell(found[name]) if name in found else "-" for name in names)]
        for row, found in rows.items()
    ]
    return aligned_lines([[title, *names], *lines])


def _mean_and_deviation(value: MetricSummary) -> str:
    """Return "mean ± standard deviation", or the mean alone for a single case."""
    return number(value.mean) + ("" if value.spread is None else f" ± {number(value.spread)}")


def number(value: float) -> str:
    """Format a number with at most six characters up to 10^5."""
    decimals = 3 if abs(value) < 9.9995 else 1 if abs(value) < 999.95 else 0
    return f"{value:.{decimals}f}"


def aligned_lines(rows: Sequence[Sequence[str]]) -> list[str]:
    """Return the lines of a table whose columns are as wide as their widest cell.

    Args:
        rows: cells of each line. The first cell of a line is left-aligned, the others are
            right-aligned.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        GAP.join([name.ljust(widths[0]), *map(str.rjust, cells, widths[1:])]).rstrip()
        for name, *cells in rows
    ]
