"""Some cases simulated anew from the configuration: neither stored u nor stored phi_e enters.

On the processors that built the library the bytes are the same. Another kind rounds differently,
which moves a wave by a small part of a step; hence the bounds.
"""

import logging
from collections.abc import Generator, Sequence
from typing import NamedTuple

import numpy as np

from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import CaseRecord, simulate_case
from fwdecg.errors import LibraryError
from fwdecg.library.check.access import open_part
from fwdecg.library.check.fault import Check, Fault, quoted
from fwdecg.library.check.limits import (
    LARGEST_LEAD_BYTES,
    LARGEST_NODE_UPDATES,
    lead_bytes,
    node_updates,
)
from fwdecg.library.check.part_check import HeldCase
from fwdecg.library.check.rows import Row, rows
from fwdecg.library.schema import CASE_ID, PHI_E, U
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import Store

logger = logging.getLogger(__name__)

# Half precision resolves 2^-10 where u is above 1; on top of that a front's shift by rounding.
LARGEST_U_DIFFERENCE = 2.0**-10 + 0.01
LEAST_PHI_E_R2 = 0.9999


class Agreement(NamedTuple):
    """How a stored case and its new simulation compare.

    Attributes:
        identical: whether u and phi_e are equal bit for bit.
        u_difference: the largest.
        phi_e_r2: the smallest of all electrodes.
    """

    identical: bool
    u_difference: float
    phi_e_r2: float


def simulate_again(
    store: Store, sample: Sequence[HeldCase], config: LibraryConfig
) -> Generator[Fault, None, list[Agreement]]:
    """Whether u and phi_e of some cases are those of their simulations.

    Returns:
        How those that could be compared agree.
    """
    progress = Progress(logger, "cases simulated again", len(sample))
    agreements = []
    for held in sample:
        agreement = yield from _check_case(store, held, config)
        if agreement is not None:
            agreements.append(agreement)
        progress.advance(1)
    return agreements


def in_words(sample: Sequence[HeldCase], agreements: Sequence[Agreement]) -> str:
    """What was simulated again, and how well it agrees."""
    names = ", ".join(str(case.case_id) for case in sample)
    text = f"cases {names}, whose stored u and phi_e do not enter"
    if not agreements:
        return f"{text}: none could be compared"
    if len(agreements) == len(sample) and all(agreement.identical for agreement in agreements):
        return f"{text}: equal bit for bit"
    identical = sum(agreement.identical for agreement in agreements)
    difference = max(agreement.u_difference for agreement in agreements)
    r2 = min(agreement.phi_e_r2 for agreement in agreements)
    return (
        f"{text}: {identical} of {len(sample)} equal bit for bit; u within {difference:.2g}, "
        f"phi_e with R2 {r2:.6g} or more"
    )


def draw_sample(cases: Sequence[HeldCase], size: int, rng: np.random.Generator) -> list[HeldCase]:
    """Cases of all conditions in turn, at random within each; at most `size`."""
    shuffled = [cases[index] for index in rng.permutation(len(cases))]
    turns: dict[str, int] = {}
    ranked = []
    for case in shuffled:
        turns[case.condition] = turn = turns.get(case.condition, -1) + 1
        ranked.append((turn, case))
    chosen = [case for _, case in sorted(ranked, key=lambda entry: entry[0])[:size]]
    return sorted(chosen, key=lambda case: case.case_id)


def _check_case(
    store: Store, held: HeldCase, config: LibraryConfig
) -> Generator[Fault, None, Agreement | None]:
    """Whether a case's u and phi_e are those of its simulation; None if they were not compared."""
    name = f"{held.file}, case {held.case_id}"
    try:
        stored = _stored(store, held, config)
        record = _simulated(held.case_id, config)
    except Exception as error:  # a foreign configuration may ask for anything
        yield _fault(name, f"was not simulated again: {quoted(error)}")
        return None
    found = _compare(stored, record)
    if not found.u_difference <= LARGEST_U_DIFFERENCE:
        yield _fault(
            name,
            f"u is up to {found.u_difference:.3g} off its simulation: at most "
            f"{LARGEST_U_DIFFERENCE:.3g} is rounding",
        )
    if not found.phi_e_r2 >= LEAST_PHI_E_R2:
        yield _fault(
            name,
            f"phi_e has R2 {found.phi_e_r2:.6g} with the one simulated anew: must be at least "
            f"{LEAST_PHI_E_R2}",
        )
    return found


def _stored(store: Store, held: HeldCase, config: LibraryConfig) -> Row:
    with open_part(store, held.file) as parquet:
        found = rows(held.file, parquet, (CASE_ID, U, PHI_E), config)
        return next(r for r in found if not isinstance(r, Fault) and r[CASE_ID] == held.case_id)


def _simulated(case_id: int, config: LibraryConfig) -> CaseRecord:
    case = draw_case(config, case_id)
    bulk = case.spec.bulk_diffusivity_mm2_per_ms
    _require_bearable("node updates", node_updates(config, bulk), LARGEST_NODE_UPDATES)
    _require_bearable("bytes of lead fields", lead_bytes(config, bulk), LARGEST_LEAD_BYTES)
    return simulate_case(case, config)


def _require_bearable(what: str, needed: float, most: float) -> None:
    if needed > most:
        raise LibraryError(
            f"it takes {needed:.2g} {what}, at most {most:g} are granted; leave out simulations "
            "with --sample 0"
        )


def _compare(stored: Row, record: CaseRecord) -> Agreement:
    u, phi_e = stored[U].astype(np.float64), stored[PHI_E].astype(np.float64)
    residual = np.square(phi_e - record.phi_e).sum(axis=1)
    scale = np.square(record.phi_e - record.phi_e.mean(axis=1, keepdims=True)).sum(axis=1)
    return Agreement(
        identical=_same_bytes(stored[U], record.u) and _same_bytes(stored[PHI_E], record.phi_e),
        u_difference=float(np.abs(u - record.u).max()),
        phi_e_r2=float(_r2(residual, scale).min()),
    )


def _r2(residual: np.ndarray, scale: np.ndarray) -> np.ndarray:
    """1 - residual / scale; a flat signal has 1 if it is met and minus infinity otherwise."""
    flat = np.where(residual > 0, -np.inf, 1.0)
    return np.where(scale > 0, 1 - residual / np.where(scale > 0, scale, 1), flat)


def _same_bytes(stored: np.ndarray, simulated: np.ndarray) -> bool:
    return stored.dtype == simulated.dtype and stored.tobytes() == simulated.tobytes()


def _fault(subject: str, problem: str) -> Fault:
    return Fault(Check.SIMULATION, subject, problem)
