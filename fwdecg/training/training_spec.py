"""Specification of a training, and format of the maps that its surrogate accepts."""

from dataclasses import dataclass
from typing import Any

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.cases.splits import TRAIN, VALIDATION
from fwdecg.config import identity_hash, identity_tree
from fwdecg.errors import CheckpointError, LibraryError
from fwdecg.library.reader import Library
from fwdecg.maps.recording_format import RecordingFormat
from fwdecg.model import SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.training.training_config import TrainingConfig, require_unchanged_ecg


@dataclass(frozen=True, kw_only=True)
class ModelSignature(RecordingFormat):
    """The format of the data a surrogate accepts, and the hashes of what it was trained on.

    Attributes:
        library_hash: hash of the library's configuration.
        training_hash: hash of model, training settings and library.
    """

    library_hash: str
    training_hash: str

    def require_fit(self, library: LibraryConfig) -> None:
        """Raise `CheckpointError` if a library's recordings have another format."""
        for name, trained, found in self.differences(RecordingFormat.of(library)):
            raise CheckpointError(
                f"the checkpoint was trained on {name} = {trained}, the library has {found}: both "
                "must agree; give a checkpoint trained on such a library"
            )


@dataclass(frozen=True, kw_only=True)
class TrainingSpec:
    """Everything that determines the result of a training, except the cases themselves.

    Attributes:
        model: configuration of the surrogate.
        training: configuration of the training.
        standardisation: mean and standard deviation of the training split.
        signature: data format and hashes, as the trained surrogate will store them.
    """

    model: SurrogateConfig
    training: TrainingConfig
    standardisation: Standardisation
    signature: ModelSignature

    @classmethod
    def from_library(
        cls, library: Library, model: SurrogateConfig, training: TrainingConfig
    ) -> "TrainingSpec":
        """Return the specification of a training on a library.

        Raises:
            LibraryError: there are fewer training or validation cases than workers.
            ConfigError: mirrored or turned training cases would have another ECG.
        """
        workers = max(training.workers, 1)
        for split in (TRAIN, VALIDATION):
            if library.count(split) < workers:
                raise LibraryError(
                    f"{library.location} has {library.count(split)} {split} cases for {workers} "
                    "workers; lower training.workers or raise library.cases and build it again"
                )
        require_unchanged_ecg(training, library.config)
        statistics = library.statistics
        _require_variance(library)
        return cls(
            model=model,
            training=training,
            standardisation=Standardisation(
                u_mean=statistics.u_mean,
                u_spread=statistics.u_spread,
                phi_e_mean=statistics.phi_e_mean,
                phi_e_spread=statistics.phi_e_spread,
            ),
            signature=ModelSignature(
                **vars(RecordingFormat.of(library.config)),
                library_hash=library.config_hash,
                training_hash=identity_hash(model, training, library.config_hash),
            ),
        )

    @property
    def identity(self) -> dict[str, Any]:
        """The settings that distinguish this training from others, as plain values."""
        return {
            "model": identity_tree(self.model),
            "training": identity_tree(self.training),
            "library": self.signature.library_hash,
        }


def _require_variance(library: Library) -> None:
    """Raise `LibraryError` if the maps or an ECG do not vary over the training split."""
    statistics = library.statistics
    spreads = {"u": statistics.u_spread} | {
        f"the ECG of electrode {number}": spread
        for number, spread in enumerate(statistics.phi_e_spread)
    }
    for name, spread in spreads.items():
        if spread == 0:
            raise LibraryError(
                f"{library.location}: {name} is constant over the {TRAIN} split: it must vary; "
                "find the cases with the job check_library, and build the library again"
            )
