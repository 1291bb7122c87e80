"""What the jobs share: arguments, logging, the connection to Ray, and how they end.

`--help` and a complaint about the arguments need neither Ray nor PyTorch, and loading those takes
seconds. So Ray is imported here where it is first used, and the jobs import their work in `main`.
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

# With a single processor, workers and the reading of their data would wait for each other.
MIN_CPUS = 2

CONNECT_TIMEOUT_S = 10.0

LOCAL_ENVIRONMENT = {
    # No password is needed against other users of the network, whom a local cluster does not serve.
    "RAY_AUTH_MODE": "disabled",
    "RAY_USAGE_STATS_ENABLED": "0",
    # No provider takes its node back, and the actor that would watch for that starts with an error.
    "RAY_TRAIN_ENABLE_PREEMPTION_WATCHER": "0",
    # Ray's warnings of what it does itself.
    "PYTHONWARNINGS": "ignore::DeprecationWarning",
}

THREADS = "OMP_NUM_THREADS"
CONTAINER_LIMIT = Path("/sys/fs/cgroup/cpu.max")

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130


class Parser(argparse.ArgumentParser):
    """A parser whose complaint is one line on stderr."""

    def __init__(self, purpose: str, *, epilog: str | None = None) -> None:
        """A parser whose help keeps the lines of `purpose` and `epilog` as they are."""
        super().__init__(
            description=purpose,
            epilog=epilog,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )

    def error(self, message: str) -> NoReturn:
        """End the process with the complaint."""
        self.exit(BAD_INPUT, f"error: {message}; see --help\n")


def job_parser(
    purpose: str, *, subjects: Sequence[str] = (), default_preset: Path | None = None
) -> argparse.ArgumentParser:
    """The command line `[SUBJECT] PRESET.toml [--set section.key=value ...]` of a job.

    Args:
        purpose: one sentence for `--help`.
        subjects: what the job can be about, if there is a choice.
        default_preset: taken if none is given; without it one must be.
    """
    parser = Parser(
        purpose, epilog="keys of a preset:\n  " + "\n  ".join(describe_keys(Experiment))
    )
    if subjects:
        parser.add_argument("subject", choices=subjects, help="what it is about")
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
        help="override one key of the preset; may be given several times",
    )
    return parser


def load_experiment(arguments: argparse.Namespace) -> Experiment:
    """The preset that a job was given, with its overrides."""
    return load_preset(arguments.preset, arguments.overrides)


def connect_to_ray(num_cpus: int | None = None) -> None:
    """Join the Ray cluster of RAY_ADDRESS, or start a local one that listens on loopback alone.

    Args:
        num_cpus: processors that a local one claims to have; default: those there are.
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
                "head, or unset it to start a local one"
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
    """Fail within seconds where nobody listens; Ray itself would try for minutes."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if host and port.isdecimal():
        try:
            socket.create_connection(
                (host.strip("[]"), int(port)), timeout=CONNECT_TIMEOUT_S
            ).close()
        except OSError as error:  # also of names that nobody knows
            raise ConnectionError(str(error)) from error


def _start_local_cluster(num_cpus: int | None = None) -> None:
    import ray  # noqa: PLC0415

    ray.init(
        address="local",
        include_dashboard=True,  # without it Ray Train cannot tell whether its controller lives
        logging_level=logging.WARNING,
        num_cpus=num_cpus,
    )


def _install_sigterm_handler() -> None:
    """Have SIGTERM, by which schedulers and `ray job stop` ask for an end, interrupt like Ctrl-C.

    To be called again after `ray.init`, whose own handlers end the process without a word.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)


def run_job(job: Callable[[], None], *, on_interrupt: str = "the same command resumes") -> NoReturn:
    """Run a job and exit with 0 if all is done.

    Otherwise one line on stderr says why, and the code is 2 if the input is at fault, 1 if the
    work or the storage failed, 130 after an interrupt from the keyboard or a request to stop.

    Args:
        job: the work.
        on_interrupt: what to say after an interrupt.
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
    """Let a submitted job's own process, which evaluates, use all processors of its machine.

    Ray reserves none for it, and so has it, and what it loads from here on, run on one thread.
    """
    submitted = submitted_environment()
    if submitted is None or os.environ.get(THREADS) != "1":
        return
    if THREADS not in submitted:
        os.environ[THREADS] = str(_usable_cpus())


def _usable_cpus() -> int:
    """Those that this process may run on, or as many as its container has if these are fewer."""
    allowed = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    try:
        quota, period = CONTAINER_LIMIT.read_text().split()
        return max(min(allowed, int(quota) // int(period)), 1)
    except (OSError, ValueError):  # no container, or one without a limit, which is called "max"
        return allowed
