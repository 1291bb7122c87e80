"""Synthetic cases whose ECG a surrogate can learn, without a library."""

from pathlib import Path

import torch

from fwdecg.model import SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.model.surrogate import build_surrogate
from fwdecg.runtime.cost import CostMeter
from fwdecg.training.batches import Cases, Splits
from fwdecg.training.checkpoint import EpochRecord
from fwdecg.training.epoch import Validation
from fwdecg.training.trained_surrogate import TrainedSurrogate
from fwdecg.training.training_config import TrainingConfig
from fwdecg.training.training_loop import run_training
from fwdecg.training.training_spec import ModelSignature, TrainingSpec

FRAMES, PIXELS = 12, 8


def waves(count: int, seed: int) -> Cases:
    """Return plane fronts from rest; the ECG is the right minus the left half's mean of u."""
    generator = torch.Generator().manual_seed(seed)
    speed = torch.rand(count, 1, 1, 1, generator=generator) + 0.5
    time = torch.arange(FRAMES)[None, :, None, None]
    column = torch.arange(PIXELS)[None, None, None, :]
    u = torch.sigmoid(2 * (speed * time - column) - 3).expand(-1, -1, PIXELS, -1).half()
    halves = u.float().unflatten(3, (2, PIXELS // 2)).mean((2, 4))
    return Cases(
        case_id=torch.arange(count), u=u, phi_e=(halves[..., 1] - halves[..., 0])[..., None]
    )


def make_spec(encoder="cnn", **training) -> TrainingSpec:
    """Return the specification of a short training of a small network."""
    values = {"epochs": 4, "batch_size": 4, "workers": 0, "learning_rate": 3e-3}
    values |= {"precision": "float32"} | training
    return TrainingSpec(
        model=SurrogateConfig(
            hidden_size=16,
            encoder=encoder,
            scaled=False,  # the ECG of these waves does not depend on their speed
            channels=(4, 8),
            pooled_size=2,
            time_embedding_size=4,
            readout_size=8,
            dropout=0.0 if training.get("workers") else 0.2,
        ),
        training=TrainingConfig(**values),
        standardisation=Standardisation(
            u_mean=0.5, u_spread=0.5, phi_e_mean=(-0.5,), phi_e_spread=(0.3,)
        ),
        signature=ModelSignature(
            frames=FRAMES,
            map_pixels=PIXELS,
            electrodes_mm=((4.0, 4.0, 4.0),),
            frame_interval_ms=5.0,
            library_hash="library",
            training_hash="training",
        ),
    )


def trained(encoder="cnn") -> TrainedSurrogate:
    """Return a surrogate of random weights, the same in every call, labelled as epoch 7."""
    spec = make_spec(encoder)
    torch.manual_seed(0)
    surrogate = build_surrogate(spec.model, electrodes=1, standardisation=spec.standardisation)
    return TrainedSurrogate(
        state=surrogate.state_dict(),
        config=spec.model,
        standardisation=spec.standardisation,
        signature=spec.signature,
        validation=Validation(loss=0.2, r2=0.9, mae=0.1),
        epoch=7,
    )


def splits() -> Splits:
    """Return 14 training and 5 validation cases: uneven for batches of 4 and for 2 workers."""
    return Splits(train=waves(14, seed=0), validation=waves(5, seed=1))


def train(spec: TrainingSpec, splits: Splits, folder: Path) -> list[EpochRecord]:
    """Train in this process; return the records of the epochs run now, not of earlier ones."""
    records: list[EpochRecord] = []
    cpu = torch.device("cpu")
    run_training(spec, splits, folder, device=cpu, meter=CostMeter(), report=records.append)
    return records
