"""The neural surrogate that predicts the ECG from voltage maps. It uses neither files nor Ray."""

from typing import TYPE_CHECKING, Any

from fwdecg.model.surrogate_config import SurrogateConfig

if TYPE_CHECKING:
    from fwdecg.model.surrogate import Surrogate

__all__ = ["Surrogate", "SurrogateConfig"]


def __getattr__(name: str) -> Any:
    """Import `Surrogate` on first use, so that reading a configuration does not load torch."""
    if name != "Surrogate":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from fwdecg.model.surrogate import Surrogate  # noqa: PLC0415

    return Surrogate
