"""The configuration of the surrogate, to be read and checked without torch."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from fwdecg.config import check_settings, setting
from fwdecg.errors import ConfigError

if TYPE_CHECKING:
    import fwdecg.model.standardise
    import fwdecg.model.surrogate

DIPOLES, CNN, MEAN_VOLTAGE = "dipoles", "cnn", "mean_voltage"


@dataclass(frozen=True, kw_only=True)
class SurrogateConfig:
    """Sizes of the surrogate, which the paper leaves open, and which of its parts are there."""

    hidden_size: int = setting(128, "size of latent, LSTM state and attention", at_least=1)
    encoder: str = setting(
        DIPOLES,
        "what makes a map's latent: dipoles, the current dipoles read off the maps; cnn, two "
        "blocks of convolution; or mean_voltage, a single number",
        choices=(DIPOLES, CNN, MEAN_VOLTAGE),
    )
    channels: tuple[int, int] = setting((16, 32), "channels of the CNN's two blocks", at_least=1)
    pooled_size: int = setting(8, "side of the grid that maps are pooled to", at_least=1)
    time_embedding_size: int = setting(
        16, "sines and cosines of the frame number, 0 to leave them out", at_least=0
    )
    readout_size: int = setting(64, "width between the two read-out layers", at_least=1)
    dropout: float = setting(
        0.0,
        "share dropped of the latents' entries, or of the activations after a CNN's block; of "
        "mean_voltage nothing is dropped",
        at_least=0,
        below=1,
    )
    changes: bool = setting(
        True,
        "whether the CNN sees with each frame the change since the one before and to the next",
    )
    attention: bool = setting(True, "whether the decoder looks at all frames, or at its own alone")

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigError: a value breaks its rule.
        """
        check_settings(self)
        if self.time_embedding_size % 2:
            raise ConfigError(
                f"time_embedding_size = {self.time_embedding_size}: must be even; each frequency "
                "takes a sine and a cosine"
            )

    def build(
        self, *, electrodes: int, standardisation: "fwdecg.model.standardise.Standardisation"
    ) -> "fwdecg.model.surrogate.Surrogate":
        """An untrained surrogate, drawn from torch's global generator, which the caller seeds.

        Args:
            electrodes: number of ECG channels.
            standardisation: statistics of the library's training split.

        Raises:
            ConfigError: the statistics are of another number of electrodes.
        """
        from fwdecg.model.surrogate import build_surrogate  # noqa: PLC0415  # brings torch

        return build_surrogate(self, electrodes=electrodes, standardisation=standardisation)
