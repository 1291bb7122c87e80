"""Read a finished library: its descriptions, and the cases of a split as Arrow tables."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.splits import ALL, TRAIN
from fwdecg.config import differing_keys, from_tree, identity_tree
from fwdecg.errors import LibraryError
from fwdecg.library.paths import CASES_FOLDER, MANIFEST, STATISTICS
from fwdecg.library.schema import CASE_ID, SCHEMA_VERSION, SPLIT, require_library_columns
from fwdecg.library.statistics import Statistics
from fwdecg.runtime.storage import Store

if TYPE_CHECKING:
    import pyarrow.dataset

logger = logging.getLogger(__name__)

# Limits on reading ahead; pyarrow's defaults would hold gigabytes of maps in memory.
BATCHES_AHEAD, FILES_AHEAD = 4, 2
REQUIRED_KEYS = {"schema_version", "config", "config_hash", "cases", "counts", "parts"}


@dataclass(frozen=True, kw_only=True)
class Library:
    """A finished library.

    Attributes:
        store: location.
        manifest: content of manifest.json.
        statistics: statistics of the training split.
    """

    store: Store
    manifest: dict[str, Any]
    statistics: Statistics

    @cached_property
    def config(self) -> LibraryConfig:
        """Configuration that the library was built with."""
        return from_tree(LibraryConfig, self.manifest["config"] | {"cases": self.manifest["cases"]})

    @property
    def config_hash(self) -> str:
        """Hash of the configuration, followed by the number of cases."""
        return f"{self.manifest['config_hash']}-{self.manifest['cases']}"

    @property
    def location(self) -> str:
        """Folder or URI, for messages."""
        return self.store.label()

    def count(self, split: str) -> int:
        """Return the number of usable cases of a split, or of "all" splits.

        Raises:
            LibraryError: the library has no such split.
        """
        counts = self.manifest["counts"]["ok"]
        if split not in counts:
            raise LibraryError(
                f"{self.location} has no split {split}, only {', '.join(counts)}; to add a split "
                "of shifted cases, build a library with library.shifts"
            )
        return counts[split][ALL]

    def require_cases(self, split: str) -> None:
        """Raise `LibraryError` if there is no such split, or if it is empty."""
        if self.count(split) == 0:
            raise LibraryError(
                f"{self.location} has no {split} case; raise library.cases and build it again"
            )

    def dataset(self) -> "pyarrow.dataset.Dataset":
        """Return the parts as a pyarrow dataset, which reads them on demand.

        Raises:
            LibraryError: a part cannot be opened, or has a column that the schema lacks.
        """
        import pyarrow.dataset as ds  # noqa: PLC0415  # imports pandas, which a build does not need

        files = [self.store.path(part["file"]) for part in self.manifest["parts"]]
        with self._library_errors():
            parts = ds.dataset(files, filesystem=self.store.filesystem, format="parquet")
            for part in parts.get_fragments():
                require_library_columns(part.path, part.physical_schema, self.config)
        return parts

    def table(
        self,
        split: str,
        columns: Sequence[str] | None = None,
        case_ids: Sequence[int] | None = None,
    ) -> pa.Table:
        """Read the cases of a split, sorted by case id.

        Args:
            split: "train", "validation", "test", the test split of a shift, or "all" of them.
            columns: columns to read; all by default.
            case_ids: cases to read, except cases of other splits; all by default.

        Raises:
            LibraryError: there is no such split, it is empty, or a part cannot be read.
        """
        self.require_cases(split)
        wanted = list(columns) if columns is not None else None
        with self._library_errors():
            table = self.dataset().to_table(columns=wanted, filter=_row_filter(split, case_ids))
        return table.sort_by(CASE_ID) if CASE_ID in table.column_names else table

    def batches(self, split: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Stream the cases of a split as Arrow batches, in the order of the part files.

        Args:
            split: same as for `table`.
            columns: columns to read.

        Raises:
            LibraryError: same as for `table`.
        """
        self.require_cases(split)
        with self._library_errors():
            yield from self.dataset().to_batches(
                columns=list(columns),
                filter=_row_filter(split),
                batch_readahead=BATCHES_AHEAD,
                fragment_readahead=FILES_AHEAD,
            )

    @contextmanager
    def _library_errors(self) -> Iterator[None]:
        """Convert the errors of pyarrow to `LibraryError`."""
        try:
            yield
        except (OSError, ValueError) as error:  # pyarrow's errors are ValueErrors
            raise LibraryError(f"{self.location}: a part cannot be read: {error}") from error


def open_library(location: str | Path | Store, expected: LibraryConfig | None = None) -> Library:
    """Open a finished library; every part must exist with the size recorded in the manifest.

    Args:
        location: folder or URI.
        expected: configuration that the caller expects; a warning names the differences.

    Raises:
        LibraryError: the library is missing or unfinished, has another schema version or no
            training case, or a part is truncated.
    """
    store = Store.at(location)
    if not store.exists():
        raise LibraryError(f"{store.label()}: no such library; build it with the job build_library")
    manifest = store.read_json(MANIFEST)
    found = manifest.get("schema_version")
    if found != SCHEMA_VERSION:
        newer = isinstance(found, int) and found > SCHEMA_VERSION
        raise LibraryError(
            f"{store.label()} has schema version {found}, but this fwdecg reads {SCHEMA_VERSION}; "
            + ("install a newer fwdecg" if newer else "build it again")
        )
    missing = REQUIRED_KEYS - manifest.keys()
    if missing:
        raise LibraryError(
            f"{store.label(MANIFEST)} has no {', '.join(sorted(missing))}; delete it and build the "
            "library again"
        )
    try:
        library = _open(store, manifest)
    except (KeyError, TypeError, AttributeError) as error:
        raise LibraryError(
            f"{store.label(MANIFEST)} is damaged ({type(error).__name__}: {error}); delete it and "
            "build the library again"
        ) from error
    if expected is not None:
        _warn_of_differences(library, expected)
    return library


def _open(store: Store, manifest: dict[str, Any]) -> Library:
    if manifest["counts"]["ok"][TRAIN][ALL] == 0:
        raise LibraryError(
            f"{store.label()} has no usable training case; raise library.cases and build it again"
        )
    _require_whole_parts(store, manifest["parts"])
    statistics = Statistics.from_dict(store.read_json(STATISTICS))
    library = Library(store=store, manifest=manifest, statistics=statistics)
    _ = library.config  # parsed now, so that damage is reported by `open_library`
    return library


def _warn_of_differences(library: Library, expected: LibraryConfig) -> None:
    names = differing_keys(identity_tree(library.config), identity_tree(expected))
    if names:
        logger.warning(
            "%s was built with a different %s; the value it was built with applies",
            library.location,
            ", ".join(f"library.{name}" for name in names),
        )


def _row_filter(split: str, case_ids: Sequence[int] | None = None) -> pc.Expression:
    chosen = pc.scalar(True) if case_ids is None else pc.field(CASE_ID).isin(case_ids)
    return chosen if split == ALL else chosen & (pc.field(SPLIT) == split)


def _require_whole_parts(store: Store, parts: list[dict[str, Any]]) -> None:
    sizes = store.sizes(CASES_FOLDER)
    for part in parts:
        size = sizes.get(Path(part["file"]).name, 0)
        if size != part["bytes"]:
            raise LibraryError(
                f"{store.label(part['file'])} has {size} bytes, but its manifest says "
                f"{part['bytes']}; delete the file and build the library again, which keeps the "
                "other parts"
            )
