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
        tree = to_tree(self)
        for name, value in settings.items():
            if name.partition(".")[0] not in tree:
                raise ConfigError(f"{name}: must be a key of model or training")
            if name in self._keys_outside_identity():
                raise ConfigError(f"{name}: does not change the result of a training; leave it out")
            *sections, key = name.split(".")
            section = tree
            for part in sections:
                section = section.setdefault(part, {})
                if not isinstance(section, dict):
                    raise ConfigError(f"{name}: {part} is not a section")
            section[key] = value
        return from_tree(Recipe, tree)

    def _keys_outside_identity(self) -> set[str]:
        """Return the keys that do not change the result of a training, such as paths."""
        return {
            f"{section}.{field.name}"
            for section in ("model", "training")
            for field in fields(getattr(self, section))
            if not field.metadata.get(IDENTITY, True)
        }
