"""Compare stored cases with the cases that the configuration generates for their ids.

`check_draw` draws a case again: its parameters, tissue maps and solver resolution. `resimulate`
computes the voltage and the ECG of some cases again, without using the stored u and phi_e.
On the CPU model that built the library, the results are equal bit for bit. Other CPU models round
differently, which shifts a wave by a small fraction of a time step. The tolerances allow for that.
"""

import logging
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import NamedTuple

import numpy as np

from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import CaseRecord, discretise_case, simulate_case
from fwdecg.errors import LibraryError
from fwdecg.library.check.fault import Check, ReportFault, ReportProblem, quoted
from fwdecg.library.check.limits import (
    LARGEST_LEAD_BYTES,
    LARGEST_NODE_UPDATES,
    lead_bytes,
    node_updates,
)
from fwdecg.library.check.rows import CaseSummary, Row, open_part, read_rows
from fwdecg.library.schema import CASE_ID, CONDUCTING, DIFFUSIVITY, ELECTRODES, PHI_E, U
from fwdecg.runtime.progress import Progress
from fwdecg.runtime.storage import Store

logger = logging.getLogger(__name__)

RELATIVE_TOLERANCE = 1e-9  # float64 values
MAP_TOLERANCE = 1e-5  # float32 maps, relative
# The start of a second stimulus follows from a wave simulated in float32.
SIMULATED_TOLERANCE = 1e-5
_SIMULATED = "stimulus_s2_start_ms"

# Half precision resolves 2^-10 where u is above 1. The rest allows for a wavefront that rounding
# in the solver has shifted.
LARGEST_U_DIFFERENCE = 2.0**-10 + 0.01
LEAST_PHI_E_R2 = 0.9999


class Agreement(NamedTuple):
    """Agreement of a stored case with its new simulation.

    Attributes:
        identical: whether u and phi_e are equal bit for bit.
        u_difference: largest absolute difference of u, dimensionless.
        phi_e_r2: smallest R2 of phi_e over the electrodes.
    """

    identical: bool
    u_difference: float
    phi_e_r2: float


def check_draw(row: Row, case_id: int, config: LibraryConfig, report: ReportProblem) -> None:
    """Compare a row with the case that the configuration draws for its id."""
    try:
        case = draw_case(config, case_id)
        setup = discretise_case(case, config)
    except Exception as error:  # an untrusted configuration may fail in any way
        report(f"cannot be drawn again: {type(error).__name__}: {error}")
        return
    time_grid = setup.time_grid
    resolution = {
        "solver_spacing_mm": setup.tissue.spacing_mm,
        "solver_dt_ms": time_grid.dt_ms,
        "cv_error_estimate": setup.cv_error_estimate,
    }
    expected = asdict(case.spec) | resolution
    expected["frame_interval_ms"] = config.recording.frame_interval_ms
    expected["map_spacing_mm"] = config.map_spacing_mm
    differing = [name for name in expected if name in row and not _same(name, row, expected)]
    if differing:
        found = ", ".join(f"{name} is {quoted(row[name])}" for name in differing)
        wanted = ", ".join(str(expected[name]) for name in differing)
        report(f"{found}: its configuration gives {wanted}")
    if ELECTRODES in row and not np.array_equal(row[ELECTRODES], case.electrodes_mm):
        found, wanted = quoted(row[ELECTRODES].tolist()), quoted(case.electrodes_mm.tolist())
        report(f"{ELECTRODES} is {found}: its configuration gives {wanted}")
    if not resolution.keys() <= row.keys() - set(differing):
        return  # at another resolution, tissue maps and node updates differ as well
    maps = {DIFFUSIVITY: setup.diffusivity_mm2_per_ms, CONDUCTING: setup.conducting_fraction}
    for name in maps.keys() & row.keys():
        same = np.isclose(row[name], maps[name], rtol=MAP_TOLERANCE, atol=0)
        if not same.all():
            pixels = f"{np.count_nonzero(~same)} of {same.size} pixels"
            report(f"{name} differs in {pixels} from the map that its configuration draws")
    most = setup.tissue.conducts.size * time_grid.steps_per_frame * (time_grid.frames - 1)
    if not 0 < row.get("node_updates", 1) <= most:
        work = row["node_updates"]
        report(f"node_updates is {work}: must be from 1 to {most}, cells times time steps")


