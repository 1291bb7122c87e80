"""The surrogate of the forward problem: voltage maps in, ECG out.

Axes: B batch, T frame, H row, W column, L latent, E electrode.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fwdecg.errors import ConfigError, MapsError
from fwdecg.model.decoder import EcgDecoder
from fwdecg.model.dipoles import DipoleEncoder
from fwdecg.model.encoder import (
    SMALLEST_SIDE,
    Encoded,
    FrameEncoder,
    MeanVoltage,
    ScalingEncoder,
    without_autocast,
)
from fwdecg.model.standardise import Standardisation, ZScore
from fwdecg.model.surrogate_config import CNN, MEAN_VOLTAGE, SurrogateConfig

Encoder = DipoleEncoder | FrameEncoder | MeanVoltage


class Surrogate(nn.Module):
    """Encoder of voltage maps, followed by a decoder that returns the z-score of the ECG.

    Maps may have any number of frames, and any number of rows and columns of at least 4.
    """

    def __init__(self, encoder: Encoder, decoder: EcgDecoder, *, phi_e_score: ZScore) -> None:
        """Combine matching parts; `build_surrogate` creates them from a configuration."""
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.phi_e_score = phi_e_score

    def fit_typical_speed(self, u: Float[Tensor, "B T H W"]) -> None:
        """Set the encoder's unit of speed from training maps, before the training."""
        if isinstance(self.encoder, ScalingEncoder):
            self.encoder.fit_typical_speed(u)

    @property
    def device(self) -> torch.device:
        """Device of the parameters."""
        return self.phi_e_score.mean.device

    def forward(self, u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T E"]:
        """Return the standardised ECG of dimensionless voltage maps in float16 or wider.

        Raises:
            MapsError: there are no frames, or the maps are too small for the encoder.
        """
        latents, amplitude = self._encode(u)
        # Full precision, because rounding errors of a recurrence grow from frame to frame.
        with without_autocast(u):
            return self.decoder(latents) * amplitude

    def _encode(self, u: Float[Tensor, "B T H W"]) -> Encoded:
        """Return the latents in the precision of the decoder, and the amplitude."""
        frames, *sides = u.shape[1:]
        if frames == 0 or min(sides) < SMALLEST_SIDE:
            raise MapsError(
                f"{frames} frames of {sides[0]} x {sides[1]}: must be at least one frame of "
                f"{SMALLEST_SIDE} x {SMALLEST_SIDE}; give maps on a finer grid"
            )
        latents, amplitude = self.encoder(u)
        return Encoded(latents.to(self.phi_e_score.mean.dtype), amplitude)

    def standardise_ecg(self, phi_e: Float[Tensor, "B T E"]) -> Float[Tensor, "B T E"]:
        """Return the z-score of an ECG in the library's unit: the training target of `forward`."""
        return self.phi_e_score(phi_e)

    @torch.no_grad()
    def predict(self, u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T E"]:
        """Return the ECG in the library's unit, without gradients; call `eval()` first.

        Raises:
            MapsError: see `forward`.
        """
        return self.phi_e_score.inverse(self(u))

    @torch.no_grad()
    def attend(self, u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T T"]:
        """Return attention weights (case, ECG sample, frame), without gradients; `eval()` first.

        The weights of a sample sum to 1. A surrogate without attention has weights of 0.

        Raises:
            MapsError: see `forward`.
        """
        return self.decoder.attention_weights(self._encode(u).latents)


def build_surrogate(
    config: SurrogateConfig, *, electrodes: int, standardisation: Standardisation
) -> Surrogate:
    """Return an untrained surrogate, initialised from torch's global generator.

    Args:
        config: sizes and parts of the surrogate.
        electrodes: number of ECG channels.
        standardisation: statistics of the library's training split.

    Raises:
        ConfigError: the statistics have another number of electrodes.
    """
    if electrodes != len(standardisation.phi_e_mean):
        raise ConfigError(
            f"electrodes = {electrodes}: must be {len(standardisation.phi_e_mean)}, as in the "
            "library's statistics"
        )
    encoder = _build_encoder(config, _z_score(standardisation.u_mean, standardisation.u_spread))
    decoder = EcgDecoder(
        latent_size=encoder.latent_size,
        hidden_size=config.hidden_size,
        time_embedding_size=config.time_embedding_size,
        readout_size=config.readout_size,
        electrodes=electrodes,
        attention=config.attention,
    )
    phi_e_score = _z_score(standardisation.phi_e_mean, standardisation.phi_e_spread)
    return Surrogate(encoder, decoder, phi_e_score=phi_e_score)


def _build_encoder(config: SurrogateConfig, u_score: ZScore) -> Encoder:
    if config.encoder == MEAN_VOLTAGE:
        return MeanVoltage(u_score)
    if config.encoder == CNN:
        return FrameEncoder(u_score, config)
    return DipoleEncoder(
        cells=config.pooled_size, latent_size=config.hidden_size, dropout=config.dropout
    )


def _z_score(mean: float | tuple[float, ...], spread: float | tuple[float, ...]) -> ZScore:
    return ZScore(torch.tensor(mean), torch.tensor(spread))
