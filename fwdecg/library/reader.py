"""Reading a finished library: its descriptions, and the cases of a split as an Arrow table."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from fwdecg.config import from_tree
from fwdecg.errors import LibraryError
from fwdecg.library.config import LibraryConfig
from fwdecg.library.layout import MANIFEST, STATISTICS
from fwdecg.library.schema import CASE_ID, SCHEMA_VERSION, SPLIT
from fwdecg.library.splits import ALL, TRAIN
from fwdecg.library.statistics import Statistics
from fwdecg.storage import read_json

REQUIRED = {"schema_version", "config", "config_hash", "cases", "counts", "parts"}


@dataclass(frozen=True, kw_only=True)
class Library:
    """A finished library.

    Attributes:
        root: its folder.
        manifest: content of manifest.json.
        statistics: of the training split.
    """

    root: Path
    manifest: dict[str, Any]
    statistics: Statistics

    @property
    def config(self) -> LibraryConfig:
        """The configuration it was built with."""
        return from_tree(LibraryConfig, self.manifest["config"] | {"cases": self.manifest["cases"]})

    @property
    def config_hash(self) -> str:
        """Hash of the configuration it was built with and of the number of its cases."""
        return f"{self.manifest['config_hash']}-{self.manifest['cases']}"

    @property
    def files(self) -> list[str]:
        """Paths of the parts."""
        return [str(self.root / part["file"]) for part in self.manifest["parts"]]

    def count(self, split: str) -> int:
        """Number of usable cases of a split."""
        return self.manifest["counts"]["ok"][split]["all"]

    def table(self, split: str, columns: Sequence[str] | None = None) -> pa.Table:
        """The cases of a split, by case id.

        Args:
            split: "train", "validation", "test", or "all" of them.
            columns: those wanted, all by default.

        Raises:
            LibraryError: the split has no case, or a file cannot be read.
        """
        self.require(split)
        wanted = list(columns) if columns is not None else None
        rows = None if split == ALL else pc.field(SPLIT) == split
        try:
            table = ds.dataset(self.files, format="parquet").to_table(columns=wanted, filter=rows)
        except (OSError, pa.ArrowInvalid) as error:
            raise LibraryError(f"{self.root}: a part cannot be read: {error}") from error
        return table.sort_by(CASE_ID) if CASE_ID in table.column_names else table

    def require(self, split: str) -> None:
        """Raise `LibraryError` if a split has no case."""
        if self.count(split) == 0:
            raise LibraryError(
                f"{self.root} has no {split} case; raise library.cases and build it again"
            )


def open_library(path: str | Path) -> Library:
    """A finished library, its files checked for presence and size.

    Raises:
        LibraryError: it is missing, unfinished, of another schema, or a part is cut short.
    """
    root = Path(path).absolute()
    if not root.is_dir():
        raise LibraryError(f"{path}: no such library; build it with jobs/build_library.py")
    manifest = read_json(root, MANIFEST)
    found = manifest.get("schema_version")
    if found != SCHEMA_VERSION:
        raise LibraryError(
            f"{root} has schema version {found}, this fwdecg reads {SCHEMA_VERSION}; build it again"
        )
    missing = REQUIRED - manifest.keys()
    if missing:
        raise LibraryError(
            f"{root / MANIFEST} has no {', '.join(sorted(missing))}; delete it and build the "
            "library again"
        )
    if manifest["counts"]["ok"][TRAIN]["all"] == 0:
        raise LibraryError(f"{root} has no usable training case; raise library.cases and build it")
    for part in manifest["parts"]:
        file = root / part["file"]
        size = file.stat().st_size if file.exists() else 0
        if size != part["bytes"]:
            raise LibraryError(
                f"{file} has {size} bytes, its manifest says {part['bytes']}; delete the file and "
                "build the library again: the other parts are kept"
            )
    statistics = Statistics.from_dict(read_json(root, STATISTICS))
    return Library(root=root, manifest=manifest, statistics=statistics)
