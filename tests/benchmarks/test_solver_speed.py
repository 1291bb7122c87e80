import pytest

from fwdecg.benchmarks import solver_speed
from fwdecg.errors import ConfigError
from fwdecg.physics.monodomain import PLAIN


@pytest.fixture
def peer(tmp_path):
    """Takes the place of a Python with Finitewave: answers each line with what it was made for."""

    def make(answer):
        path = tmp_path / "python"
        path.write_text(f"#!/bin/sh\n{answer}\n")
        path.chmod(0o755)
        return str(path)

    return make


def test_a_peer_is_asked_once_for_every_turn(peer, monkeypatch):
    asked = []
    monkeypatch.setattr(solver_speed, "step_seconds", lambda scheme: asked.append(scheme) or 0.16)
    monkeypatch.setattr(solver_speed, "two_processes_over_one", lambda turns: 1.9)
    monkeypatch.setattr(solver_speed, "LIMITS", {"fma_gflop_per_s": lambda: 130.0})
    answers = "echo ready; while read -r line; do echo 1.6; done"
    found = solver_speed.solver_speed(3, peer(answers))
    assert found == {
        "plain_mnu_per_s": 1.0,
        "default_mnu_per_s": 1.0,
        "finitewave_mnu_per_s": pytest.approx(0.1),
        "fma_gflop_per_s": 130.0,
        "two_processes_over_one": 1.9,
    }
    assert len(asked) == 6


@pytest.mark.parametrize(
    ("answer", "message"),
    [("exit 1", "does not run Finitewave"), (None, "cannot be run")],
)
def test_a_peer_that_does_not_answer_is_refused(peer, tmp_path, answer, message):
    python = peer(answer) if answer else str(tmp_path / "missing")
    with pytest.raises(ConfigError, match=f"--finitewave .*: {message}"):
        solver_speed.solver_speed(1, python)


def test_a_step_takes_time(monkeypatch):
    monkeypatch.setattr(solver_speed, "STEPS", 4)
    assert 0 < solver_speed.step_seconds(PLAIN) < 10
