"""Command line of the jobs: arguments, logging, connection to Ray, error messages and exit codes.

Importing Ray or PyTorch takes seconds, and neither `--help` nor a message about a bad argument
needs them. Therefore Ray is imported here where it is first used, and every job imports its library
function inside `main`.
"""

import argparse
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from fwdecg.config import describe_keys
from fwdecg.errors import ConfigError, FwdEcgError, FwdEcgWarning, RunError
from fwdecg.experiment.experiment import Experiment
from fwdecg.experiment.presets import load_preset
from fwdecg.experiment.standard_output import Output, guarded_output, print_on_stderr
from fwdecg.runtime.progress import log_to_stdout
from fwdecg.runtime.ray_private import bind_to_loopback, submitted_environment
from fwdecg.runtime.storage import REPORT_FILE

# On a cluster with one CPU, workers and the tasks that read their data would wait for each other.
MIN_CPUS = 2

CONNECT_TIMEOUT_S = 10.0

LOCAL_ENVIRONMENT = {
    # A local cluster listens on loopback only and therefore needs no token.
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    # By default workers run at niceness 15 and starve beside any other program.
    "RAY_worker_niceness": "0",
    # No cloud provider preempts the local node, and the watcher's actor logs an error at its start.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # Ray warns about its own use of deprecated functions.
    "PYTHONWARNINGS": "ignore::DeprecationWarning",
}

THREADS_VARIABLE = "OMP_NUM_THREADS"
CGROUP_CPU_QUOTA = Path("/sys/fs/cgroup/cpu.max")

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130  # exit codes
OUTPUT_CLOSED = 141  # exit code of a shell for programs that SIGPIPE ends

SOCKET_PATH_TOO_LONG = "AF_UNIX path length"  # in the message of Ray
MAX_REASON_LENGTH = 200  # characters of another program's message


