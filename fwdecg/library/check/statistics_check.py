"""statistics.json against the training cases, added up anew in constant memory."""

from collections.abc import Iterator, Sequence
from typing import Any

from fwdecg.cases.splits import TRAIN
from fwdecg.library.check.fault import Check, Fault, quoted
from fwdecg.library.check.part_check import HeldCase
from fwdecg.library.paths import STATISTICS
from fwdecg.library.statistics import Statistics, combine_moments

# Sums of up to 1e10 values in float64, added in another order, agree within about 1e-11 of
# themselves. z-scores are made in float32, which resolves 6e-8: a thousandth of that is never seen.
TOLERANCE_IN_SPREADS = 1e-10


def training_statistics(cases: Sequence[HeldCase]) -> Statistics | None:
    """The statistics over the cases of the training split; None if there are none."""
    training = [case.moments for case in cases if case.split == TRAIN]
    return combine_moments(training, cases=len(training))


def check_statistics(found: dict[str, Any], wanted: Statistics) -> Iterator[Fault]:
    """Whether statistics.json holds what the training cases give; they must all have been read."""
    scales = {
        "cases": (0.0,),
        "u_mean": (wanted.u_spread,),
        "u_spread": (wanted.u_spread,),
        "phi_e_mean": wanted.phi_e_spread,
        "phi_e_spread": wanted.phi_e_spread,
    }
    for name, value in wanted.as_dict().items():
        here, there = _numbers(found.get(name)), _numbers(value)
        if not _close(here, there, scales[name]):
            yield Fault(
                Check.STATISTICS,
                STATISTICS,
                f"{name} is {quoted(found.get(name))}: the training cases give {quoted(value)}",
                "build the library again: its parts are kept",
            )


def _close(found: Sequence[object], wanted: Sequence[object], scales: Sequence[float]) -> bool:
    if len(found) != len(wanted):
        return False
    return all(
        isinstance(a, int | float)
        and isinstance(b, int | float)
        and abs(a - b) <= TOLERANCE_IN_SPREADS * scale
        for a, b, scale in zip(found, wanted, scales, strict=True)
    )


def _numbers(value: object) -> Sequence[object]:
    return value if isinstance(value, list | tuple) else (value,)
