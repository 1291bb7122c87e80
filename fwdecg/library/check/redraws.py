"""A case against what its configuration draws for its id: parameters, patches, resolution."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from fwdecg.cases.draw import Case, CaseSpec, draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.simulation import DiscretisedCase, discretise_case
from fwdecg.library.check.fault import quoted
from fwdecg.library.check.rows import Row, RowCheck
from fwdecg.library.schema import CONDUCTING, DIFFUSIVITY, ELECTRODES
from fwdecg.shapes import Field

# Another kind of processor may round last digits otherwise: of float64, and of a map in float32.
RELATIVE_TOLERANCE, MAP_TOLERANCE = 1e-9, 1e-5
# A second stimulus is timed by a simulated wave, in float32.
SIMULATED_TOLERANCE = 1e-5
_SIMULATED = "stimulus_s2_start_ms"

_SPEC = tuple(CaseSpec.__dataclass_fields__)
_RESOLUTION = ("solver_spacing_mm", "solver_dt_ms", "cv_error_estimate")
_RECORDING = ("frame_interval_ms", "map_spacing_mm")


class Expected(NamedTuple):
    """What a configuration gives for a case id."""

    config: LibraryConfig
    case: Case
    setup: DiscretisedCase


def expected_case(config: LibraryConfig, case_id: int) -> Expected:
    """The draw of a case, made again.

    Raises:
        CaseError: nothing can be drawn for it.
    """
    case = draw_case(config, case_id)
    return Expected(config, case, discretise_case(case, config))


def _spec(row: Row, expected: Expected) -> Iterator[str]:
    yield from _differing(row, expected.case.spec.as_dict(), "its configuration draws")


def _recording(row: Row, expected: Expected) -> Iterator[str]:
    config = expected.config
    recording = config.recording
    values = (recording.frame_interval_ms, config.map_spacing_mm)
    yield from _differing(row, dict(zip(_RECORDING, values, strict=True)), "its configuration has")
    electrodes = expected.case.electrodes_mm
    if not np.array_equal(row[ELECTRODES], electrodes):
        yield (
            f"{ELECTRODES} is {quoted(row[ELECTRODES].tolist())}: its configuration has "
            f"{quoted(electrodes.tolist())}"
        )


def _setup(row: Row, expected: Expected) -> Iterator[str]:
    """Resolution, then what goes with it: the maps of the tissue and the work."""
    setup = expected.setup
    values = (setup.tissue.spacing_mm, setup.clock.dt_ms, setup.cv_error_estimate)
    wanted = dict(zip(_RESOLUTION, values, strict=True))
    wrong = list(_differing(row, wanted, "its configuration solves it with"))
    if wrong:
        yield f"{wrong[0]}; so neither the maps of its tissue nor its work are compared"
        return
    yield from _map(row, DIFFUSIVITY, setup.diffusivity_mm2_per_ms)
    if CONDUCTING in row:
        yield from _map(row, CONDUCTING, setup.conducting_fraction)
    yield from _work(row, setup)


def _map(row: Row, name: str, wanted: Field) -> Iterator[str]:
    same = np.isclose(row[name], wanted, rtol=MAP_TOLERANCE, atol=0)
    if not same.all():
        yield (
            f"{name} differs in {(~same).sum()} of {same.size} pixels from the map that "
            "its configuration draws"
        )


def _work(row: Row, setup: DiscretisedCase) -> Iterator[str]:
    clock = setup.clock
    most = setup.tissue.conducts.size * clock.steps_per_frame * (clock.frames - 1)
    if not 0 < row["node_updates"] <= most:
        yield f"node_updates is {row['node_updates']}: must be from 1 to {most}, cells times steps"


def _differing(row: Row, wanted: dict[str, Any], source: str) -> Iterator[str]:
    """One line for all values that differ."""
    names = [name for name, value in wanted.items() if not _same(name, row[name], value)]
    if names:
        found = ", ".join(f"{name} is {quoted(row[name])}" for name in names)
        yield f"{found}: {source} {', '.join(str(wanted[name]) for name in names)}"


def _same(name: str, found: Any, wanted: Any) -> bool:
    if isinstance(found, float) and isinstance(wanted, float):
        tolerance = SIMULATED_TOLERANCE if name == _SIMULATED else RELATIVE_TOLERANCE
        return math.isclose(found, wanted, rel_tol=tolerance)
    return bool(found == wanted)


DRAW_CHECKS: tuple[RowCheck[Expected], ...] = (
    (_SPEC, _spec),
    ((*_RECORDING, ELECTRODES), _recording),
    ((*_RESOLUTION, DIFFUSIVITY, "node_updates"), _setup),
)
