"""Synthetic cases whose ECG a surrogate can learn: no library needed."""

from pathlib import Path

import torch

from fwdecg.model import SurrogateConfig
from fwdecg.model.standardise import Standardisation
from fwdecg.runtime.cost import CostMeter
from fwdecg.training.batches import Cases
from fwdecg.training.checkpoint import TrainedSurrogate
from fwdecg.training.epoch import Validation
from fwdecg.training.run import EpochRecord, Splits, run_training
from fwdecg.training.signature import Signature
from fwdecg.training.training_config import TrainingConfig
from fwdecg.training.training_plan import Plan

FRAMES, PIXELS = 12, 8


def waves(count: int, seed: int) -> Cases:
    """Plane fronts of random speed; the ECG is the difference of the maps' right and left half."""
    generator = torch.Generator().manual_seed(seed)
    speed = torch.rand(count, 1, 1, 1, generator=generator) + 0.5
    time = torch.arange(FRAMES)[None, :, None, None]
    column = torch.arange(PIXELS)[None, None, None, :]
    u = torch.sigmoid(2 * (speed * time - column)).expand(-1, -1, PIXELS, -1).half()
    halves = u.float().unflatten(3, (2, PIXELS // 2)).mean((2, 4))
    return Cases(
        case_id=torch.arange(count), u=u, phi_e=(halves[..., 1] - halves[..., 0])[..., None]
    )


def plan(encoder="cnn", **training) -> Plan:
    """A small network and a short training."""
    values = {"epochs": 4, "batch_size": 4, "workers": 0, "learning_rate": 3e-3}
    values |= {"precision": "float32"} | training
    return Plan(
        model=SurrogateConfig(
            hidden_size=16,
            encoder=encoder,
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
        signature=Signature(
            frames=FRAMES,
            map_pixels=PIXELS,
            electrodes_mm=((4.0, 4.0, 4.0),),
            frame_interval_ms=5.0,
            library_hash="library",
            training_hash="training",
        ),
    )


def trained(encoder="cnn") -> TrainedSurrogate:
    """Untrained weights, the same each time, as after seven epochs."""
    made = plan(encoder)
    torch.manual_seed(0)
    surrogate = made.model.build(electrodes=1, standardisation=made.standardisation)
    return TrainedSurrogate(
        state=surrogate.state_dict(),
        config=made.model,
        standardisation=made.standardisation,
        signature=made.signature,
        validation=Validation(loss=0.2, r2=0.9, mae=0.1),
        epoch=7,
    )


def splits() -> Splits:
    """Fourteen training and five validation cases: neither divides by four or two workers."""
    return Splits(train=waves(14, seed=0), validation=waves(5, seed=1))


def train(plan: Plan, splits: Splits, keep: Path | None = None, **options) -> list[EpochRecord]:
    """The records of a training on this process; its last checkpoint goes to `keep`."""
    records = []

    def report(record: EpochRecord, checkpoint: Path | None) -> None:
        records.append(record)
        if keep is not None and checkpoint is not None:
            keep.mkdir(exist_ok=True)
            for file in checkpoint.iterdir():
                (keep / file.name).write_bytes(file.read_bytes())

    cpu = torch.device("cpu")
    run_training(plan, splits, device=cpu, report=report, meter=CostMeter(), **options)
    return records
