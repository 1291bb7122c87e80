"""The learning rate over the epochs."""

from typing import Any, Protocol, runtime_checkable

from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, ReduceLROnPlateau

from fwdecg.training.training_config import COSINE, TrainingConfig


@runtime_checkable
class Schedule(Protocol):
    """What sets an optimizer's learning rate; its state goes into checkpoints."""

    def step(self, validation_loss: float, /) -> None:
        """Set the rate of the next epoch; called once after each."""

    def state_dict(self) -> dict[str, Any]:
        """The state after the last step."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a state."""


def learning_rate_schedule(optimizer: Optimizer, config: TrainingConfig) -> Schedule:
    """The schedule of a training."""
    if config.schedule == COSINE:
        return CosineDecay(optimizer, T_max=config.epochs)
    return halve_on_plateau(optimizer, patience=config.patience)


class CosineDecay(CosineAnnealingLR):
    """From the first rate along half a cosine to 0 after `T_max` epochs, whatever the loss."""

    def step(self, _: float | None = None) -> None:
        """Set the rate of the next epoch."""
        super().step()


def halve_on_plateau(optimizer: Optimizer, *, patience: int) -> ReduceLROnPlateau:
    """A schedule that halves the learning rate after `patience` epochs without a better loss.

    Call its `step` with the validation loss once an epoch. The epochs must be consecutive; after a
    halving they are counted anew. Its state goes into checkpoints by `state_dict`.

    Args:
        optimizer: whose learning rate is halved.
        patience: epochs, at least 1; the paper waits 5.
    """
    # torch counts the epochs it tolerates and acts on the next one: hence one fewer. Its defaults
    # would also call a gain under 0.01 % none, and stop halving at a rate near 1e-8.
    return ReduceLROnPlateau(optimizer, factor=0.5, patience=patience - 1, threshold=0.0, eps=0.0)
