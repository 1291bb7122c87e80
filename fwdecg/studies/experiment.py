"""A preset: the configurations of all stages, and where each leaves its result."""

from dataclasses import dataclass
from pathlib import Path

from fwdecg.config import setting
from fwdecg.evaluation.config import EvaluationConfig
from fwdecg.library.config import LibraryConfig
from fwdecg.model import SurrogateConfig
from fwdecg.training.config import TrainingConfig


@dataclass(frozen=True, kw_only=True)
class ResultsConfig:
    """Where results lie."""

    path: str = setting("results", "folder of all results", identity=False)


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """One TOML preset: a library, a surrogate trained on it, and its evaluation."""

    results: ResultsConfig = setting(ResultsConfig)
    library: LibraryConfig = setting(LibraryConfig)
    model: SurrogateConfig = setting(SurrogateConfig)
    training: TrainingConfig = setting(TrainingConfig)
    evaluation: EvaluationConfig = setting(EvaluationConfig)

    @property
    def library_folder(self) -> Path:
        """Folder of the library."""
        return self._folder(self.library.path, "library")

    @property
    def training_folder(self) -> Path:
        """Folder of the training."""
        return self._folder(self.training.path, "training")

    @property
    def evaluation_folder(self) -> Path:
        """Folder of the evaluation."""
        return self._folder(self.evaluation.path, "evaluation")

    def _folder(self, chosen: str, name: str) -> Path:
        return Path(chosen or Path(self.results.path) / name).absolute()
