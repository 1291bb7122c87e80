import pytest

from fwdecg.errors import ConfigError
from fwdecg.experiment.presets import load_preset
from fwdecg.experiment.reproduction import reproduce


def test_an_invalid_search_is_rejected_before_the_library_is_built(small_preset, tmp_path):
    results = tmp_path / "results"
    experiment = load_preset(small_preset, [f"results.path={results}", "tuning.space={}"])
    with pytest.raises(ConfigError, match=r"tuning\.space is empty"):
        reproduce(experiment, search=True)
    assert not results.exists()
