"""Command line of the jobs: arguments, logging, connection to Ray, error messages and exit codes.

Importing Ray or PyTorch takes seconds, and neither `--help` nor a message about a bad argument
needs them. Therefore Ray is imported here where it is first used, and every job imports its library
function inside `main`.
"""

import argparse
import logging
import os
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from fwdecg.config import describe_keys
from fwdecg.errors import ConfigError, FwdEcgError, RunError
from fwdecg.experiment.experiment import Experiment
from fwdecg.experiment.presets import load_preset
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
        ConfigError: no cluster answers at RAY_ADDRESS.
    """
    import ray  # noqa: PLC0415

    if not sys.stdout.isatty():
        os.environ.setdefault("RAY_COLOR_PREFIX", "0")
    address = os.environ.get("RAY_ADDRESS")
    if address:
        try:
            _check_reachable(address)
            ray.init(logging_level=logging.WARNING)
        except (ConnectionError, ValueError, RuntimeError) as error:
            raise ConfigError(
                f"RAY_ADDRESS = {address}: no Ray cluster answers there; give host:port of its "
                "head, or unset it to start a local cluster"
            ) from error
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

    ray.init(
        address="local",
        include_dashboard=True,  # Ray Train needs it to find out whether its controller is alive
        logging_level=logging.WARNING,
        num_cpus=num_cpus,
    )


def _install_sigterm_handler() -> None:
    """Handle SIGTERM, which schedulers and `ray job stop` send, like Ctrl-C.

    Call it again after `ray.init`, which installs a handler that exits without a message.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def run_job(job: Callable[[], None], *, on_interrupt: str = "the same command resumes") -> NoReturn:
    """Run a job and exit.

    The exit code is 0 after success, 2 if the input is invalid, 1 if the work or the storage
    failed, and 130 after Ctrl-C or SIGTERM. Unless it is 0, one line on stderr gives the reason.

    Args:
        job: function to run.
        on_interrupt: what to tell the user after "interrupted; ".
    """
    log_to_stdout()
    _install_sigterm_handler()
    _use_all_cpus()
    try:
        job()
    except FwdEcgError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201
        sys.exit(FAILED if isinstance(error, RunError) else BAD_INPUT)
    except OSError as error:
        print(f"error: {error.filename or 'storage'}: {error.strerror or error}", file=sys.stderr)  # noqa: T201
        sys.exit(FAILED)
    except KeyboardInterrupt:
        print(f"interrupted; {on_interrupt}", file=sys.stderr)  # noqa: T201
        sys.exit(INTERRUPTED)
    sys.exit(0)


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
