"""Simulated heart-tissue activations, their ECGs, and neural surrogates of the forward problem.

What most users need is at hand here, and loaded when it is first asked for:

    case = fwdecg.simulate("fibrosis")
    surrogate = fwdecg.load_surrogate()
    fwdecg.plot_case(case, surrogate.predict(case.u)[0])
"""

TYPE_CHECKING = False  # for type checkers it is true, as that of the module typing, not loaded here
if TYPE_CHECKING:
    from fwdecg.cases.recorded_case import RecordedCase
    from fwdecg.errors import FwdEcgError
    from fwdecg.experiment.one_case import simulate
    from fwdecg.library.labelled_cases import load_case
    from fwdecg.library.reader import open_library
    from fwdecg.pictures.animation import write_animation
    from fwdecg.pictures.attention_picture import plot_attention
    from fwdecg.pictures.case_picture import plot_case
    from fwdecg.pictures.learning_picture import plot_learning
    from fwdecg.training.checkpoint import load_surrogate

__all__ = [
    "FwdEcgError",
    "RecordedCase",
    "load_case",
    "load_surrogate",
    "open_library",
    "plot_attention",
    "plot_case",
    "plot_learning",
    "simulate",
    "write_animation",
]

_HOMES = {
    "FwdEcgError": "fwdecg.errors",
    "RecordedCase": "fwdecg.cases.recorded_case",
    "load_case": "fwdecg.library.labelled_cases",
    "load_surrogate": "fwdecg.training.checkpoint",
    "open_library": "fwdecg.library.reader",
    "plot_attention": "fwdecg.pictures.attention_picture",
    "plot_case": "fwdecg.pictures.case_picture",
    "plot_learning": "fwdecg.pictures.learning_picture",
    "simulate": "fwdecg.experiment.one_case",
    "write_animation": "fwdecg.pictures.animation",
}


def __getattr__(name: str) -> object:
    """What `__all__` names, from the module that holds it."""
    from importlib import import_module  # noqa: PLC0415

    if name not in _HOMES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """What a notebook offers on the tab key."""
    return __all__
