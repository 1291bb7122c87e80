"""Presets: TOML files, of which some come with fwdecg and are found by their names."""

from collections.abc import Sequence
from pathlib import Path

from fwdecg.config import load
from fwdecg.errors import ConfigError
from fwdecg.experiment.experiment import Experiment


def load_preset(given: str | Path, settings: Sequence[str] = ()) -> Experiment:
    """A preset with changes to its settings.

    Args:
        given: its path, or the name of one that comes with fwdecg.
        settings: changes, "section.key=value".

    Raises:
        ConfigError: there is no such preset or setting, or a value breaks its rule.
    """
    return load(Experiment, find_preset(given), settings)


def find_preset(given: str | Path) -> Path:
    """The preset at a path, or where there is none the one of that name that comes with fwdecg.

    Raises:
        ConfigError: there is neither.
    """
    path, own = Path(given), jobs_folder() / given
    if path.exists():
        return path
    if own.name == str(given) and own.is_file():
        return own
    names = ", ".join(sorted(preset.name for preset in jobs_folder().glob("*.toml")))
    raise ConfigError(
        f"{given}: No such file or directory; give the path of a TOML preset, or one that comes "
        f"with fwdecg: {names}"
    )


def jobs_folder() -> Path:
    """The folder of the jobs and presets: in the package installed, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "jobs"
    return inside if inside.is_dir() else package.parent / "jobs"
