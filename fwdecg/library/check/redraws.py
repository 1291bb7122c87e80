"""Comparison of stored cases with the cases that the configuration gives for their ids.

`check_draw` draws a case again: its parameters, tissue maps and solver resolution. `resimulate`
computes the voltage and the ECG of some cases again, without using the stored u and phi_e.
On the CPU model that built the library, the results are equal bit for bit. Other CPU models round
differently, which shifts a wave by a small fraction of a time step. The tolerances allow for that.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import numpy as np

from fwdecg.cases.draw import Case, CaseSpec, draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import CaseRecord, DiscretisedCase, discretise_case, simulate_case
from fwdecg.errors import LibraryError
from fwdecg.library.check.fault import Check, ReportFault, ReportProblem, quoted, reporter
from fwdecg.library.check.limits import (
    LARGEST_LEAD_BYTES,
    LARGEST_NODE_UPDATES,
    lead_bytes,
    node_updates,
)
from fwdecg.library.check.rows import CaseSummary, Row, RowCheck, check_row, open_part, read_rows
from fwdecg.library.schema import CASE_ID, CONDUCTING, DIFFUSIVITY, ELECTRODES, PHI_E, U
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import Store
from fwdecg.shapes import Field

logger = logging.getLogger(__name__)

RELATIVE_TOLERANCE = 1e-9  # float64 values
MAP_TOLERANCE = 1e-5  # float32 maps, relative
# The start of a second stimulus follows from a wave simulated in float32.
SIMULATED_TOLERANCE = 1e-5
_SIMULATED = "stimulus_s2_start_ms"

# Half precision resolves 2^-10 where u is above 1; rounding also shifts the wavefront.
LARGEST_U_DIFFERENCE = 2.0**-10 + 0.01
LEAST_PHI_E_R2 = 0.9999

_SPEC = tuple(CaseSpec.__dataclass_fields__)
_RESOLUTION = ("solver_spacing_mm", "solver_dt_ms", "cv_error_estimate")
_RECORDING = ("frame_interval_ms", "map_spacing_mm")


class Drawn(NamedTuple):
    """A case drawn again."""

    config: LibraryConfig
    case: Case
    setup: DiscretisedCase


class Agreement(NamedTuple):
    """Agreement of a stored case with its new simulation.

    Attributes:
        identical: whether u and phi_e are equal bit for bit.
        u_difference: largest absolute difference of u.
        phi_e_r2: smallest R2 of phi_e over the electrodes.
    """

    identical: bool
    u_difference: float
    phi_e_r2: float


def check_draw(row: Row, case_id: int, config: LibraryConfig, report: ReportProblem) -> None:
    """Compare a row with the case that the configuration draws for its id."""
    try:
        case = draw_case(config, case_id)
        drawn = Drawn(config, case, discretise_case(case, config))
    except Exception as error:  # an untrusted configuration may fail in any way
        report(f"cannot be drawn again: {type(error).__name__}: {error}")
        return
    check_row(_DRAW_CHECKS, row, drawn, report)


def _check_spec(row: Row, drawn: Drawn, report: ReportProblem) -> None:
    _compare_values(row, asdict(drawn.case.spec), report)


def _check_recording(row: Row, drawn: Drawn, report: ReportProblem) -> None:
    values = (drawn.config.recording.frame_interval_ms, drawn.config.map_spacing_mm)
    _compare_values(row, dict(zip(_RECORDING, values, strict=True)), report)
    found, expected = row[ELECTRODES], drawn.case.electrodes_mm
    if not np.array_equal(found, expected):
        problem = f"{ELECTRODES} is {quoted(found.tolist())}: its configuration gives "
        report(problem + quoted(expected.tolist()))


def _check_setup(row: Row, drawn: Drawn, report: ReportProblem) -> None:
    """Compare the resolution and what depends on it: the tissue maps and the node updates."""
    setup = drawn.setup
    values = (setup.tissue.spacing_mm, setup.time_grid.dt_ms, setup.cv_error_estimate)
    expected = dict(zip(_RESOLUTION, values, strict=True))
    if not _compare_values(row, expected, report, "; tissue maps and work are not compared"):
        return
    _compare_map(row, DIFFUSIVITY, setup.diffusivity_mm2_per_ms, report)
    if CONDUCTING in row:
        _compare_map(row, CONDUCTING, setup.conducting_fraction, report)
    time_grid, updates = setup.time_grid, row["node_updates"]
    most = setup.tissue.conducts.size * time_grid.steps_per_frame * (time_grid.frames - 1)
    if not 0 < updates <= most:
        report(f"node_updates is {updates}: must be from 1 to {most}, cells times time steps")


_DRAW_CHECKS: tuple[RowCheck[Drawn], ...] = (
    (_SPEC, _check_spec),
    ((*_RECORDING, ELECTRODES), _check_recording),
    ((*_RESOLUTION, DIFFUSIVITY, "node_updates"), _check_setup),
)


def _compare_map(row: Row, name: str, expected: Field, report: ReportProblem) -> None:
    same = np.isclose(row[name], expected, rtol=MAP_TOLERANCE, atol=0)
    if not same.all():
        problem = f"{name} differs in {(~same).sum()} of {same.size} pixels from the map that "
        report(f"{problem}its configuration draws")


def _compare_values(
    row: Row, expected: Mapping[str, Any], report: ReportProblem, consequence: str = ""
) -> bool:
    """Report all values that differ as one problem; return whether none does."""
    names = [name for name, value in expected.items() if not _same(name, row[name], value)]
    if names:
        found = ", ".join(f"{name} is {quoted(row[name])}" for name in names)
        wanted = ", ".join(str(expected[name]) for name in names)
        report(f"{found}: its configuration gives {wanted}{consequence}")
    return not names


def _same(name: str, found: Any, expected: Any) -> bool:
    if isinstance(found, float) and isinstance(expected, float):
        tolerance = SIMULATED_TOLERANCE if name == _SIMULATED else RELATIVE_TOLERANCE
        return math.isclose(found, expected, rel_tol=tolerance)
    return bool(found == expected)


def draw_sample(
    cases: Sequence[CaseSummary], size: int, rng: np.random.Generator
) -> list[CaseSummary]:
    """Draw at most `size` cases, spread evenly over the conditions, sorted by id."""
    ranks: dict[str, int] = {}
    ranked = []
    for index in rng.permutation(len(cases)):
        case = cases[index]
        ranks[case.condition] = rank = ranks.get(case.condition, -1) + 1
        ranked.append((rank, case))
    chosen = [case for _, case in sorted(ranked, key=lambda entry: entry[0])[:size]]
    return sorted(chosen, key=lambda case: case.case_id)


def resimulate(
    store: Store, sample: Sequence[CaseSummary], config: LibraryConfig, report: ReportFault
) -> str:
    """Simulate some cases again, compare u and phi_e, and return a summary in words."""
    progress = Progress(logger, "cases simulated again", len(sample))
    agreements = []
    for case in sample:
        subject = f"{case.file}, case {case.case_id}"
        agreement = _resimulate_case(
            store, case, config, reporter(Check.SIMULATION, subject, report)
        )
        if agreement is not None:
            agreements.append(agreement)
        progress.advance(1)
    return _in_words(sample, agreements)


def _in_words(sample: Sequence[CaseSummary], agreements: Sequence[Agreement]) -> str:
    names = ", ".join(str(case.case_id) for case in sample)
    text = f"cases {names}, computed without their stored u and phi_e"
    if not agreements:
        return f"{text}: none could be compared"
    identical = sum(agreement.identical for agreement in agreements)
    if identical == len(sample):
        return f"{text}: equal bit for bit"
    difference = max(agreement.u_difference for agreement in agreements)
    r2 = min(agreement.phi_e_r2 for agreement in agreements)
    return (
        f"{text}: {identical} of {len(sample)} equal bit for bit; u within {difference:.2g}, "
        f"R2 of phi_e at least {r2:.6g}"
    )


def _resimulate_case(
    store: Store, case: CaseSummary, config: LibraryConfig, report: ReportProblem
) -> Agreement | None:
    """Return how u and phi_e of a case agree with a new simulation; None if it cannot be run."""
    try:
        stored = _stored_row(store, case, config)
        agreement = _compare(stored, _simulate(case.case_id, config))
    except Exception as error:  # an untrusted configuration may fail in any way
        report(f"was not simulated again: {quoted(error)}")
        return None
    if not agreement.u_difference <= LARGEST_U_DIFFERENCE:
        report(
            f"u differs from its simulation by up to {agreement.u_difference:.3g}: rounding "
            f"explains at most {LARGEST_U_DIFFERENCE:.3g}"
        )
    if not agreement.phi_e_r2 >= LEAST_PHI_E_R2:
        report(
            f"phi_e has R2 {agreement.phi_e_r2:.6g} against its simulation: must be at least "
            f"{LEAST_PHI_E_R2}"
        )
    return agreement


def _stored_row(store: Store, case: CaseSummary, config: LibraryConfig) -> Row:
    with open_part(store, case.file) as parquet:
        rows = read_rows(parquet, (CASE_ID, U, PHI_E), config, lambda _: None)
        return next(row for row in rows if row[CASE_ID] == case.case_id)


def _simulate(case_id: int, config: LibraryConfig) -> CaseRecord:
    case = draw_case(config, case_id)
    bulk = case.spec.bulk_diffusivity_mm2_per_ms
    _require_within("node updates", node_updates(config, bulk), LARGEST_NODE_UPDATES)
    _require_within("bytes of lead fields", lead_bytes(config, bulk), LARGEST_LEAD_BYTES)
    return simulate_case(case, config)


def _require_within(what: str, needed: float, limit: float) -> None:
    if needed > limit:
        raise LibraryError(
            f"it needs {needed:.2g} {what}: the limit is {limit:g}; skip simulations with "
            "--sample 0"
        )


def _compare(stored: Row, record: CaseRecord) -> Agreement:
    u, phi_e = stored[U].astype(np.float64), stored[PHI_E].astype(np.float64)
    residual = np.square(phi_e - record.phi_e).sum(axis=1)
    variation = np.square(record.phi_e - record.phi_e.mean(axis=1, keepdims=True)).sum(axis=1)
    return Agreement(
        identical=_same_bytes(stored[U], record.u) and _same_bytes(stored[PHI_E], record.phi_e),
        u_difference=float(np.abs(u - record.u).max()),
        phi_e_r2=float(_r2(residual, variation).min()),
    )


def _r2(residual: np.ndarray, variation: np.ndarray) -> np.ndarray:
    """1 - residual / variation; a flat signal has 1 if it is met, else minus infinity."""
    flat = np.where(residual > 0, -np.inf, 1.0)
    return np.where(variation > 0, 1 - residual / np.where(variation > 0, variation, 1), flat)


def _same_bytes(stored: np.ndarray, simulated: np.ndarray) -> bool:
    return stored.dtype == simulated.dtype and stored.tobytes() == simulated.tobytes()
