"""Simulated heart-tissue activations, their ECGs, and neural surrogates of the forward problem.

What most users need is at hand here, and loaded when it is first asked for:

    surrogate = fwdecg.load_surrogate("training/best.safetensors")
    phi_e = surrogate.predict(u)
"""

TYPE_CHECKING = False  # for type checkers it is true, as that of the module typing, not loaded here
if TYPE_CHECKING:
    from fwdecg.library.reader import open_library
    from fwdecg.training.checkpoint import load_surrogate

__all__ = ["load_surrogate", "open_library"]

_HOMES = {
    "load_surrogate": "fwdecg.training.checkpoint",
    "open_library": "fwdecg.library.reader",
}


def __getattr__(name: str) -> object:
    """What `__all__` names, from the module that holds it."""
    from importlib import import_module  # noqa: PLC0415

    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(_HOMES[name]), name)
