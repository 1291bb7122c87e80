"""Table of inputs that fwdecg refuses: each with the one line that the user reads.

Inputs that need more than a line to set up are tested with their modules: libraries in
`library/test_reader.py`, maps in `library/test_map_files.py`, own tissues in
`cases/test_own_tissue.py`, standard output in `experiment/test_standard_output.py`.
"""

import shutil

import pytest

from fwdecg.cases.splits import assign_case
from fwdecg.errors import ConfigError, FwdEcgError, RunError
from fwdecg.experiment import command_line
from fwdecg.experiment.presets import jobs_folder, load_preset
from fwdecg.library.build import _require_every_condition
from fwdecg.library.manifest import count_cases
from fwdecg.runtime.storage import Store

PAPER = jobs_folder() / "paper.toml"
TISSUE = "library.tissue."
HEALTHY = f"{TISSUE}healthy_diffusivity_mm2_per_ms"

# --set of the preset of the paper, and the message.
SETTINGS = {
    # D in mm^2/s
    f"{HEALTHY}=[100, 120]": f"{HEALTHY}: at D = 120 mm^2/ms cells of 7.4 mm are wider than the "
    "stimulus of 2 mm; lower D (1 mm^2/s is 0.001 mm^2/ms), solver.spacing_mm or solver.cv_error",
    # more than the memory holds
    f"{HEALTHY}=[1e-12, 0.1]": f"{HEALTHY}: D = 1e-12 mm^2/ms on a sheet of 100 mm needs 2.2e+16 "
    "cells of 6.7e-07 mm: must be at most 1e+08; raise D, or lower tissue.size_mm",
    f"{TISSUE}size_mm=100000": f"{HEALTHY}: D = 0.09 mm^2/ms on a sheet of 100000 mm needs "
    "2.4e+11 cells of 0.2 mm: must be at most 1e+08; raise D, or lower tissue.size_mm",
    "library.recording.map_pixels=100000": "library.recording.map_pixels = 100000: 160 frames with "
    "the ECGs of 1 electrodes need 3.2e+03 GB per case: must be at most 4; lower map_pixels, "
    "duration_ms or the number of electrodes, or raise frame_interval_ms",
    f"library.cases={10**20}": f"library.cases = {10**20}: must be at most 1000000; lower it, or "
    "build several libraries that differ in seed",
    # integers beyond the range of floats
    f"library.case_time_limit_s={10**400}": "library.case_time_limit_s: is too large a number; "
    "lower it",
    f"library.recording.map_pixels=-{10**400}": "must be at least 8",
    # paths, each named once
    "training.path=s3://bucket/x": "training.path = s3://bucket/x: must be a folder that all nodes "
    "see; only library.path can be a URI",
    "results.path=~nobody_/x": "results.path = ~nobody_/x: must start with an existing home "
    "folder; give the whole path",
}


@pytest.mark.parametrize("override", SETTINGS)
def test_settings(override):
    with pytest.raises(ConfigError) as refused:
        load_preset(PAPER, [override])
    message = str(refused.value)
    assert message.endswith(SETTINGS[override])
    assert "\n" not in message


@pytest.mark.parametrize("preset", sorted(jobs_folder().glob("*.toml")), ids=lambda p: p.stem)
def test_the_presets_are_accepted(preset):
    load_preset(preset)


# Errors of `ray.init`, and the message.
CLUSTERS = {
    "AF_UNIX path length cannot exceed 107 bytes: /long": "too long for the paths of Ray's "
    "sockets, which may have 107 bytes; set RAY_TMPDIR to a short path, such as /tmp",
    "The current node timed out\nduring startup.": "Ray's local cluster did not start (The current "
    "node timed out during startup.); run the same command again when the machine is less busy",
}


@pytest.mark.parametrize("problem", CLUSTERS)
def test_a_local_cluster_that_does_not_start(problem, monkeypatch):
    def init(**_):
        raise Exception(problem)  # noqa: TRY002  # as Ray does

    for name in command_line.LOCAL_ENVIRONMENT:
        monkeypatch.setenv(name, "")  # restored after the test
    monkeypatch.setattr(command_line, "bind_to_loopback", lambda: None)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr("ray.init", init)
    monkeypatch.setattr("ray.shutdown", lambda: None)  # other tests may use a cluster
    with pytest.raises(FwdEcgError) as refused:
        command_line.connect_to_ray()
    assert str(refused.value).endswith(CLUSTERS[problem])


# I/O errors that reach a job, and the message.
IO_ERRORS = [
    (OSError(28, "No space left on device", "/x/u.npy"), "/x/u.npy: No space left on device"),
    (OSError(28, "No space left on device"), "storage: No space left on device"),
    (OSError("the server\nis away"), "storage: the server is away"),
    (
        shutil.Error([("/a", "/b", "[Errno 28] No space left on device")]),
        "/b: [Errno 28] No space left on device",
    ),
]


@pytest.mark.parametrize(("error", "message"), IO_ERRORS)
def test_io_errors(error, message, capsys):
    def job():
        raise error

    with pytest.raises(SystemExit) as ended:
        command_line.run_job(job)
    assert ended.value.code == 1
    assert capsys.readouterr().err == f"error: {message}\n"


def test_a_library_that_lost_a_condition(tmp_path):
    """The last line of a build names each condition that lost all its cases; the exit code is 1."""
    lost = ("gap_junction", "combined")
    failed = [case for case in range(20) if assign_case(case, ()).condition.name in lost]
    usable = [case for case in range(20) if case not in failed]
    manifest = {"counts": count_cases(usable, failed, ())}
    message = "every case of gap_junction, combined is quarantined; see the reasons in .*/quarant"
    with pytest.raises(RunError, match=message):
        _require_every_condition(manifest, Store.at(tmp_path))
    one_left = {"counts": count_cases([*usable, *failed[:6]], failed[6:], ())}
    _require_every_condition(one_left, Store.at(tmp_path))


def test_outputs_may_lie_in_the_home_folder(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "ecg.parquet").touch()
    folder = load_preset(PAPER, ["results.path=~/x"]).folder("training")
    assert folder == tmp_path / "x/training"
    arguments = ["predict.py", "none", "none.npy", "~/ecg.parquet"]
    monkeypatch.setattr("sys.argv", arguments)
    with pytest.raises(SystemExit) as ended:
        exec((jobs_folder() / "predict.py").read_text(), {"__name__": "__main__", "__doc__": ""})
    assert ended.value.code == 2
    assert f"error: {tmp_path}/ecg.parquet" in capsys.readouterr().err
