"""Parts of a network that are not to be rounded, whatever the precision around them."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def unrounded(like: Tensor) -> AbstractContextManager[None]:
    """A context without autocast on the device of a tensor.

    Where there is none already, that is no context at all: an exported program need not know one.
    """
    device = like.device.type
    if not torch.is_autocast_enabled(device):
        return nullcontext()
    return torch.autocast(device, enabled=False)
