"""Mean and spread of an ensemble, by hand; members that do not belong together."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fwdecg.errors import CheckpointError
from fwdecg.evaluation.ensemble import Ensemble, Forecast, load_members
from fwdecg.library.labelled_cases import LabelledCases
from fwdecg.training.trained_surrogate import TrainedSurrogate


def test_mean_and_spread_by_hand() -> None:
    ecgs = np.array([1.0, 2.0, 6.0], np.float32).reshape(3, 1, 1, 1)
    forecast = Forecast.of(np.tile(ecgs, (1, 2, 1, 4)))
    np.testing.assert_array_equal(forecast.phi_e, np.full((2, 1, 4), 3.0))
    # ((1 - 3)^2 + (2 - 3)^2 + (6 - 3)^2) / 2 = 7
    assert forecast.spread is not None
    np.testing.assert_allclose(forecast.spread, np.full((2, 1, 4), 7**0.5), rtol=1e-6)


def test_a_single_member_has_no_spread(trained: TrainedSurrogate, cases: LabelledCases) -> None:
    forecast = Ensemble.of([trained], 4).predict(cases.u)
    assert forecast.spread is None
    np.testing.assert_array_equal(forecast.phi_e, trained.predict(cases.u, batch_size=4))


def test_the_order_of_members_does_not_matter(
    members: list[TrainedSurrogate], cases: LabelledCases
) -> None:
    ahead, back = (Ensemble.of(order, 4).predict(cases.u) for order in (members, members[::-1]))
    np.testing.assert_allclose(ahead.phi_e, back.phi_e, rtol=1e-6)
    np.testing.assert_allclose(ahead.spread, back.spread, rtol=1e-5)


@pytest.fixture
def paths(members: list[TrainedSurrogate], tmp_path: Path) -> list[str]:
    found = [str(tmp_path / f"{number}.safetensors") for number in range(len(members))]
    for path, member in zip(found, members, strict=True):
        member.save(Path(path))
    return found


def test_members_are_loaded_in_their_order(
    paths: list[str], members: list[TrainedSurrogate], cases: LabelledCases
) -> None:
    for loaded, member in zip(load_members(paths), members, strict=True):
        np.testing.assert_array_equal(loaded.predict(cases.u), member.predict(cases.u))


def test_the_same_weights_twice_are_refused(paths: list[str]) -> None:
    with pytest.raises(CheckpointError, match=r"has the same weights as .*0.safetensors: members"):
        load_members([*paths, paths[0]])


def test_members_for_other_maps_are_refused(
    paths: list[str], members: list[TrainedSurrogate]
) -> None:
    signature = replace(members[2].signature, frames=21)
    replace(members[2], signature=signature).save(Path(paths[2]))
    with pytest.raises(CheckpointError, match=r"trained on frames = 21, .*0.safetensors on 20"):
        load_members(paths)
