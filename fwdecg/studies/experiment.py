"""A preset: the configurations of all stages and studies, and where each leaves its result."""

from dataclasses import dataclass
from pathlib import Path

from fwdecg.config import setting
from fwdecg.errors import ConfigError
from fwdecg.evaluation.config import EvaluationConfig
from fwdecg.library.config import LibraryConfig
from fwdecg.model.config import SurrogateConfig
from fwdecg.storage import Store
from fwdecg.studies.variants import AblationConfig, Recipe
from fwdecg.training.config import TrainingConfig
from fwdecg.training.midline import require_midline


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

    def __post_init__(self) -> None:
        """Check what no single section can: paths, and whether mirrored cases keep their ECG."""
        for section in (self.results, self.training, self.evaluation, self.ablation):
            if "://" in section.path:
                raise ConfigError(
                    f"path {section.path}: must be a folder that all nodes see; only library.path "
                    "can be a URI"
                )
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

    def _folder(self, chosen: str, name: str) -> Path:
        return Path(chosen or Path(self.results.path) / name).expanduser().absolute()
