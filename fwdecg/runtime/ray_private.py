"""Private and unstable APIs of Ray that fwdecg depends on; checked with Ray 2.60.0.

Every use of such an API goes through this module. After an upgrade of Ray, check these functions
against its source and raise the upper bound in pyproject.toml. Ray is imported inside the
functions, because loading it takes seconds and `--help` does not need it.
"""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

# Ray sets this variable in the driver of a submitted job only. It holds the job's configuration.
JOB_CONFIG_VARIABLE = "RAY_JOB_CONFIG_JSON_ENV_VAR"
# Attribute of `ray.data.DataContext` that selects the newer way of reading Parquet files.
LISTING_BY_TASKS = "use_datasource_v2"


def bind_to_loopback() -> None:
    """Make the processes of a local cluster listen on 127.0.0.1 only; call before `ray.init`.

    Ray has no option for this: it replaces a loopback address by an external one wherever several
    machines could form a cluster. Disabling multi-node clusters keeps the loopback address. The
    environment variable reaches the processes that Ray starts; this process has already read it,
    so its constant is set as well.
    """
    from ray._private import ray_constants  # noqa: PLC0415

    os.environ[ray_constants.ENABLE_RAY_CLUSTERS_ENV_VAR] = "0"
    ray_constants.ENABLE_RAY_CLUSTER = False


def submitted_environment() -> dict[str, str] | None:
    """Return the environment variables that this job was submitted with.

    Returns:
        The `env_vars` of the job's runtime environment, or None if this process is not the driver
        of a submitted job.
    """
    config = os.environ.get(JOB_CONFIG_VARIABLE)
    if config is None:
        return None
    runtime_env = json.loads(config).get("runtime_env") or {}
    return runtime_env.get("env_vars") or {}


@contextmanager
def files_listed_by_driver() -> Iterator[None]:
    """Make datasets created in this context list files and read footers in this process.

    The newer Parquet reader of Ray Data does this in tasks that each reserve a CPU. If workers have
    already reserved every CPU of the cluster, these tasks wait forever. Releases of Ray without
    that reader need no change.
    """
    from ray.data import DataContext  # noqa: PLC0415

    context = DataContext.get_current()
    if not hasattr(context, LISTING_BY_TASKS):
        yield
        return
    default = getattr(context, LISTING_BY_TASKS)
    setattr(context, LISTING_BY_TASKS, False)
    try:
        yield
    finally:
        setattr(context, LISTING_BY_TASKS, default)


def trial_failure(trial: Any) -> Exception | str:
    """Return the last error of a Ray Tune trial: the exception, or its text if it was not pickled.

    The public getters of `Trial` look for the files in the trial's final folder, where they arrive
    only after the scheduler has been notified of the error.
    """
    from ray import cloudpickle  # noqa: PLC0415

    if trial.pickled_error_file:
        failure: Exception = cloudpickle.loads(Path(trial.pickled_error_file).read_bytes())
        return failure
    return Path(trial.error_file).read_text() if trial.error_file else ""


def tune_report_callback() -> Any:
    """Return a Ray Train callback that forwards the reports of rank 0 to the Ray Tune trial.

    Call it in the trial's process. `TuneReportCallback` is a developer API.
    """
    from ray.tune.integration.ray_train import TuneReportCallback  # noqa: PLC0415

    return TuneReportCallback()
