"""The columns of a part against `library.schema`: names, types, units, no nulls."""

from collections.abc import Generator, Iterator

import pyarrow as pa

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.library.check.fault import Check, Fault, quoted
from fwdecg.library.schema import case_schema

UNIT = b"unit"
SCHEMA_VERSION = b"fwdecg.schema_version"


def check_schema(
    file: str, found: pa.Schema, config: LibraryConfig
) -> Generator[Fault, None, list[str]]:
    """Whether a part has the columns of its configuration; returns those that can be read."""
    wanted = case_schema(config)
    for problem in _table_problems(found, wanted):
        yield Fault(Check.SCHEMA, file, problem)
    usable = []
    for field in wanted:
        if found.names.count(field.name) != 1:
            continue
        here = found.field(field.name)
        if here.type == field.type:
            usable.append(field.name)
        for problem in _field_problems(here, field):
            yield Fault(Check.SCHEMA, file, f"column {field.name} {problem}")
    return usable


def _table_problems(found: pa.Schema, wanted: pa.Schema) -> Iterator[str]:
    for name in sorted(set(found.names) - set(wanted.names)):
        yield f"has a column {quoted(name)} that no library has"
    for name in wanted.names:
        count = found.names.count(name)
        if count == 0:
            yield f"has no column {name}; what depends on it is not checked"
        if count > 1:
            yield f"has {count} columns {name}; what depends on them is not checked"
    if set(found.names) == set(wanted.names) and found.names != wanted.names:
        yield "has its columns in another order than the schema"
    version, wanted_version = _entry(found, SCHEMA_VERSION), _entry(wanted, SCHEMA_VERSION)
    if version != wanted_version:
        yield f"has schema version {version}: must be {wanted_version}"


def _field_problems(found: pa.Field, wanted: pa.Field) -> Iterator[str]:
    if found.type != wanted.type:
        yield (f"is {quoted(found.type)}: must be {wanted.type}; what depends on it is not checked")
    if found.nullable != wanted.nullable:
        yield f"{'may' if found.nullable else 'must not'} hold nulls, unlike the schema's"
    unit, wanted_unit = _entry(found, UNIT), _entry(wanted, UNIT)
    if unit != wanted_unit:
        yield f"has the unit {unit}: must be {wanted_unit}"


def _entry(described: pa.Schema | pa.Field, key: bytes) -> str:
    entry = (described.metadata or {}).get(key)
    return "none" if entry is None else quoted(entry.decode(errors="replace"))


def nulls(column: pa.Array) -> int:
    """How many values of a column are null, those inside tensors counted too."""
    inside = 0
    if isinstance(column, pa.ExtensionArray):
        inside = column.storage.flatten().null_count
    return column.null_count + inside
