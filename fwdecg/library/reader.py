"""Reading a finished library: its descriptions, and the cases of a split as an Arrow table."""

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
from fwdecg.library.schema import CASE_ID, SCHEMA_VERSION, SPLIT, foreign_columns
from fwdecg.library.statistics import Statistics
from fwdecg.runtime.storage import Store

if TYPE_CHECKING:
    import pyarrow.dataset

logger = logging.getLogger(__name__)

# Read before they are asked for: pyarrow's defaults hold gigabytes of maps.
BATCHES_AHEAD, FILES_AHEAD = 4, 2
REQUIRED = {"schema_version", "config", "config_hash", "cases", "counts", "parts"}


@dataclass(frozen=True, kw_only=True)
class Library:
    """A finished library.

    Attributes:
        store: where it is.
        manifest: content of manifest.json.
        statistics: of the training split.
    """

    store: Store
    manifest: dict[str, Any]
    statistics: Statistics

    @cached_property
    def config(self) -> LibraryConfig:
        """The configuration it was built with."""
        return from_tree(LibraryConfig, self.manifest["config"] | {"cases": self.manifest["cases"]})

    @property
    def config_hash(self) -> str:
        """Hash of the configuration it was built with and of the number of its cases."""
        return f"{self.manifest['config_hash']}-{self.manifest['cases']}"

    @property
    def files(self) -> list[str]:
        """Paths of the parts in the store's file system."""
        return [self.store.path(part["file"]) for part in self.manifest["parts"]]

    @property
    def place(self) -> str:
        """Where it is, for people."""
        return self.store.label()

    def count(self, split: str) -> int:
        """Number of usable cases of a split; "all" stands for every split.

        Raises:
            LibraryError: the library has no such split.
        """
        counts = self.manifest["counts"]["ok"]
        if split not in counts:
            raise LibraryError(
                f"{self.place} has no split {split}, but {', '.join(counts)}; a split of shifted "
                "cases is asked for by library.shifts when the library is built"
            )
        return counts[split]["all"]

    def dataset(self) -> "pyarrow.dataset.Dataset":
        """Its parts, not read yet.

        Raises:
            LibraryError: a part cannot be opened, or has a column that no library has.
        """
        import pyarrow.dataset as ds  # noqa: PLC0415  # brings pandas, which building does not need

        with self._reading():
            parts = ds.dataset(self.files, filesystem=self.store.filesystem, format="parquet")
            for part in parts.get_fragments():
                self._require_own_columns(part.path, part.physical_schema)
        return parts

    def _require_own_columns(self, path: str, found: pa.Schema) -> None:
        foreign = foreign_columns(found, self.config)
        if foreign:
            raise LibraryError(
                f"{path}: {', '.join(foreign)} is not of the types of a library; get the file from "
                "its source again, or build it"
            )

    def table(
        self,
        split: str,
        columns: Sequence[str] | None = None,
        case_ids: Sequence[int] | None = None,
    ) -> pa.Table:
        """The cases of a split, by case id.

        Args:
            split: "train", "validation", "test", the test split of a shift, or "all" of them.
            columns: those wanted, all by default.
            case_ids: those wanted among them, all by default.

        Raises:
            LibraryError: there is no such split, it has no case, or a file cannot be read.
        """
        self.require(split)
        wanted = list(columns) if columns is not None else None
        with self._reading():
            table = self.dataset().to_table(columns=wanted, filter=_rows(split, case_ids))
        return table.sort_by(CASE_ID) if CASE_ID in table.column_names else table

    def batches(self, split: str, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The cases of a split, some at a time, in the order of the files.

        Args:
            split: as for `table`.
            columns: those wanted.

        Raises:
            LibraryError: as `table`.
        """
        self.require(split)
        with self._reading():
            yield from self.dataset().to_batches(
                columns=list(columns),
                filter=_rows(split),
                batch_readahead=BATCHES_AHEAD,
                fragment_readahead=FILES_AHEAD,
            )

    @contextmanager
    def _reading(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # pyarrow's are ValueErrors
            raise LibraryError(f"{self.place}: a part cannot be read: {error}") from error

    def require(self, split: str) -> None:
        """Raise `LibraryError` if there is no such split, or it has no case."""
        if self.count(split) == 0:
            raise LibraryError(
                f"{self.place} has no {split} case; raise library.cases and build it again"
            )


def open_library(place: str | Path | Store, expected: LibraryConfig | None = None) -> Library:
    """A finished library, its files checked for presence and size.

    Args:
        place: its folder or URI.
        expected: how it is thought to be built; a warning names what differs.

    Raises:
        LibraryError: it is missing, unfinished, of another schema, or a part is cut short.
    """
    store = Store.at(place)
    if not store.exists():
        raise LibraryError(f"{store.label()}: no such library; build it with the job build_library")
    manifest = store.read_json(MANIFEST)
    found = manifest.get("schema_version")
    if found != SCHEMA_VERSION:
        raise LibraryError(
            f"{store.label()} has schema version {found}, this fwdecg reads {SCHEMA_VERSION}; "
            "build it again"
        )
    missing = REQUIRED - manifest.keys()
    if missing:
        raise LibraryError(
            f"{store.label(MANIFEST)} has no {', '.join(sorted(missing))}; delete it and build the "
            "library again"
        )
    try:
        library = _opened(store, manifest)
    except (KeyError, TypeError, AttributeError) as error:
        raise LibraryError(
            f"{store.label(MANIFEST)} is damaged ({type(error).__name__}: {error}); delete it and "
            "build the library again"
        ) from error
    if expected is not None:
        _warn_of_differences(library, expected)
    return library


def _opened(store: Store, manifest: dict[str, Any]) -> Library:
    if manifest["counts"]["ok"][TRAIN]["all"] == 0:
        raise LibraryError(
            f"{store.label()} has no usable training case; raise library.cases and build it"
        )
    _require_whole_parts(store, manifest["parts"])
    statistics = Statistics.from_dict(store.read_json(STATISTICS))
    library = Library(store=store, manifest=manifest, statistics=statistics)
    _ = library.config  # a damaged one is to be named now
    return library


def _warn_of_differences(library: Library, expected: LibraryConfig) -> None:
    names = differing_keys(identity_tree(library.config), identity_tree(expected))
    if names:
        logger.warning(
            "%s was built with another %s than asked for: what it was built with holds",
            library.place,
            ", ".join(f"library.{name}" for name in names),
        )


def _rows(split: str, case_ids: Sequence[int] | None = None) -> pc.Expression | None:
    chosen = pc.scalar(True) if case_ids is None else pc.field(CASE_ID).isin(case_ids)
    return chosen if split == ALL else chosen & (pc.field(SPLIT) == split)


def _require_whole_parts(store: Store, parts: list[dict[str, Any]]) -> None:
    sizes = store.sizes(CASES_FOLDER)
    for part in parts:
        size = sizes.get(Path(part["file"]).name, 0)
        if size != part["bytes"]:
            raise LibraryError(
                f"{store.label(part['file'])} has {size} bytes, its manifest says "
                f"{part['bytes']}; delete the file and build the library again: the other parts "
                "are kept"
            )
