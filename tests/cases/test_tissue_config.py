import pytest

from fwdecg.cases.tissue_config import TissueConfig
from fwdecg.errors import ConfigError


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"diffusivity_variation": 1.0}, "diffusivity_variation = 1.0: must be below 1"),
        *(
            (
                {f"{kind}_patch_size_mm": (0.01, 3.0)},
                rf"{kind}_patch_size_mm = \(0.01, 3.0\): must be at least 0.1",
            )
            for kind in ("small", "large", "shifted")
        ),
    ],
)
def test_invalid_variations_and_patches_are_refused(values, message):
    with pytest.raises(ConfigError, match=message):
        TissueConfig(**values)
