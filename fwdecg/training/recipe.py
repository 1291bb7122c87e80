"""A recipe: the settings of model and training, which a search or an ablation varies."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

from fwdecg.config import IDENTITY, from_tree, setting, to_tree
from fwdecg.errors import ConfigError
from fwdecg.model.surrogate_config import SurrogateConfig
from fwdecg.training.training_config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Configurations of the surrogate and of its training."""

    model: SurrogateConfig = setting(SurrogateConfig)
    training: TrainingConfig = setting(TrainingConfig)

    def with_seed(self, seed: int) -> "Recipe":
        """Return the recipe with another training seed."""
        return replace(self, training=replace(self.training, seed=seed))

    def with_settings(self, settings: Mapping[str, Any]) -> "Recipe":
        """Return the recipe with other values for some settings.

        Args:
            settings: values by dotted key, such as "training.loss.spectral_weight".

        Raises:
            ConfigError: a key does not exist or does not change the result of a training, or a
                value breaks its rule.
        """
        trees = {"model": to_tree(self.model), "training": to_tree(self.training)}
        for name, value in settings.items():
            section, _, key = name.partition(".")
            if section not in trees:
                raise ConfigError(f"{name}: must be a key of model or training")
            if key in _keys_outside_identity(getattr(self, section)):
                raise ConfigError(f"{name}: does not change the result of a training; leave it out")
            tree = trees[section]
            *outer, key = key.split(".")
            for part in outer:
                tree = tree.setdefault(part, {})
                if not isinstance(tree, dict):
                    raise ConfigError(f"{name}: {part} is not a section")
            tree[key] = value
        return Recipe(
            model=from_tree(SurrogateConfig, trees["model"], "model."),
            training=from_tree(TrainingConfig, trees["training"], "training."),
        )


def _keys_outside_identity(config: Any) -> set[str]:
    """Return the keys that do not change what a configuration produces, such as paths."""
    return {field.name for field in fields(config) if not field.metadata.get(IDENTITY, True)}