class Parser(argparse.ArgumentParser):
    """Argument parser that reports an error in one line on stderr."""

    def __init__(self, purpose: str, *, epilog: str | None = None) -> None:
        """Create a parser whose help keeps the line breaks of `purpose` and `epilog`."""
        super().__init__(
            description=purpose,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """Print the message and exit."""
        self.exit(BAD_INPUT, f"error: {message}; see --help\n")


def job_parser(
    purpose: str, *, subjects: Sequence[str] = (), default_preset: Path | None = None
) -> argparse.ArgumentParser:
    """Return a parser for `[SUBJECT] PRESET.toml [--set section.key=value ...]`.

    Args:
        purpose: description for `--help`.
        subjects: choices of the argument SUBJECT; without them the job has no such argument.
        default_preset: preset used if none is given; by default a preset is required.
    """
    keys = "\n  ".join(describe_keys(Experiment))
    parser = Parser(purpose, epilog=f"keys of a preset:\n  {keys}")
    if subjects:
        parser.add_argument("subject", choices=subjects, help="one of the subjects above")
    parser.add_argument(
        "preset",
        metavar="PRESET.toml",
        nargs="?" if default_preset else None,
        default=default_preset,
        help="configuration, see the keys below"
        + (f" (default: {default_preset.name})" if default_preset else ""),
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="section.key=value",
        dest="overrides",
        help="override one key of the preset; can be given several times",
    )
    return parser


def load_experiment(arguments: argparse.Namespace) -> Experiment:
    """Return the preset of a parsed command line with its overrides."""
    experiment = load_preset(arguments.preset, arguments.overrides)
    experiment.require_trainable()
    return experiment


def print_report(folder: Path) -> None:
    """Print the report of a result folder."""
    print((folder / REPORT_FILE).read_text(encoding="utf-8"))  # noqa: T201


def connect_to_ray(num_cpus: int | None = None) -> None:
    """Join the Ray cluster at RAY_ADDRESS, or start a local cluster that listens on loopback only.

    Args:
        num_cpus: nominal number of CPUs of a local cluster; by default the actual number.

    Raises:
        ConfigError: no cluster answers at RAY_ADDRESS, or the path of TMPDIR is too long.
        RunError: the local cluster does not start.
    """
    import ray  # noqa: PLC0415

    if not sys.stdout.isatty():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    address = os.environ.get("RAY_ADDRESS")
    if address:
        _join_cluster(address)
        _install_sigterm_handler()
        return
    for name, value in LOCAL_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    bind_to_loopback()
    _start_local_cluster(num_cpus)
    if ray.cluster_resources().get("CPU", 0) < MIN_CPUS:
        ray.shutdown()
        _start_local_cluster(num_cpus=MIN_CPUS)
    _install_sigterm_handler()


def _join_cluster(address: str) -> None:
    import ray  # noqa: PLC0415

    try:
        _check_reachable(address)
        ray.init(logging_level=logging.WARNING)
    except Exception as error:  # Ray raises errors of many classes, some of `Exception` itself
        raise ConfigError(
            f"RAY_ADDRESS = {address}: no Ray cluster answers there ({_in_one_line(error)}); give "
            "host:port of its head, or unset it to start a local cluster"
        ) from error


def _check_reachable(address: str) -> None:
    """Raise `ConnectionError` within seconds if nothing listens; Ray itself retries for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        server = (host.strip("[]"), int(port))
        try:
            socket.create_connection(server, timeout=CONNECT_TIMEOUT_S).close()
        except OSError as error:  # includes host names that cannot be resolved
            raise ConnectionError(str(error)) from error


def _start_local_cluster(num_cpus: int | None = None) -> None:
    import ray  # noqa: PLC0415

    try:
        ray.init(
            address="local",
            # Ray Train needs the dashboard to find out whether its controller is alive.
            include_dashboard=True,
            logging_level=logging.WARNING,
            num_cpus=num_cpus,
        )
    except Exception as error:  # Ray raises errors of many classes, some of `Exception` itself
        if SOCKET_PATH_TOO_LONG in str(error):
            raise ConfigError(
                f"TMPDIR = {tempfile.gettempdir()}: too long for the paths of Ray's sockets, which "
                "may have 107 bytes; set RAY_TMPDIR to a short path, such as /tmp"
            ) from error
        ray.shutdown()  # ends the processes that did start
        raise RunError(
            f"Ray's local cluster did not start ({_in_one_line(error)}); run the same "
            "command again when the machine is less busy"
        ) from error


def _in_one_line(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= MAX_REASON_LENGTH else f"{text[:MAX_REASON_LENGTH]}..."


def _install_sigterm_handler() -> None:
    """Handle SIGTERM, which schedulers and `ray job stop` send, like Ctrl-C.

    Call it again after `ray.init`, which installs a handler that exits without a message.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def run_job(job: Callable[[], None], *, on_interrupt: str = "the same command resumes") -> NoReturn:
    """Run a job and exit.

    The exit code is 0 after success, 2 if the input is invalid, 1 if the work or the storage
    failed, 130 after Ctrl-C or SIGTERM, and 141 if the reader of standard output went away, as
    with `| head`. Unless it is 0, one line on stderr gives the reason.

    Args:
        job: function to run.
        on_interrupt: what to tell the user after "interrupted; ".
    """
    with guarded_output() as output, _warnings_in_one_line():
        log_to_stdout()
        _install_sigterm_handler()
        _use_all_cpus()
        code = _exit_code(job, output, on_interrupt)
    sys.exit(code)


def _exit_code(job: Callable[[], None], output: Output, on_interrupt: str) -> int:
    """Run a job and return its exit code; unless it is 0, print the reason."""
    try:
        code = _call(job)
        output.flush()
    except FwdEcgError as error:
        print_on_stderr(f"error: {error}")
        return FAILED if isinstance(error, RunError) else BAD_INPUT
    except OSError as error:
        print_on_stderr(f"error: {_storage_failure(error)}")
        return FAILED
    except KeyboardInterrupt:
        _exit_at_once_if_interrupted_again()
        if output.lost is None:
            print_on_stderr(f"interrupted; {on_interrupt}")
            return INTERRUPTED
        print_on_stderr(f"stopped: standard output: {output.lost.strerror}; {on_interrupt}")
        return OUTPUT_CLOSED if isinstance(output.lost, BrokenPipeError) else FAILED
    return code


def _call(job: Callable[[], None]) -> Any:
    """Run a job and return the exit code that it asks for, 0 by default."""
    try:
        job()
    except SystemExit as ended:
        return ended.code
    return 0


def _storage_failure(error: OSError) -> str:
    """Return the file and reason of an I/O error in one line."""
    reason = error.strerror or str(error)
    file = error.filename2 or error.filename
    if isinstance(error, shutil.Error) and error.args and isinstance(error.args[0], list):
        _, file, reason = error.args[0][0]  # the first of the files that could not be copied
    return f"{file or 'storage'}: {' '.join(str(reason).split())}"


def _exit_at_once_if_interrupted_again() -> None:
    """Let a second Ctrl-C end the process at once, while Ray is shutting down after the first."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: os._exit(INTERRUPTED))


@contextmanager
def _warnings_in_one_line() -> Iterator[None]:
    """Print the warnings of this package without the place in the code that issues them."""
    default = warnings.formatwarning

    def in_one_line(
        message: Warning | str, category: type[Warning], *place: Any, **line: Any
    ) -> str:
        if issubclass(category, FwdEcgWarning):
            return f"warning: {message}\n"
        return default(message, category, *place, **line)

    warnings.formatwarning = in_one_line
    try:
        yield
    finally:
        warnings.formatwarning = default


def _use_all_cpus() -> None:
    """Allow the driver of a submitted job, which evaluates surrogates, one thread per usable CPU.

    Ray assigns the driver no CPUs and therefore limits it to one thread. A limit that the user set
    with the submission is kept.
    """
    submitted = submitted_environment()
    if submitted is None or THREADS_VARIABLE in submitted:
        return
    if os.environ.get(THREADS_VARIABLE) == "1":
        os.environ[THREADS_VARIABLE] = str(_usable_cpus())


def _usable_cpus() -> int:
    """Return the number of CPUs in the affinity mask, capped by the cgroup quota."""
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    try:
        quota, period = CGROUP_CPU_QUOTA.read_text().split()
        return max(min(allowed, int(quota) // int(period)), 1)
    except (OSError, ValueError):  # no cgroup, or the quota "max", which means no limit
        return allowed
