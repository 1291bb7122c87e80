"""The folders of a search's trials: what each tries, how far it came, and how it ended.

trials/00007/trial.json     its settings, before it starts
            /checkpoints/   its state after the last epoch, whose history is that of the trial
            /outcome.json   how it ended, and why
These files are all that a search which was killed needs to go on.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

from fwdecg.runtime.storage import Store
from fwdecg.training.checkpoint import load_tensors
from fwdecg.training.run import PROGRESS, EpochRecord
from fwdecg.training.training_folder import newest_checkpoint
from fwdecg.tuning.search_space import Settings

FINISHED, STOPPED, FAILED = "finished", "stopped", "failed"
OUTCOMES = (FINISHED, STOPPED, FAILED)
UNFINISHED = "unfinished"  # without an outcome: running, or interrupted
TRIALS, TRIAL, OUTCOME = "trials", "trial.json", "outcome.json"


@dataclass(frozen=True)
class Outcome:
    """How a trial ended.

    Attributes:
        status: finished (all epochs), stopped (early, by ASHA) or failed.
        reason: of a failure.
    """

    status: str
    reason: str = ""


@dataclass(frozen=True)
class TrialFolders:
    """The trials of a search, by number.

    Attributes:
        root: folder of the search, which all nodes see under this name.
    """

    root: Path

    def numbers(self) -> list[int]:
        """Of the trials there are."""
        return sorted(int(folder.name) for folder in (self.root / TRIALS).glob("[0-9]*"))

    def folder(self, number: int) -> Path:
        """Folder of a trial."""
        return self.root / TRIALS / f"{number:05d}"

    def settings(self, number: int) -> Settings | None:
        """What a trial tries; None if there is no such trial yet."""
        store = Store.at(self.folder(number))
        return store.read_json(TRIAL)["settings"] if store.exists(TRIAL) else None

    def open(self, number: int, settings: Settings) -> None:
        """Make the folder of a new trial."""
        content = {"number": number, "settings": settings}
        Store.at(self.folder(number)).publish_json(TRIAL, content)

    def outcome(self, number: int) -> Outcome | None:
        """How a trial ended, if it did."""
        store = Store.at(self.folder(number))
        return Outcome(**store.read_json(OUTCOME)) if store.exists(OUTCOME) else None

    def close(self, number: int, outcome: Outcome) -> None:
        """Note how a trial ended."""
        Store.at(self.folder(number)).publish_json(OUTCOME, asdict(outcome))

    def history(self, number: int) -> list[EpochRecord]:
        """The epochs of a trial's newest checkpoint."""
        checkpoint = newest_checkpoint(self.folder(number))
        if checkpoint is None:
            return []
        records = load_tensors(checkpoint / PROGRESS)["history"]
        return [EpochRecord(**record) for record in records]

    def clear(self) -> None:
        """Remove what interrupted writers left behind."""
        for number in self.numbers():
            Store.at(self.folder(number)).clear_staging()
