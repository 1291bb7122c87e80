"""A preset: the configurations of all stages and studies, and where each leaves its result."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from fwdecg.ablation.variants import AblationConfig
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.config import setting
from fwdecg.errors import ConfigError
from fwdecg.evaluation.evaluation_config import EvaluationConfig
from fwdecg.model.surrogate_config import SurrogateConfig
from fwdecg.runtime.storage import Store, absolute_path
from fwdecg.training.midline import require_midline
from fwdecg.training.recipe import Recipe
from fwdecg.training.training_config import TrainingConfig
from fwdecg.tuning.tuning_config import TuningConfig


@dataclass(frozen=True, kw_only=True)
class ResultsConfig:
    """Where results lie."""

    path: str = setting("results", "folder of all results", identity=False)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One TOML preset: a library, a surrogate trained on it, its evaluation, and studies of it."""

    results: ResultsConfig = setting(ResultsConfig)
    library: LibraryConfig = setting(LibraryConfig)
    model: SurrogateConfig = setting(SurrogateConfig)
    training: TrainingConfig = setting(TrainingConfig)
    evaluation: EvaluationConfig = setting(EvaluationConfig)
    ablation: AblationConfig = setting(AblationConfig)
    tuning: TuningConfig = setting(TuningConfig)

    def __post_init__(self) -> None:
        """Check what no single section can: paths, and whether mirrored cases keep their ECG."""
        for section in (self.results, self.training, self.evaluation, self.ablation, self.tuning):
            if "://" in section.path:
                raise ConfigError(
                    f"path {section.path}: must be a folder that all nodes see; only library.path "
                    "can be a URI"
                )
            absolute_path(section.path)  # refused now, not when the stages before are done
        if "://" not in self.library.path:
            absolute_path(self.library.path)
        if self.training.mirror:
            require_midline(self.library)

    @property
    def results_folder(self) -> Path:
        """Folder of all results."""
        return self._folder(self.results.path, "")

    @property
    def library_store(self) -> Store:
        """Where the library is."""
        if "://" in self.library.path:
            return Store.at(self.library.path)
        return Store.at(self._folder(self.library.path, "library"))

    @property
    def training_folder(self) -> Path:
        """Folder of the training."""
        return self._folder(self.training.path, "training")

    @property
    def evaluation_folder(self) -> Path:
        """Folder of the evaluation."""
        return self._folder(self.evaluation.path, "evaluation")

    @property
    def ablation_folder(self) -> Path:
        """Folder of the ablation study."""
        return self._folder(self.ablation.path, "ablation")

    @property
    def recipe(self) -> Recipe:
        """The network and how it is trained."""
        return Recipe(model=self.model, training=self.training)

    @property
    def tuning_folder(self) -> Path:
        """Folder of the hyperparameter search."""
        return self._folder(self.tuning.path, "tuning")

    def with_settings(self, settings: Mapping[str, Any]) -> "Experiment":
        """This experiment with other values of some keys of model and training, by dotted name.

        Raises:
            ConfigError: there is no such key, it does not change what is trained, or its value is
                not acceptable.
        """
        changed = self.recipe.with_settings(settings)
        return replace(self, model=changed.model, training=changed.training)

    def _folder(self, chosen: str, name: str) -> Path:
        return absolute_path(chosen or Path(self.results.path) / name)
