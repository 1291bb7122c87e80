"""One case at a time, for notebooks: what `jobs/build_library.py` does to thousands of them."""

from collections.abc import Sequence
from itertools import count, islice
from pathlib import Path

from fwdecg.cases.conditions import CONDITIONS
from fwdecg.cases.draw import draw_case
from fwdecg.cases.library_config import LibraryConfig, warn_if_resolution_is_fixed
from fwdecg.cases.recorded_case import RecordedCase
from fwdecg.cases.simulation import simulate_case
from fwdecg.cases.splits import assign_case
from fwdecg.config import with_overrides
from fwdecg.errors import ConfigError
from fwdecg.experiment.experiment import Experiment
from fwdecg.experiment.presets import load_preset


def simulate(
    condition: str = "healthy",
    *,
    number: int = 0,
    preset: str | Path | None = None,
    settings: Sequence[str] = (),
) -> RecordedCase:
    """A case of a tissue condition: voltage maps, activation times and ECG.

    It is the very case that a library of these settings holds. The first one of a process takes
    some seconds more, while the solver is compiled.

    Args:
        condition: "healthy", "gap_junction", "fibrosis" or "combined".
        number: which of the library's cases of that condition, from 0 on: another one, other draws.
        preset: a TOML file with the library's settings, or the name of one that comes with fwdecg;
            by default those of the paper.
        settings: changes to them, "section.key=value", as the jobs take them with --set.

    Raises:
        ConfigError: there is no such condition, preset or setting.
        CaseError: the case cannot be drawn, or is not fit for a library.
    """
    config = _library_config(preset, settings)
    warn_if_resolution_is_fixed(config)
    drawn = draw_case(config, _case_id(config, condition, number))
    return RecordedCase.from_record(simulate_case(drawn, config), config)


def _library_config(preset: str | Path | None, settings: Sequence[str]) -> LibraryConfig:
    if preset is not None:
        return load_preset(preset, settings).library
    return with_overrides(Experiment(), settings).library


def _case_id(config: LibraryConfig, condition: str, number: int) -> int:
    """The id of the regular case with `number` ones of the same condition before it."""
    names = [known.name for known in CONDITIONS]
    if condition not in names:
        raise ConfigError(f"condition = {condition!r}: must be one of {', '.join(names)}")
    if number < 0:
        raise ConfigError(f"number = {number}: must be at least 0")
    places = ((case_id, assign_case(case_id, config.shifts)) for case_id in count())
    own = (
        case_id
        for case_id, place in places
        if place.shift is None and place.condition.name == condition
    )
    return next(islice(own, number, None))
