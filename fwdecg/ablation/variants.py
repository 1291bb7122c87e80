"""The variants of an ablation study: named edits of one recipe."""

import re
from dataclasses import dataclass, replace

from fwdecg.config import Configuration, identity_hash, setting, with_overrides
from fwdecg.errors import ConfigError
from fwdecg.training.recipe import Recipe

FULL = "full"  # name of the network without edits

# The variants in Fig. 3 of the paper.
PAPER_VARIANTS = (
    "mean voltage: model.encoder=mean_voltage",
    "no attention: model.attention=false",
    "no time embedding: model.time_embedding_size=0",
    "no spectral loss: training.loss.spectral_weight=0",
)
_VARIANT = re.compile(r"(?P<name>\w[\w -]*): *(?P<edits>\S.*)")


@dataclass(frozen=True, kw_only=True)
class AblationConfig(Configuration):
    """Settings of an ablation study: its variants and their trainings."""

    path: str = setting(
        "", "folder of the ablation study; default: ablation/ in results.path", identity=False
    )
    variants: tuple[str, ...] = setting(
        PAPER_VARIANTS,
        'edits of model and training, each "name: key=value; key=value"; the unedited preset, '
        '"full", is always included',
    )
    seeds: tuple[int, ...] = setting(
        (1, 2, 3), "training.seed of the trainings of each variant", at_least=0, at_most=2**63 - 1
    )
    epochs: int | None = setting(
        None, "epochs of each training; default: training.epochs", at_least=1
    )
    cpus_per_run: int = setting(
        1, "CPUs of each training; trainings run in parallel", identity=False, at_least=1
    )
    gpus_per_run: float = setting(
        0.0, "GPUs of each training; may be a fraction", identity=False, at_least=0
    )

    def __post_init__(self) -> None:
        """Check each value and the form of the variants."""
        super().__post_init__()
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ConfigError(f"seeds = {list(self.seeds)}: must be one or more different numbers")
        names = [FULL]
        for text in self.variants:
            match = _VARIANT.fullmatch(text)
            if match is None:
                raise ConfigError(
                    f"variants: {text!r} must read name: key=value, with a name of letters, "
                    "digits, spaces and hyphens"
                )
            names.append(match["name"])
        for name in names:
            if names.count(name) > 1:
                raise ConfigError(f"variants: {name} occurs twice; give each another name")


def recipes(config: AblationConfig, full: Recipe) -> dict[str, Recipe]:
    """Return the recipe of each variant by name, the full network first.

    Every recipe trains in a single process, whatever the number of workers in `full`.

    Args:
        config: settings of the study.
        full: recipe that the variants edit.

    Raises:
        ConfigError: an edit is not acceptable, or the edits of a variant change nothing.
    """
    epochs = full.training.epochs if config.epochs is None else config.epochs
    base = replace(full, training=replace(full.training, epochs=epochs, workers=0))
    found = {FULL: base}
    for text in config.variants:
        name, _, edits = text.partition(":")
        found[name] = _edited(base, name, [edit.strip() for edit in edits.split(";")])
    return found


def _edited(base: Recipe, name: str, edits: list[str]) -> Recipe:
    try:
        variant = with_overrides(base, edits)
    except ConfigError as error:
        raise ConfigError(f"ablation.variants: {name}: {error}") from error
    seed = base.training.seed  # an edited seed has no effect, because the study sets its own seeds
    if identity_hash(variant.with_seed(seed)) == identity_hash(base):
        raise ConfigError(
            f"ablation.variants: {name}: {'; '.join(edits)} changes nothing; remove the variant or "
            "edit another key"
        )
    return replace(variant, training=replace(variant.training, workers=0))
