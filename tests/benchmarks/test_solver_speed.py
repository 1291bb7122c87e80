import pytest

from fwdecg.benchmarks import solver_speed
from fwdecg.errors import ConfigError
from fwdecg.physics.monodomain import PLAIN


@pytest.fixture
def finitewave_python(tmp_path):
    """Return a function that writes a shell script to use in place of a Python with Finitewave."""

    def write(script):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)
        return str(path)

    return write


def test_every_solver_is_timed_once_per_round(finitewave_python, monkeypatch):
    timed = []
    measured = lambda scheme: timed.append(scheme) or 1.0  # noqa: E731
    monkeypatch.setattr(solver_speed, "million_updates_per_s", measured)
    monkeypatch.setattr(solver_speed, "two_processes_over_one", lambda rounds: 1.9)
    monkeypatch.setattr(solver_speed, "ecg_ms_per_frame", lambda: 0.03)
    monkeypatch.setattr(solver_speed, "MACHINE_LIMITS", {"fma_gflop_per_s": lambda: 130.0})
    script = "echo ready; while read -r line; do echo 0.1; done"
    assert solver_speed.solver_speed(3, finitewave_python(script)) == {
        "plain_mnu_per_s": 1.0,
        "default_mnu_per_s": 1.0,
        "ecg_ms_per_frame": 0.03,
        "finitewave_mnu_per_s": 0.1,
        "fma_gflop_per_s": 130.0,
        "two_processes_over_one": 1.9,
    }
    assert len(timed) == 6


@pytest.mark.parametrize(
    ("script", "message"),
    [("exit 1", "does not run Finitewave"), (None, "cannot be run")],
)
def test_an_interpreter_without_finitewave_is_rejected(
    finitewave_python, tmp_path, script, message
):
    python = finitewave_python(script) if script else str(tmp_path / "missing")
    with pytest.raises(ConfigError, match=f"--finitewave .*: {message}"):
        solver_speed.solver_speed(1, python)


def test_every_measurement_is_positive(monkeypatch):
    monkeypatch.setattr(solver_speed, "STEPS", 4)
    monkeypatch.setattr(solver_speed, "MULTIPLY_ADD_PASSES", 100)
    assert solver_speed.million_updates_per_s(PLAIN) > 0.1
    assert 0 < solver_speed.ecg_ms_per_frame() < 1000
    assert solver_speed.multiply_add_rate() > 0.1
    assert solver_speed.triad_rate(2**24) > 0.01
