"""The configuration of a training, to be read and checked without torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fwdecg.config import check_settings, setting

if TYPE_CHECKING:
    import fwdecg.training.loss

COSINE, PLATEAU = "cosine", "plateau"
AUTO, FLOAT32, BFLOAT16 = "auto", "float32", "bfloat16"


@dataclass(frozen=True, kw_only=True)
class LossConfig:
    """Weights of the hybrid loss."""

    huber_delta: float = setting(
        1.0, "error, in z-scores, from which the loss grows linearly", above=0
    )
    variance_floor: float = setting(
        0.01,
        "the Huber loss of each ECG, in z-scores, is divided by the variance of that ECG plus "
        "this, and multiplied by 1 plus this, so that small ECGs count as much as large ones; 0: "
        "all errors count alike",
        at_least=0,
    )
    spectral_weight: float = setting(
        0.1, "factor beside omega of the spectral entropy loss, 0 to leave it out", at_least=0
    )

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigError: a value breaks its rule.
        """
        check_settings(self)

    def build(self) -> "fwdecg.training.loss.HybridLoss":
        """The loss with these weights."""
        from fwdecg.training.loss import HybridLoss  # noqa: PLC0415  # brings torch

        return HybridLoss(self.huber_delta, self.variance_floor, self.spectral_weight)


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Adam and a falling rate; the state with the best validation R^2 is kept."""

    path: str = setting(
        "", "folder of the training; default: training/ in results.path", identity=False
    )
    epochs: int = setting(200, "passes over the training split", at_least=1)
    batch_size: int = setting(8, "cases per update, over all workers together", at_least=1)
    learning_rate: float = setting(1e-3, "of Adam at the start", above=0, at_most=1)
    schedule: str = setting(
        COSINE,
        "of the learning rate: cosine, down to 0 over all epochs, or plateau, halved where the "
        "validation loss no longer improves",
        choices=(COSINE, PLATEAU),
    )
    patience: int = setting(
        5,
        "of the plateau: epochs without a better validation loss before the rate is halved",
        at_least=1,
    )
    gradient_norm: float = setting(
        1.0,
        "upper bound of the gradient's norm; the spectral term of a flat prediction has a huge one",
        above=0,
    )
    mirror: bool = setting(
        False,
        "turn each training case upside down with probability 1/2; needs electrodes on the "
        "horizontal midline, whose ECG does not change by it",
    )
    precision: str = setting(
        AUTO,
        "of a CNN: float32, bfloat16, or auto for bfloat16 where the machine computes in it",
        choices=(AUTO, FLOAT32, BFLOAT16),
    )
    seed: int = setting(1, "of weights, dropout and order of cases", at_least=0, at_most=2**63 - 1)
    loss: LossConfig = setting(LossConfig)
    workers: int = setting(
        1,
        "data-parallel worker processes; 0 trains in the job's own process, without Ray",
        identity=False,
        at_least=0,
    )
    device: str = setting(
        "auto",
        "of the workers: auto takes GPUs if the cluster has one for each, gpu waits until an "
        "autoscaler brings them, cpu takes none",
        identity=False,
        choices=("auto", "gpu", "cpu"),
    )
    cpus_per_worker: float = setting(
        0.0,
        "processors reserved for each worker; 0 shares out all but one",
        identity=False,
        at_least=0,
    )
    retries: int = setting(
        3,
        "restarts from the last checkpoint after a worker was lost or failed",
        identity=False,
        at_least=0,
    )

    def __post_init__(self) -> None:
        """Check each value."""
        check_settings(self)
