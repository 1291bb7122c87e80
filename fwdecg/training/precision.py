"""In which precision a network runs, which is a question of the machine."""

import torch

from fwdecg.training.training_config import AUTO, BFLOAT16


def autocasts(precision: str, device: torch.device) -> bool:
    """Whether the encoder is to run in bfloat16 on a device.

    Args:
        precision: of a `TrainingConfig`; "auto" takes bfloat16 where the machine computes in it.
        device: of the network.
    """
    if precision != AUTO:
        return precision == BFLOAT16
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
