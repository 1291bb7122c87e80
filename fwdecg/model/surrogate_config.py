"""Configuration of the surrogate; reading and checking it needs no torch."""

from dataclasses import dataclass

from fwdecg.config import Configuration, setting
from fwdecg.errors import ConfigError

DIPOLES, CNN, MEAN_VOLTAGE = "dipoles", "cnn", "mean_voltage"
AVERAGE, MAXIMUM = "average", "maximum"


@dataclass(frozen=True, kw_only=True)
class SurrogateConfig(Configuration):
    """Sizes of the surrogate, which the paper does not specify, and choice of its parts."""

    hidden_size: int = setting(128, "size of latent, LSTM state and attention", at_least=1)
    encoder: str = setting(
        DIPOLES,
        "encoder of a map: dipoles, the current dipoles estimated from the maps; cnn, two "
        "convolution blocks; or mean_voltage, a single number",
        choices=(DIPOLES, CNN, MEAN_VOLTAGE),
    )
    channels: tuple[int, int] = setting((16, 32), "channels of the CNN's two blocks", at_least=1)
    pooling: str = setting(
        AVERAGE,
        "2 x 2 pooling of the CNN: average, before the normalisation; or maximum, after it",
        added=True,
        choices=(AVERAGE, MAXIMUM),
    )
    pooled_size: int = setting(8, "side of the grid that maps are pooled to", at_least=1)
    time_embedding_size: int = setting(
        16, "number of sines and cosines of the frame number; 0 for none", at_least=0
    )
    readout_size: int = setting(64, "width between the two read-out layers", at_least=1)
    dropout: float = setting(
        0.0,
        "fraction dropped of the latents' entries, or of the activations after each CNN block; no "
        "effect on mean_voltage",
        at_least=0,
        below=1,
    )
    changes: bool = setting(
        True,
        "whether the CNN's input includes the changes from the previous and to the next frame",
    )
    scaled: bool = setting(
        True,
        "whether the CNN's ECG is multiplied by the squared speed of the front, to which D is "
        "proportional; that of the dipoles always is",
        added=True,
    )
    attention: bool = setting(
        True, "whether the decoder attends to all frames instead of the current one alone"
    )

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            ConfigError: a value is not allowed.
        """
        super().__post_init__()
        if self.time_embedding_size % 2:
            raise ConfigError(
                f"time_embedding_size = {self.time_embedding_size}: must be even; each frequency "
                "takes a sine and a cosine"
            )
