"""Errors for the user. Each message names the value, the rule it breaks and the remedy."""


class FwdEcgError(Exception):
    """Base class of all errors that fwdecg raises on purpose; the message fits on one line."""


class ConfigError(FwdEcgError):
    """A key, type or value of a configuration, preset or command line is not acceptable."""


class FwdEcgWarning(UserWarning):
    """A result may not be what the user wants; the message says why and what to do."""


class TissueError(FwdEcgError):
    """The physics cannot simulate a tissue, protocol or electrode."""


class CaseError(FwdEcgError):
    """A simulated case is unfit for a library: it contains non-finite values or never activates."""


class LibraryError(FwdEcgError):
    """A library is missing, incomplete, truncated, or made with another configuration."""


class MapsError(FwdEcgError):
    """Voltage maps for a prediction have the wrong shape, type or values."""


class CheckpointError(FwdEcgError):
    """A checkpoint is missing, unreadable, or belongs to another model or library."""


class RunError(FwdEcgError):
    """Work failed although its input is valid: a training diverged or workers were lost."""


class ResultError(FwdEcgError):
    """A result folder is missing, unfinished, damaged, or made with another configuration."""


def error_summary(error: BaseException) -> str:
    """Return the class of an error and the last line of its message.

    The message of a Ray error can be a complete traceback, whose last line is the cause.
    """
    lines = str(error).strip().splitlines()
    return ": ".join([type(error).__name__, *lines[-1:]])
