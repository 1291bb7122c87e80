"""An ablation study as plain text: means with marks of significance, then every comparison.

The text fits 100 columns.
"""

import textwrap
from collections.abc import Callable, Iterator, Sequence

from fwdecg.ablation.comparison import Comparison, Entry
from fwdecg.ablation.significance import MARKS, Interval, mark, smallest_p
from fwdecg.evaluation.report import LINE_LENGTH, aligned_lines, number
from fwdecg.pictures.bar_charts import Bar, plot_ablation
from fwdecg.pictures.style import Picture

TITLES = {"r2": "R2", "mae": "MAE"}
DIFFERENCES = ("mean", "95 % interval", "effect", "p", "p (Holm)", "")
WEAKEST = MARKS[-1][0]  # the largest p that has a mark


def ablation_text(comparisons: Sequence[Comparison], seeds: Sequence[int]) -> str:
    """Tables of each metric by variant and condition, and of the differences from the whole.

    Args:
        comparisons: one per metric, of the same variants.
        seeds: of the trainings of each variant.
    """
    lines = [*_opening(comparisons[0], seeds), ""]
    for comparison in comparisons:
        title = TITLES[comparison.metric]
        lines += [*_table(title, comparison, _marked), ""]
        lines += [*_table(f"median {title}", comparison, _median), ""]
        lines += [*_table(f"{title}, spread over seeds", comparison, _seed_spread), ""]
    for comparison in comparisons:
        head = [f"difference in {TITLES[comparison.metric]}", *DIFFERENCES]
        lines += [*aligned_lines([head, *_differences(comparison)]), ""]
    return "\n".join([*lines, *_closing(comparisons[0])])


def plot_comparisons(comparisons: Sequence[Comparison]) -> Picture:
    """Plot the means of each metric with their 95 % intervals and marks of significance.

    Args:
        comparisons: one per metric, of the same variants.
    """
    full = next(iter(comparisons[0].entries.values()))
    groups = {name: entry.cases for name, entry in full.items()}
    metrics = {
        comparison.metric: {
            variant: [_bar(entry) for entry in row.values()]
            for variant, row in comparison.entries.items()
        }
        for comparison in comparisons
    }
    return plot_ablation(groups, metrics)


def _bar(entry: Entry) -> Bar:
    interval = entry.interval or Interval(low=entry.mean, high=entry.mean)
    return Bar(mean=entry.mean, low=interval.low, high=interval.high, mark=_stars(entry))


def _stars(entry: Entry) -> str:
    return "" if entry.against is None else mark(entry.against.p_corrected)


def _opening(comparison: Comparison, seeds: Sequence[int]) -> list[str]:
    whole, *_ = comparison.entries
    counts = (f"{entry.cases} {name}" for name, entry in comparison.entries[whole].items())
    stars = ", ".join(f"{stars} p < {limit:g}" for limit, stars in reversed(MARKS))
    return [
        *_wrapped(
            f"Mean over test cases and seeds ({', '.join(map(str, seeds))}), of z-scored ECGs."
        ),
        f"Against {whole}, corrected for the number of variants: {stars}.",
        f"Cases: {', '.join(counts)}.",
    ]


def _closing(comparison: Comparison) -> list[str]:
    whole, *others = comparison.entries
    few = [
        f"{entry.cases} {name}"
        for name, entry in comparison.entries[whole].items()
        if smallest_p(entry.cases) * len(others) >= WEAKEST
    ]
    text = (
        f"Differences are variant minus {whole}, case by case, of means over the seeds. Interval: "
        "bootstrap over cases (BCa). Effect: rank-biserial correlation, -1 where every case has "
        "less, 1 where every case has more. p: Wilcoxon signed-rank test, two-sided; Holm's "
        "correction for the variants of each condition."
    )
    if few:
        text += f" Too few cases for any significance: {', '.join(few)}."
    return _wrapped(text)


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, LINE_LENGTH)


def _table(title: str, comparison: Comparison, cell: Callable[[Entry], str]) -> list[str]:
    rows = [
        [variant, *(cell(entry) for entry in row.values())]
        for variant, row in comparison.entries.items()
    ]
    return aligned_lines([[title, *comparison.columns], *rows])


def _marked(entry: Entry) -> str:
    return f"{number(entry.mean)} {_stars(entry):3}"


def _median(entry: Entry) -> str:
    return number(entry.median)


def _seed_spread(entry: Entry) -> str:
    return "-" if entry.seed_spread is None else number(entry.seed_spread)


def _differences(comparison: Comparison) -> Iterator[list[str]]:
    for variant, row in comparison.entries.items():
        for column, entry in row.items():
            if entry.against is not None:
                difference, p_corrected = entry.against.difference, entry.against.p_corrected
                yield [
                    f"{variant}, {column}",
                    _signed(difference.mean),
                    _interval(difference.interval),
                    f"{difference.effect_size:.2f}",
                    _p(difference.p_value),
                    _p(p_corrected),
                    f"{mark(p_corrected):3}",
                ]


def _interval(interval: Interval | None) -> str:
    return "-" if interval is None else f"[{_signed(interval.low)}, {_signed(interval.high)}]"


def _signed(difference: float) -> str:
    """Differences matter below the thousandth that means are given to."""
    return f"{difference:+.4f}" if abs(difference) < 9.99995 else f"{difference:+.1f}"


def _p(value: float) -> str:
    return f"{value:.2g}" if value < 0.001 else f"{value:.3f}"
