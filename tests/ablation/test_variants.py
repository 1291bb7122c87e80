"""Variants are named edits of a recipe; edits that are invalid or change nothing are refused."""

import dataclasses

import pytest

from fwdecg.ablation.variants import AblationConfig, recipes
from fwdecg.errors import ConfigError
from fwdecg.model import SurrogateConfig
from fwdecg.training.recipe import Recipe
from fwdecg.training.training_config import TrainingConfig

FULL = Recipe(
    model=SurrogateConfig(hidden_size=8, channels=(2, 4)),
    training=TrainingConfig(epochs=7, workers=2, mirror=True),
)


def differing(first, second, prefix=""):
    """Dotted names and values of the fields of `second` that differ from `first`."""
    found = {}
    for field in dataclasses.fields(first):
        a, b = getattr(first, field.name), getattr(second, field.name)
        name = f"{prefix}{field.name}"
        if dataclasses.is_dataclass(a):
            found |= differing(a, b, f"{name}.")
        elif a != b:
            found[name] = b
    return found


def test_each_variant_of_the_paper_edits_one_key():
    found = recipes(AblationConfig(), FULL)
    full = found.pop("full")
    assert differing(FULL, full) == {"training.workers": 0}
    assert {name: differing(full, recipe) for name, recipe in found.items()} == {
        "mean voltage": {"model.encoder": "mean_voltage"},
        "no attention": {"model.attention": False},
        "no time embedding": {"model.time_embedding_size": 0},
        "no spectral loss": {"training.loss.spectral_weight": 0.0},
    }


def test_custom_variants_and_epochs():
    config = AblationConfig(
        variants=("bare: model.attention=false; model.channels=[1, 1]; training.workers=3",),
        epochs=2,
    )
    full, bare = recipes(config, FULL).values()
    assert full.training.epochs == 2
    assert differing(full, bare) == {"model.attention": False, "model.channels": (1, 1)}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"variants": ("model.attention=false",)}, "must read name: key=value"),
        ({"variants": ("a/b: model.attention=false",)}, "with a name of letters, digits"),
        ({"variants": ("full: model.attention=false",)}, "full occurs twice"),
        ({"variants": ("a: x=1", "a: x=2")}, "a occurs twice; give each another name"),
        ({"seeds": ()}, "must be one or more different numbers"),
        ({"seeds": (1, 1)}, "must be one or more different numbers"),
    ],
)
def test_bad_values_are_refused(change, words):
    with pytest.raises(ConfigError, match=words):
        AblationConfig(**change)


@pytest.mark.parametrize(
    ("edits", "words"),
    [
        ("model.atention=false", "a: unknown key model.atention"),
        ("training.mirror=true", "a: training.mirror=true changes nothing; remove the variant"),
        ("training.seed=5", "a: training.seed=5 changes nothing"),
        ("training.workers=5", "a: training.workers=5 changes nothing"),
    ],
)
def test_bad_edits_are_refused(edits, words):
    with pytest.raises(ConfigError, match=words):
        recipes(AblationConfig(variants=(f"a: {edits}",)), FULL)
