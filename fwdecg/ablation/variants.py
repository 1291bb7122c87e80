"""The variants of an ablation study: named edits of one configuration."""

import re
from dataclasses import dataclass, replace

from fwdecg.config import check_settings, identity_hash, setting, with_overrides
from fwdecg.errors import ConfigError
from fwdecg.training.recipe import Recipe

WHOLE = "full"  # the network without any edit

# Those of the paper's Fig. 3.
PAPER_VARIANTS = (
    "mean voltage: model.encoder=mean_voltage",
    "no attention: model.attention=false",
    "no time embedding: model.time_embedding_size=0",
    "no spectral loss: training.loss.spectral_weight=0",
)
_VARIANT = re.compile(r"(?P<name>\w[\w -]*): *(?P<edits>\S.*)")


@dataclass(frozen=True, kw_only=True)
class AblationConfig:
    """Which parts of the network and its training are tried without, and how often."""

    path: str = setting(
        "", "folder of the ablation study; default: ablation/ in results.path", identity=False
    )
    variants: tuple[str, ...] = setting(
        PAPER_VARIANTS,
        'each "name: key=value; key=value", keys of model and training; beside "full", the preset',
    )
    seeds: tuple[int, ...] = setting(
        (1, 2, 3), "training.seed of the trainings of each variant", at_least=0, at_most=2**63 - 1
    )
    epochs: int | None = setting(None, "of each training, in place of training.epochs", at_least=1)
    cpus_per_run: int = setting(
        1, "processors of each training, which run side by side", identity=False, at_least=1
    )
    gpus_per_run: float = setting(
        0.0, "GPUs of each training, or a share of one", identity=False, at_least=0
    )

    def __post_init__(self) -> None:
        """Check each value, and the form of the variants."""
        check_settings(self)
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"seeds = {list(self.seeds)}: must be one or more, each once")
        names = [WHOLE]
        for text in self.variants:
            match = _VARIANT.fullmatch(text)
            if match is None:
                raise ConfigError(
                    f"variants: {text!r} must read name: key=value, the name of letters, digits, "
                    "spaces and hyphens"
                )
            names.append(match["name"])
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"variants: {name} is there twice; give each another name")


def recipes(config: AblationConfig, whole: Recipe) -> dict[str, Recipe]:
    """The recipe of each variant by name, the whole network first; trained in one process each.

    Args:
        config: of the study.
        whole: what the variants are edits of.

    Raises:
        ConfigError: an edit is not acceptable, or a variant's edits change nothing.
    """
    epochs = whole.training.epochs if config.epochs is None else config.epochs
    base = replace(whole, training=replace(whole.training, epochs=epochs, workers=0))
    found = {WHOLE: base}
    for text in config.variants:
        name, _, edits = text.partition(":")
        found[name] = _variant(base, name, [edit.strip() for edit in edits.split(";")])
    return found


def _variant(base: Recipe, name: str, edits: list[str]) -> Recipe:
    try:
        variant = with_overrides(base, edits)
    except ConfigError as error:
        raise ConfigError(f"ablation.variants: {name}: {error}") from error
    seed = base.training.seed  # the study's own seeds come in its place
    if identity_hash(variant.with_seed(seed)) == identity_hash(base):
        raise ConfigError(
            f"ablation.variants: {name}: {'; '.join(edits)} changes nothing, it is so already; "
            "leave the variant out or edit another key"
        )
    return replace(variant, training=replace(variant.training, workers=0))