def _same(name: str, row: Row, expected: Row) -> bool:
    a, b = row[name], expected[name]
    if isinstance(a, float) and isinstance(b, float):
        tolerance = SIMULATED_TOLERANCE if name == _SIMULATED else RELATIVE_TOLERANCE
        return math.isclose(a, b, rel_tol=tolerance)
    return bool(a == b)


def draw_sample(
    cases: Sequence[CaseSummary], size: int, rng: np.random.Generator
) -> list[CaseSummary]:
    """Draw at most `size` cases, spread evenly over the conditions, sorted by id."""
    drawn = Counter[str]()
    ranked: list[tuple[int, int, CaseSummary]] = []
    for index in rng.permutation(len(cases)):
        ranked.append((drawn[cases[index].condition], len(ranked), cases[index]))
        drawn[cases[index].condition] += 1
    return sorted((case for *_, case in sorted(ranked)[:size]), key=lambda case: case.case_id)


def resimulate(
    store: Store, sample: Sequence[CaseSummary], config: LibraryConfig, report: ReportFault
) -> str:
    """Simulate some cases again, compare u and phi_e, and return a summary in words."""
    progress = Progress(logger, "cases simulated again", len(sample))
    agreements = []
    for case in sample:
        report_problem = partial(report, Check.SIMULATION, f"{case.file}, case {case.case_id}")
        try:
            stored = _stored_row(store, case, config)
            agreements.append(_compare(stored, _simulate(case.case_id, config)))
        except Exception as error:  # an untrusted configuration may fail in any way
            report_problem(f"was not simulated again: {quoted(error)}")
        else:
            _check_agreement(agreements[-1], report_problem)
        progress.advance(1)
    names = ", ".join(str(case.case_id) for case in sample)
    text = f"cases {names}, computed without their stored u and phi_e"
    if not agreements:
        return f"{text}: none could be compared"
    identical, differences, r2 = zip(*agreements, strict=True)
    if sum(identical) == len(sample):
        return f"{text}: equal bit for bit"
    return (
        f"{text}: {sum(identical)} of {len(sample)} equal bit for bit; "
        f"u within {max(differences):.2g}, R2 of phi_e at least {min(r2):.6g}"
    )


def _check_agreement(agreement: Agreement, report: ReportProblem) -> None:
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


def _stored_row(store: Store, case: CaseSummary, config: LibraryConfig) -> Row:
    with open_part(store, case.file) as parquet:
        rows = read_rows(parquet, (CASE_ID, U, PHI_E), config, lambda _: None)
        return next(row for row in rows if row[CASE_ID] == case.case_id)


def _simulate(case_id: int, config: LibraryConfig) -> CaseRecord:
    case = draw_case(config, case_id)
    bulk = case.spec.bulk_diffusivity_mm2_per_ms
    for what, needed, limit in (
        ("node updates", node_updates(config, bulk), LARGEST_NODE_UPDATES),
        ("bytes of lead fields", lead_bytes(config, bulk), LARGEST_LEAD_BYTES),
    ):
        if needed > limit:
            raise LibraryError(
                f"it needs {needed:.2g} {what}: the limit is {limit:g}; skip simulations with "
                "--sample 0"
            )
    return simulate_case(case, config)


def _compare(stored: Row, record: CaseRecord) -> Agreement:
    u, phi_e = stored[U].astype(np.float64), stored[PHI_E].astype(np.float64)
    residual = np.square(phi_e - record.phi_e).sum(axis=1)
    variation = np.square(record.phi_e - record.phi_e.mean(axis=1, keepdims=True)).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):  # a flat signal has no variation
        r2 = np.where(residual == 0, 1.0, 1 - residual / variation)
    return Agreement(
        identical=stored[U].tobytes() == record.u.tobytes()
        and stored[PHI_E].tobytes() == record.phi_e.tobytes(),
        u_difference=float(np.abs(u - record.u).max()),
        phi_e_r2=float(r2.min()),
    )
