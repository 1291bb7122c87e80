"""Simulation of a single case, for notebooks."""

from itertools import count, islice
from numbers import Integral
from pathlib import Path

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig, warn_if_resolution_is_fixed
from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.splits import assign_case
from fwdecg.config import Overrides, with_overrides
from fwdecg.errors import ConfigError
from fwdecg.experiment.experiment import Experiment
from fwdecg.experiment.presets import load_preset


def simulate(
    condition: str = "healthy",
    *,
    number: int = 0,
    preset: str | Path | None = None,
    settings: Overrides = (),
) -> RecordedCase:
    """Simulate one case: voltage maps, activation times and ECG.

    The result equals the corresponding case of a library with the same settings. The first call in
    a process takes some seconds longer, because the solver is compiled.

    Args:
        condition: tissue condition: "healthy", "gap_junction", "fibrosis" or "combined".
        number: index of the case among the library's cases of this condition, from 0. Each index
            has its own random draws.
        preset: path of a TOML preset, or the name of one that comes with fwdecg, such as
            "quickstart". The default is the library of the paper.
        settings: changes of single keys: values by key, {"library.recording.duration_ms": 400}, or
            a list of texts as for the option --set of the jobs. Other electrodes replace the grid
            of a preset.

    Raises:
        ConfigError: the condition, preset or setting does not exist or breaks a rule.
        CaseError: the case cannot be drawn, or is unfit for a library.
    """
    if preset is None:
        config = with_overrides(Experiment(), settings).library
    else:
        config = load_preset(preset, settings).library
    warn_if_resolution_is_fixed(config)
    drawn = draw_case(config, _case_id(config, condition, number))
    return RecordedCase.from_record(simulate_case(drawn, config), config)


def _case_id(config: LibraryConfig, condition: str, number: int) -> int:
    """Return the id of the case with index `number` among the unshifted cases of a condition."""
    names = [known.name for known in CONDITIONS]
    if condition not in names:
        raise ConfigError(f"condition = {condition!r}: must be one of {', '.join(names)}")
    if not isinstance(number, Integral) or number < 0:
        raise ConfigError(f"number = {number!r}: must be a whole number, at least 0")

    def matches(case_id: int) -> bool:
        assigned = assign_case(case_id, config.shifts)
        return assigned.shift is None and assigned.condition.name == condition

    return next(islice(filter(matches, count()), int(number), None))
