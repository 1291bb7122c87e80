"""In which precision a network runs, which is a question of the machine."""

import torch

AUTO, FLOAT32, BFLOAT16 = "auto", "float32", "bfloat16"
PRECISIONS = (AUTO, FLOAT32, BFLOAT16)


def autocasts(precision: str, device: torch.device) -> bool:
    """Whether the encoder is to run in bfloat16 on a device.

    Args:
        precision: one of `PRECISIONS`; "auto" takes bfloat16 where the machine computes in it.
        device: of the network.
    """
    if precision != AUTO:
        return precision == BFLOAT16
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return bool(torch.cpu.get_capabilities().get("avx512_bf16"))
