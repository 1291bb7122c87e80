"""The learning rate over the epochs: halved where the validation loss no longer improves."""

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau


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
