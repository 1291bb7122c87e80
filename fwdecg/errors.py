"""The errors a user can meet: each message names the value, the rule it breaks and the remedy."""


class FwdEcgError(Exception):
    """Anything fwdecg refuses to do; the message is meant for a person and fits one line."""


class ConfigError(FwdEcgError):
    """A key, type or value of a configuration, preset or command line is not acceptable."""


class TissueError(FwdEcgError):
    """A tissue, protocol or electrode is not one that the physics can simulate."""


class CaseError(FwdEcgError):
    """A simulated case is not fit for a library: it is not finite, or never activates."""


class LibraryError(FwdEcgError):
    """A library is missing, incomplete, truncated, or made by another configuration."""


class MapsError(FwdEcgError):
    """Voltage maps handed in for prediction have the wrong shape, type or values."""


class CheckpointError(FwdEcgError):
    """A checkpoint is missing, unreadable, or belongs to another model or library."""


class RunError(FwdEcgError):
    """Work failed through no fault of its input: a training diverged, workers were lost."""


class ResultError(FwdEcgError):
    """A folder of results is missing, unfinished, damaged, or made with another configuration."""


def error_summary(error: BaseException) -> str:
    """The kind of an error and the last line of its text, which may be a whole traceback."""
    lines = str(error).strip().splitlines()
    return ": ".join([type(error).__name__, *lines[-1:]])
