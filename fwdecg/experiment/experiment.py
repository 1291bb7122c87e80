"""The configuration of an experiment: all stages and studies, and their result folders."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from fwdecg.ablation.variants import AblationConfig
from fwdecg.cases.library_config import LibraryConfig
from fwdecg.config import setting, to_toml, to_tree
from fwdecg.errors import ConfigError
from fwdecg.evaluation.evaluation_config import EvaluationConfig
from fwdecg.model.surrogate_config import SurrogateConfig
from fwdecg.runtime.storage import Store, absolute_path
from fwdecg.training.recipe import Recipe
from fwdecg.training.training_config import TrainingConfig, require_unchanged_ecg
from fwdecg.tuning.tuning_config import TuningConfig

Section = Literal["results", "library", "training", "evaluation", "ablation", "tuning"]


def _check_path(key: str, path: str) -> None:
    """Report a bad path before the first stage runs."""
    try:
        absolute_path(path)
    except ConfigError as error:
        raise ConfigError(f"{key} = {error}") from error


@dataclass(frozen=True, kw_only=True)
class ResultsConfig:
    """Location of the results."""

    path: str = setting("results", "folder of all results", identity=False)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """Content of a preset: a library, a surrogate trained on it, its evaluation, and studies."""

    results: ResultsConfig = setting(ResultsConfig)
    library: LibraryConfig = setting(LibraryConfig)
    model: SurrogateConfig = setting(SurrogateConfig)
    training: TrainingConfig = setting(TrainingConfig)
    evaluation: EvaluationConfig = setting(EvaluationConfig)
    ablation: AblationConfig = setting(AblationConfig)
    tuning: TuningConfig = setting(TuningConfig)

    def __post_init__(self) -> None:
        """Check the paths."""
        for name in ("results", "library", "training", "evaluation", "ablation", "tuning"):
            path = getattr(self, name).path
            if "://" not in path:
                _check_path(f"{name}.path", path)
            elif name != "library":
                raise ConfigError(
                    f"{name}.path = {path}: must be a folder that all nodes see; only library.path "
                    "can be a URI"
                )

    def require_trainable(self) -> None:
        """Raise ConfigError if training would mirror or turn cases whose ECG changes with it.

        Jobs check it before the first stage runs; the simulation of single cases has no need to.
        """
        require_unchanged_ecg(self.training, self.library)

    @property
    def library_store(self) -> Store:
        """Store of the library."""
        if "://" in self.library.path:
            return Store.at(self.library.path)
        return Store.at(self.folder("library"))

    @property
    def recipe(self) -> Recipe:
        """Model and training settings."""
        return Recipe(model=self.model, training=self.training)

    def folder(self, section: Section) -> Path:
        """Return the folder of all results, or the result folder of another section."""
        name = "" if section == "results" else section
        return absolute_path(getattr(self, section).path or Path(self.results.path) / name)

    def retraining_preset(self, library: LibraryConfig, recipe: Recipe, results: Path) -> str:
        """Return the text of a preset that trains another recipe on this preset's library.

        Args:
            library: configuration that the library was built with.
            recipe: settings to train with, except for the number of workers, which this preset
                determines.
            results: folder of all results of the new preset.
        """
        store = self.library_store
        preset = replace(
            self,
            results=ResultsConfig(path=str(results)),
            library=replace(library, path=str(store.folder or store.root)),
            model=recipe.model,
            training=replace(recipe.training, path="", workers=self.training.workers),
            evaluation=replace(self.evaluation, path=""),
            ablation=replace(self.ablation, path=""),
            tuning=TuningConfig(),
        )
        tree = to_tree(preset)
        del tree["tuning"]
        return to_toml(tree)
