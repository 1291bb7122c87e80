"""Compile the solver once per node, before the first case is timed.

numba caches machine code on disk. Without this step, all workers that start together on a new node
would find an empty cache and compile the same code.
"""

import hashlib
import os
import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

from filelock import FileLock

from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.recording_config import RecordingConfig
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.solver_config import SolverConfig
from fwdecg.cases.tissue_config import TissueConfig
from fwdecg.kernels.compile import SOURCE_HASH
from fwdecg.kernels.numba_private import cache_path
from fwdecg.physics.stepping import step_row

FIBROSIS_CASE_ID = 2  # the smallest id of a case with large patches


@cache
def compile_once_per_node(solver: SolverConfig) -> None:
    """Ensure that the machine code for a case is on disk; one process per node compiles it."""
    kind = (
        SOURCE_HASH,
        str(cache_path(step_row)),
        solver.cell_model,
        solver.scheme,
        solver.skip_rest,
    )
    name = f"fwdecg-{os.getuid()}-{hashlib.sha256(repr(kind).encode()).hexdigest()[:16]}"
    compiled = Path(tempfile.gettempdir()) / f"{name}.compiled"
    if compiled.exists():
        return
    with FileLock(compiled.with_suffix(".lock")):
        if not compiled.exists():
            _simulate_small_case(solver)
            compiled.touch()


def _simulate_small_case(solver: SolverConfig) -> None:
    config = LibraryConfig(
        tissue=TissueConfig(
            size_mm=20.0, large_patch_size_mm=(2.0, 4.0), large_patch_fraction=(0.1, 0.2)
        ),
        solver=replace(solver, spacing_mm=None, dt_ms=None),
        recording=RecordingConfig(
            duration_ms=10.0,
            map_pixels=8,
            electrodes_mm=((10.0, 10.0, 10.0),),
            least_activated_fraction=0.0,
        ),
    )
    simulate_case(draw_case(config, FIBROSIS_CASE_ID), config)
