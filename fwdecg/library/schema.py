"""Columns of a library: one row per case, with maps and ECGs as Arrow's fixed-shape tensors.

pyarrow returns the tensors in their shape; pandas and duckdb return flat lists in row-major order;
other readers may need the storage type of the columns (docs/library.md). The metadata of each field
states its unit and meaning.
"""

from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.errors import LibraryError

if TYPE_CHECKING:
    import fwdecg.cases.simulation  # imports scipy, which reading does not need

SCHEMA_VERSION = 1

CASE_ID, CONDITION, SPLIT, U, PHI_E = "case_id", "condition", "split", "u", "phi_e"
DIFFUSIVITY = "diffusivity_mm2_per_ms"
BULK_DIFFUSIVITY = "bulk_diffusivity_mm2_per_ms"
CONDUCTING = "conducting_fraction"
ELECTRODES = "electrodes_mm"

# Name, Arrow type, unit and meaning. Parts contain these strings, so a change alters their bytes.
_SPEC_COLUMNS = (
    (CASE_ID, pa.int64(), "1", "number of the case"),
    (CONDITION, pa.string(), "1", "tissue condition"),
    (SPLIT, pa.string(), "1", "train, validation, test, or test_ and the name of a shift"),
    ("seed", pa.int64(), "1", "seed of the case's random generator"),
    ("redraws", pa.int32(), "1", "sheets thrown away because the stimulus was blocked"),
    (BULK_DIFFUSIVITY, pa.float64(), "mm^2/ms", "D of the conducting tissue"),
    ("patch_size_mm", pa.float64(), "mm", "mean size of the non-conductive patches"),
    ("patch_fraction", pa.float64(), "1", "share of the area that they cover"),
    ("stimulus", pa.string(), "1", "pacing protocol"),
    ("stimulus_x_mm", pa.float64(), "mm", "focal site from the left edge; null for a plane wave"),
    ("stimulus_y_mm", pa.float64(), "mm", "focal site from the top edge; null for a plane wave"),
    ("stimulus_s2_start_ms", pa.float64(), "ms", "start of a second stimulus; null if none"),
)
NULLABLE = ("stimulus_x_mm", "stimulus_y_mm", "stimulus_s2_start_ms")
_SCALAR_COLUMNS = (
    ("solver_spacing_mm", pa.float64(), "mm", "side of a cell of the solver"),
    ("solver_dt_ms", pa.float64(), "ms", "step of the solver"),
    ("cv_error_estimate", pa.float64(), "1", "expected relative error of conduction velocity"),
    ("activated_fraction", pa.float64(), "1", "share of the conducting tissue that activates"),
    ("active_fraction_at_end", pa.float64(), "1", "share still excited in the last frame"),
    ("node_updates", pa.int64(), "1", "cells times steps, skipped ones left out"),
)


def case_schema(config: LibraryConfig) -> pa.Schema:
    """Return the Arrow schema of the parts of a library."""
    recording = config.recording
    frames, pixels = recording.frames, recording.map_pixels
    electrodes = recording.electrode_count
    tensors = [
        (U, pa.float16(), (frames, pixels, pixels), "1", "area mean of the voltage u per pixel"),
        (PHI_E, pa.float32(), (electrodes, frames), "mm/ms", "extracellular potential, Eq. 1"),
        (DIFFUSIVITY, pa.float32(), (pixels, pixels), "mm^2/ms", "area mean of D; 0 = no tissue"),
        (ELECTRODES, pa.float64(), (electrodes, 3), "mm", "x, y, z from the top-left corner"),
    ]
    if config.tissue.diffusivity_variation > 0:  # otherwise readers divide D by the bulk D
        share = (CONDUCTING, pa.float32(), (pixels, pixels), "1", "share of a pixel that conducts")
        tensors.append(share)
    constants = (
        ("frame_interval_ms", pa.float64(), "ms", "time between frames; the first is t = 0"),
        ("map_spacing_mm", pa.float64(), "mm", "side of a pixel"),
    )
    fields = [_field(*column) for column in _SPEC_COLUMNS]
    fields += [
        _field(name, pa.fixed_shape_tensor(kind, shape), unit, meaning)
        for name, kind, shape, unit, meaning in tensors
    ]
    fields += [_field(*column) for column in (*constants, *_SCALAR_COLUMNS)]
    origin = {"fwdecg.schema_version": str(SCHEMA_VERSION), "fwdecg.version": version("fwdecg")}
    return pa.schema(fields, metadata=origin)


def require_library_columns(path: str, found: pa.Schema, config: LibraryConfig) -> None:
    """Raise `LibraryError` if a part has a column that the schema lacks or gives another type.

    Call this before reading values from a file of unknown origin: Ray Data registers an Arrow type
    of pickled objects, and converting such values to Python executes arbitrary code.

    Args:
        path: path of the part, for the message.
        found: schema of the part.
        config: library configuration.
    """
    wanted = case_schema(config)
    types = dict(zip(wanted.names, wanted.types, strict=True))
    foreign = [field.name for field in found if types.get(field.name) != field.type]
    if foreign:
        raise LibraryError(
            f"{path} is damaged: no library has a column {', '.join(foreign)} of this type; copy "
            "the file from its source again, or delete it and build again"
        )


def case_table(record: "fwdecg.cases.simulation.CaseRecord", config: LibraryConfig) -> pa.Table:
    """Return a simulated case as a table with one row."""
    schema = case_schema(config)
    constants = {
        "frame_interval_ms": config.recording.frame_interval_ms,
        "map_spacing_mm": config.map_spacing_mm,
    }
    values = vars(record) | vars(record.spec) | constants
    return pa.table([_column(values[field.name], field.type) for field in schema], schema=schema)


def tensor_column(table: pa.Table, name: str) -> np.ndarray:
    """Return a tensor column as one array (row, ...)."""
    return table[name].combine_chunks().to_numpy_ndarray()


def _field(name: str, kind: pa.DataType, unit: str, meaning: str) -> pa.Field:
    metadata = {"unit": unit, "meaning": meaning}
    return pa.field(name, kind, nullable=name in NULLABLE, metadata=metadata)


def _column(value: Any, kind: pa.DataType) -> pa.Array:
    """Return a column with one value."""
    if isinstance(value, np.ndarray):
        return pa.FixedShapeTensorArray.from_numpy_ndarray(np.ascontiguousarray(np.stack([value])))
    return pa.array([value], kind)
