"""Presets: TOML files of experiments. Some come with fwdecg and are found by name."""

from pathlib import Path

from fwdecg.config import Overrides, load
from fwdecg.errors import ConfigError
from fwdecg.experiment.experiment import Experiment


def load_preset(preset: str | Path, overrides: Overrides = ()) -> Experiment:
    """Read a preset.

    Args:
        preset: path of a TOML file, or the name of a preset that comes with fwdecg, with or without
            its suffix.
        overrides: changes of single keys.

    Raises:
        ConfigError: the preset or a key does not exist, or a value breaks its rule.
    """
    return load(Experiment, find_preset(preset), overrides)


def find_preset(preset: str | Path) -> Path:
    """Return the path of a preset. A file at the given path takes precedence over fwdecg's own.

    Raises:
        ConfigError: there is no such file and no preset of this name.
    """
    path = Path(preset).expanduser()
    if path.is_file():
        return path
    for packaged in jobs_folder().glob("*.toml"):
        if str(preset) in (packaged.name, packaged.stem):
            return packaged
    names = ", ".join(sorted(known.name for known in jobs_folder().glob("*.toml")))
    raise ConfigError(
        f"{preset}: No such file or directory; give the path of a TOML preset, or one that comes "
        f"with fwdecg: {names}"
    )


def jobs_folder() -> Path:
    """Return the folder of jobs and presets: inside the installed package or beside a checkout."""
    package = Path(__file__).parents[1]
    inside = package / "jobs"
    return inside if inside.is_dir() else package.parent / "jobs"
