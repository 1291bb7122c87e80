"""The configuration of a training, which can be read and checked without importing torch."""

from dataclasses import dataclass

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.config import Configuration, setting
from fwdecg.errors import ConfigError

COSINE, PLATEAU = "cosine", "plateau"
AUTO, FLOAT32, BFLOAT16 = "auto", "float32", "bfloat16"


@dataclass(frozen=True, kw_only=True)
class LossConfig(Configuration):
    """Weights of the hybrid loss."""

    huber_delta: float = setting(
        1.0, "error, in z-scores, above which the loss grows linearly", above=0
    )
    variance_floor: float = setting(
        0.01,
        "floor f in the factor (1 + f) / (v + f) of each ECG's Huber loss, where v is the variance "
        "of the ECG in z-scores; it gives small ECGs the same weight as large ones; 0: no factor",
        at_least=0,
    )
    spectral_weight: float = setting(
        0.1, "weight of the spectral entropy loss, times omega; 0 leaves the loss out", at_least=0
    )


@dataclass(frozen=True, kw_only=True)
class TrainingConfig(Configuration):
    """Training with Adam and a falling learning rate; the best state by validation R^2 is kept."""

    path: str = setting(
        "", "result folder of the training; default: training/ in results.path", identity=False
    )
    epochs: int = setting(200, "passes over the training split", at_least=1)
    batch_size: int = setting(8, "cases per update, over all workers together", at_least=1)
    learning_rate: float = setting(1e-3, "initial learning rate of Adam", above=0, at_most=1)
    schedule: str = setting(
        COSINE,
        "learning rate schedule: cosine falls to 0 over all epochs; plateau halves the rate when "
        "the validation loss stops improving",
        choices=(COSINE, PLATEAU),
    )
    patience: int = setting(
        5,
        "plateau schedule: epochs without a lower validation loss before the rate is halved",
        at_least=1,
    )
    weight_average: float = setting(
        0.0,
        "decay per update of a moving average of the weights, which is validated and kept in place "
        "of the weights themselves; 0: no average",
        added=True,
        at_least=0,
        below=1,
    )
    gradient_norm: float = setting(
        1.0,
        "upper bound of the gradient's norm; the spectral term has huge gradients at flat ECGs",
        above=0,
    )
    mirror: bool = setting(
        False,
        "turn each training case upside down with probability 1/2; needs electrodes on the "
        "horizontal midline, whose ECG this does not change",
    )
    rotate: bool = setting(
        False,
        "turn each training case by 0, 90, 180 or 270 degrees at random; needs electrodes above "
        "the centre, whose ECG this does not change",
        added=True,
    )
    precision: str = setting(
        AUTO,
        "precision of a CNN encoder: float32, bfloat16, or auto for bfloat16 if the hardware "
        "supports it",
        choices=(AUTO, FLOAT32, BFLOAT16),
    )
    seed: int = setting(
        1, "seed of weights, dropout and order of cases", at_least=0, at_most=2**63 - 1
    )
    loss: LossConfig = setting(LossConfig)
    workers: int = setting(
        1,
        "data-parallel worker processes; 0 trains in the job's own process, without Ray",
        identity=False,
        at_least=0,
    )
    device: str = setting(
        "auto",
        "device of the workers: auto uses GPUs if the cluster has one for each worker, gpu waits "
        "for an autoscaler to add them, cpu uses none",
        identity=False,
        choices=("auto", "gpu", "cpu"),
    )
    cpus_per_worker: float = setting(
        0.0,
        "CPUs reserved for each worker; 0: an equal part of all CPUs but one, at most one CPU",
        identity=False,
        at_least=0,
    )
    retries: int = setting(
        3,
        "restarts from the last checkpoint after a worker failed",
        identity=False,
        at_least=0,
    )


def require_unchanged_ecg(training: TrainingConfig, library: LibraryConfig) -> None:
    """Check that mirroring and turning a sheet leave the ECG of every electrode unchanged.

    Raises:
        ConfigError: an electrode is not on the midline of a sheet that is mirrored, or not above
            the centre of a sheet that is turned.
    """
    middle_mm = library.tissue.size_mm / 2
    for x_mm, y_mm, z_mm in library.electrodes_mm:
        where = f"the ECG at {[x_mm, y_mm, z_mm]} mm changes if the sheet is"
        if training.mirror and y_mm != middle_mm:
            raise ConfigError(
                f"training.mirror = true: {where} turned upside down; set it to false, or y to "
                f"{middle_mm:g} mm"
            )
        if training.rotate and (x_mm, y_mm) != (middle_mm, middle_mm):
            raise ConfigError(
                f"training.rotate = true: {where} turned by 90 degrees; set it to false, or x and "
                f"y to {middle_mm:g} mm"
            )
