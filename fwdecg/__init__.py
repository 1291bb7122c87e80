"""Simulated heart-tissue activations, their ECGs, and neural surrogates of the forward problem.

The functions that most users need can be reached directly from the package. Each is imported on
first use, so that `import fwdecg` is fast:

    case = fwdecg.simulate("fibrosis")
    surrogate = fwdecg.load_surrogate()
    fwdecg.plot_case(case, surrogate.predict(case)[0])
"""

from fwdecg.runtime.numba_environment import prepare_numba as _prepare_numba

_prepare_numba()  # must run before a module of the package imports numba

TYPE_CHECKING = False  # type checkers treat this name as True; `typing` need not be imported
if TYPE_CHECKING:
    from fwdecg.cases.own_tissue import simulate_tissue
    from fwdecg.cases.recorded_case import RecordedCase, contribution_map
    from fwdecg.cases.scar_image import scar_mask
    from fwdecg.errors import FwdEcgError, FwdEcgWarning
    from fwdecg.experiment.one_case import simulate
    from fwdecg.library.labelled_cases import load_case
    from fwdecg.library.reader import open_library
    from fwdecg.maps.map_files import read_maps
    from fwdecg.physics.fenton_karma import PARAMETER_SETS, Parameters
    from fwdecg.physics.map_ecg import ecg, lead_field
    from fwdecg.physics.stimulus import Stimulus, pacing_train, s1_s2
    from fwdecg.physics.tissue import Tissue
    from fwdecg.pictures.animation import write_animation
    from fwdecg.pictures.attention_picture import plot_attention
    from fwdecg.pictures.case_picture import plot_case, plot_ecgs
    from fwdecg.pictures.learning_picture import plot_learning
    from fwdecg.training.torch_dataset import torch_dataset
    from fwdecg.training.trained_surrogate import load_surrogate

    __version__: str

__all__ = [
    "PARAMETER_SETS",
    "FwdEcgError",
    "FwdEcgWarning",
    "Parameters",
    "RecordedCase",
    "Stimulus",
    "Tissue",
    "contribution_map",
    "ecg",
    "lead_field",
    "load_case",
    "load_surrogate",
    "open_library",
    "pacing_train",
    "plot_attention",
    "plot_case",
    "plot_ecgs",
    "plot_learning",
    "read_maps",
    "s1_s2",
    "scar_mask",
    "simulate",
    "simulate_tissue",
    "torch_dataset",
    "write_animation",
]

_MODULES = {
    "PARAMETER_SETS": "fwdecg.physics.fenton_karma",
    "FwdEcgError": "fwdecg.errors",
    "FwdEcgWarning": "fwdecg.errors",
    "Parameters": "fwdecg.physics.fenton_karma",
    "RecordedCase": "fwdecg.cases.recorded_case",
    "Stimulus": "fwdecg.physics.stimulus",
    "Tissue": "fwdecg.physics.tissue",
    "contribution_map": "fwdecg.cases.recorded_case",
    "ecg": "fwdecg.physics.map_ecg",
    "lead_field": "fwdecg.physics.map_ecg",
    "load_case": "fwdecg.library.labelled_cases",
    "load_surrogate": "fwdecg.training.trained_surrogate",
    "open_library": "fwdecg.library.reader",
    "pacing_train": "fwdecg.physics.stimulus",
    "plot_attention": "fwdecg.pictures.attention_picture",
    "plot_case": "fwdecg.pictures.case_picture",
    "plot_ecgs": "fwdecg.pictures.case_picture",
    "plot_learning": "fwdecg.pictures.learning_picture",
    "read_maps": "fwdecg.maps.map_files",
    "s1_s2": "fwdecg.physics.stimulus",
    "scar_mask": "fwdecg.cases.scar_image",
    "simulate": "fwdecg.experiment.one_case",
    "simulate_tissue": "fwdecg.cases.own_tissue",
    "torch_dataset": "fwdecg.training.torch_dataset",
    "write_animation": "fwdecg.pictures.animation",
}


def __getattr__(name: str) -> object:
    """Import a name of `__all__` from its module, or read the version of the installed package."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415

        return version("fwdecg")
    if name not in _MODULES:
        raise AttributeError(f"module {__name__} has no attribute {name}")
    from importlib import import_module  # noqa: PLC0415

    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    """Return the public names, for completion in notebooks."""
    return __all__
