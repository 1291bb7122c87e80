"""A small recipe and search configuration for the tests of the search."""

import pytest
from ray import ObjectRef

from fwdecg.model import SurrogateConfig
from fwdecg.training.recipe import Recipe
from fwdecg.training.training_config import TrainingConfig
from fwdecg.tuning.trial import SearchContext
from fwdecg.tuning.trials import TrialFolders
from fwdecg.tuning.tuning_config import TuningConfig

SPACE = {
    "model.hidden_size": {"choice": [4, 8]},
    "training.learning_rate": {"loguniform": [1e-3, 1e-2]},
}


@pytest.fixture(scope="session")
def recipe():
    """A network that trains in a second."""
    return Recipe(
        model=SurrogateConfig(
            hidden_size=4, channels=(2, 2), pooled_size=2, time_embedding_size=4, readout_size=4
        ),
        training=TrainingConfig(epochs=4, batch_size=4, retries=1, precision="float32"),
    )


@pytest.fixture(scope="session")
def tuning_config():
    """The function that makes a configuration of four trials of up to four epochs."""

    def make(**values):
        return TuningConfig(**{"space": SPACE, "trials": 4, "grace_period": 1} | values)

    return make


@pytest.fixture
def folders(tmp_path):
    return TrialFolders(tmp_path)


@pytest.fixture
def context(small_library, recipe, tuning_config, folders):
    """The context of a search without Ray."""
    return SearchContext(
        library=small_library,
        recipe=recipe,
        tuning=tuning_config(),
        folders=folders,
        splits=ObjectRef.nil(),
    )
