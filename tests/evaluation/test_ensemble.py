"""Mean and standard deviation of an ensemble by hand; incompatible members are refused."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fwdecg.errors import CheckpointError
from fwdecg.evaluation.ensemble import Ensemble, Forecast, load_members


def test_mean_and_standard_deviation_by_hand():
    ecgs = np.array([1.0, 2.0, 6.0], np.float32).reshape(3, 1, 1, 1)
    forecast = Forecast.from_members(np.tile(ecgs, (1, 2, 1, 4)))
    np.testing.assert_array_equal(forecast.phi_e, np.full((2, 1, 4), 3.0))
    # ((1 - 3)^2 + (2 - 3)^2 + (6 - 3)^2) / 2 = 7
    assert forecast.phi_e_std is not None
    np.testing.assert_allclose(forecast.phi_e_std, np.full((2, 1, 4), 7**0.5), rtol=1e-6)


def test_a_single_member_has_no_standard_deviation(trained, cases):
    forecast = Ensemble([trained], 4).predict(cases.u)
    assert forecast.phi_e_std is None
    np.testing.assert_array_equal(forecast.phi_e, trained.predict(cases.u, batch_size=4))


@pytest.fixture
def paths(members, tmp_path):
    found = [str(tmp_path / f"{number}.safetensors") for number in range(len(members))]
    for path, member in zip(found, members, strict=True):
        member.save(Path(path))
    return found


def test_members_are_loaded_in_order(paths, members, cases):
    for loaded, member in zip(load_members(paths), members, strict=True):
        np.testing.assert_array_equal(loaded.predict(cases.u), member.predict(cases.u))


def test_duplicate_weights_are_refused(paths):
    with pytest.raises(CheckpointError, match=r"has the same weights as .*0.safetensors: members"):
        load_members([*paths, paths[0]])


def test_members_for_different_maps_are_refused(paths, members):
    signature = replace(members[2].signature, frames=21)
    replace(members[2], signature=signature).save(Path(paths[2]))
    with pytest.raises(CheckpointError, match=r"trained on frames = 21, .*0.safetensors on 20"):
        load_members(paths)
