"""Whether a sheet may be turned upside down without another ECG."""

from fwdecg.cases.library_config import LibraryConfig
from fwdecg.errors import ConfigError


def require_midline(library: LibraryConfig) -> None:
    """Raise `ConfigError` if turning the sheet upside down changes the ECG at an electrode."""
    midline_mm = library.tissue.size_mm / 2
    for electrode in library.electrodes_mm:
        if electrode[1] != midline_mm:
            raise ConfigError(
                f"training.mirror = true: the ECG at {list(electrode)} mm changes if the sheet is "
                f"turned upside down; set it to false, or y to {midline_mm:g} mm"
            )
