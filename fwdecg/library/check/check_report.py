"""What a check of a library found, as text."""

from collections import Counter
from dataclasses import dataclass

from fwdecg.library.check.fault import Check, Fault
from fwdecg.runtime.storage import Store


@dataclass(frozen=True, kw_only=True)
class Report:
    """The faults of a library.

    Attributes:
        store: where it is.
        faults: all of them.
        extents: what each check has covered, in words; a check that is not here was not made.
    """

    store: Store
    faults: tuple[Fault, ...]
    extents: dict[Check, str]

    @property
    def text(self) -> str:
        """One line for each fault, and a table of what was checked."""
        numbers = Counter(fault.check for fault in self.faults)
        rows = [("check", "faults", "covers")]
        rows += [
            (check.value, str(numbers[check]), self.extents.get(check, "not checked"))
            for check in Check
        ]
        table = [f"{check:<14}{faults:>7}  {extent}" for check, faults, extent in rows]
        return "\n".join([*(fault.line for fault in self.faults), *table])
