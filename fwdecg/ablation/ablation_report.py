"""The report of an ablation study: tables of means with marks of significance, and a picture.

The text is at most 100 columns wide.
"""

import textwrap
from collections.abc import Iterator, Sequence

from fwdecg.ablation.comparison import Comparison, VariantSummary
from fwdecg.ablation.significance import MARKS, Interval, smallest_p, stars
from fwdecg.evaluation.report import LINE_LENGTH, aligned_lines, number, summary_table
from fwdecg.pictures.bar_charts import Bar, plot_ablation
from fwdecg.pictures.style import Picture

TITLES = {"r2": "R2", "mae": "MAE"}
DIFFERENCE_COLUMNS = ("mean", "95 % interval", "effect", "p", "p (Holm)", "")
SIGNIFICANT_P = MARKS[-1][0]  # a p value below this limit has a mark


def ablation_text(comparisons: Sequence[Comparison], seeds: Sequence[int]) -> str:
    """Return tables of each metric by variant and condition, and of differences from "full".

    Args:
        comparisons: one comparison of the same variants for each metric.
        seeds: seeds that each variant was trained with.
    """
    lines = _header(comparisons[0], seeds)
    for comparison in comparisons:
        title = TITLES[comparison.metric]
        for heading, cell in (
            (title, lambda each: f"{number(each.mean)} {_stars(each):3}"),
            (f"median {title}", lambda each: number(each.median)),
            (
                f"{title}, SD over seeds",
                lambda each: "-" if each.seed_spread is None else number(each.seed_spread),
            ),
        ):
            lines += ["", *summary_table(heading, comparison.summaries, comparison.groups, cell)]
    for comparison in comparisons:
        head = [f"difference in {TITLES[comparison.metric]}", *DIFFERENCE_COLUMNS]
        lines += ["", *aligned_lines([head, *_differences(comparison)])]
    return "\n".join([*lines, "", *_footer(comparisons[0])])


def plot_comparisons(comparisons: Sequence[Comparison]) -> Picture:
    """Plot the means of each metric with their 95 % intervals and marks of significance.

    Args:
        comparisons: one comparison of the same variants for each metric.
    """
    metrics = {
        comparison.metric: {
            variant: [_bar(summary) for summary in row.values()]
            for variant, row in comparison.summaries.items()
        }
        for comparison in comparisons
    }
    return plot_ablation(comparisons[0].groups, metrics)


def _bar(summary: VariantSummary) -> Bar:
    interval = summary.interval or Interval(low=summary.mean, high=summary.mean)
    return Bar(mean=summary.mean, low=interval.low, high=interval.high, mark=_stars(summary))


def _stars(summary: VariantSummary) -> str:
    return "" if summary.against is None else stars(summary.against.p_corrected)


def _header(comparison: Comparison, seeds: Sequence[int]) -> list[str]:
    full = next(iter(comparison.summaries))
    counts = (f"{cases} {name}" for name, cases in comparison.groups.items())
    legend = ", ".join(f"{mark} p < {limit:g}" for limit, mark in reversed(MARKS))
    return [
        *textwrap.wrap(
            f"Mean over test cases and seeds ({', '.join(map(str, seeds))}), of z-scored ECGs.",
            LINE_LENGTH,
        ),
        f"Against {full}, corrected for the number of variants: {legend}.",
        f"Cases: {', '.join(counts)}.",
    ]


def _footer(comparison: Comparison) -> list[str]:
    full, *others = comparison.summaries
    few = [
        f"{cases} {name}"
        for name, cases in comparison.groups.items()
        if smallest_p(cases) * len(others) >= SIGNIFICANT_P
    ]
    text = (
        f"Differences are variant minus {full} in each case, of means over the seeds. Interval: "
        "bootstrap over cases (BCa). Effect: rank-biserial correlation, -1 if the variant is lower "
        "in every case, 1 if it is higher in every case. p: Wilcoxon signed-rank test, two-sided; "
        "Holm's correction for the variants of each condition. SD: standard deviation."
    )
    if few:
        text += f" Too few cases for any significance: {', '.join(few)}."
    return textwrap.wrap(text, LINE_LENGTH)


def _differences(comparison: Comparison) -> Iterator[list[str]]:
    """Yield the cells of one line for each variant and group: its difference from "full"."""
    for variant, row in comparison.summaries.items():
        for group, summary in row.items():
            if summary.against is not None:
                difference, p_corrected = summary.against.difference, summary.against.p_corrected
                yield [
                    f"{variant}, {group}",
                    _signed(difference.mean),
                    _interval(difference.interval),
                    f"{difference.effect_size:.2f}",
                    _p(difference.p_value),
                    _p(p_corrected),
                    f"{stars(p_corrected):3}",
                ]


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"[{_signed(interval.low)}, {_signed(interval.high)}]"


def _signed(difference: float) -> str:
    """Format a difference with its sign and one decimal more than a mean."""
    return f"{difference:+.4f}" if abs(difference) < 9.99995 else f"{difference:+.1f}"


def _p(value: float) -> str:
    return f"{value:.2g}" if value < 0.001 else f"{value:.3f}"
