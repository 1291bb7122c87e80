"""What a training is: the configurations, and what it takes from the library."""

from dataclasses import dataclass
from typing import Any

from fwdecg.cases.splits import TRAIN, VALIDATION
from fwdecg.config import identity_hash, identity_tree
from fwdecg.errors import LibraryError
from fwdecg.library.reader import Library
from fwdecg.model import SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.training.midline import require_midline
from fwdecg.training.signature import Kind, Signature
from fwdecg.training.training_config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What to train, and on what.

    Attributes:
        model: configuration of the surrogate.
        training: configuration of the training.
        standardisation: of the training split.
        signature: of the library and the configurations.
    """

    model: SurrogateConfig
    training: TrainingConfig
    standardisation: Standardisation
    signature: Signature

    @property
    def identity(self) -> dict[str, Any]:
        """What makes this training another one than those with other values."""
        return {
            "model": identity_tree(self.model),
            "training": identity_tree(self.training),
            "library": self.signature.library_hash,
        }


def plan_training(library: Library, model: SurrogateConfig, training: TrainingConfig) -> Plan:
    """What a library and two configurations amount to.

    Raises:
        LibraryError: there are fewer training or validation cases than workers.
        ConfigError: cases are to be mirrored whose ECG would change by it.
    """
    workers = max(training.workers, 1)
    for split in (TRAIN, VALIDATION):
        if library.count(split) < workers:
            raise LibraryError(
                f"{library.location} has {library.count(split)} {split} cases for {workers} "
                "workers; lower training.workers or raise library.cases and build it again"
            )
    statistics = library.statistics
    if training.mirror:
        require_midline(library.config)
    signature = Signature(
        **vars(Kind.of(library.config)),
        library_hash=library.config_hash,
        training_hash=identity_hash(model, training, library.config_hash),
    )
    standardisation = Standardisation(
        u_mean=statistics.u_mean,
        u_spread=statistics.u_spread,
        phi_e_mean=statistics.phi_e_mean,
        phi_e_spread=statistics.phi_e_spread,
    )
    return Plan(
        model=model, training=training, standardisation=standardisation, signature=signature
    )
