import pickle
from dataclasses import replace

import pytest
import torch
from synthetic import plan, waves

from fwdecg.errors import CheckpointError
from fwdecg.training.checkpoint import TrainedSurrogate, load_surrogate


@pytest.fixture
def trained():
    made = plan()
    surrogate = made.model.build(electrodes=1, standardisation=made.standardisation)
    return TrainedSurrogate(
        state=surrogate.state_dict(),
        config=made.model,
        standardisation=made.standardisation,
        signature=made.signature,
        epoch=7,
    )


def test_a_checkpoint_predicts_as_the_surrogate_did(trained, tmp_path):
    trained.save(tmp_path / "best.pt")
    loaded = load_surrogate(tmp_path / "best.pt")
    u = waves(2, seed=0).u
    assert torch.equal(loaded.build().predict(u), trained.build().predict(u))
    assert loaded.signature == trained.signature
    assert loaded.config == trained.config
    assert loaded.epoch == 7


class Malicious:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code was run')",))


def damage_missing(path):
    path.unlink()


def damage_cut(path):
    path.write_bytes(path.read_bytes()[:1000])


def damage_text(path):
    path.write_text("not a checkpoint")


def damage_other(path):
    torch.save({"weights": torch.zeros(3)}, path)


def damage_malicious(path):
    path.write_bytes(pickle.dumps(Malicious()))


def damage_malicious_inside(path):
    torch.save({"format": Malicious()}, path)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_missing, "no such checkpoint; train one with jobs/train.py"),
        (damage_cut, "cannot be read as a checkpoint"),
        (damage_text, "cannot be read as a checkpoint"),
        (damage_other, "is not a surrogate's checkpoint; give a best.pt or last.pt"),
        (damage_malicious, "cannot be read as a checkpoint"),
        (damage_malicious_inside, "cannot be read as a checkpoint"),
    ],
)
def test_what_is_no_checkpoint_is_refused_in_one_line(trained, tmp_path, damage, message):
    path = tmp_path / "best.pt"
    trained.save(path)
    damage(path)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_surrogate(path)
    assert "\n" not in str(caught.value)


def test_weights_of_another_shape_are_refused(trained, tmp_path):
    larger = replace(trained, config=replace(trained.config, hidden_size=32))
    larger.save(tmp_path / "best.pt")
    with pytest.raises(CheckpointError, match="is not consistent"):
        load_surrogate(tmp_path / "best.pt")
