"""The surrogate of the forward problem: voltage maps in, ECG out.

Axes: B batch, T frame, H row, W column, L latent, E electrode.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn

from fwdecg.errors import ConfigError, MapsError
from fwdecg.model.autocast import unrounded
from fwdecg.model.decoder import EcgDecoder
from fwdecg.model.dipoles import DipoleEncoder
from fwdecg.model.encoded import Encoded
from fwdecg.model.encoder import SMALLEST_SIDE, FrameEncoder
from fwdecg.model.mean_voltage import MeanVoltage
from fwdecg.model.standardise import Standardisation, Standardise
from fwdecg.model.surrogate_config import CNN, MEAN_VOLTAGE, SurrogateConfig

Encoder = DipoleEncoder | FrameEncoder | MeanVoltage


class Surrogate(nn.Module):
    """An encoder, and a decoder to the z-score of the ECG.

    Maps may have any number of frames, and of rows and columns from 4 on.
    """

    def __init__(
        self,
        encoder: Encoder,
        decoder: EcgDecoder,
        *,
        phi_e_score: Standardise,
    ) -> None:
        """Join the parts; `SurrogateConfig.build` makes them to fit."""
        super().__init__()
        self.encoder = encoder
        self.decoder = decoder
        self.phi_e_score = phi_e_score

    def calibrate(self, u: Float[Tensor, "B T H W"]) -> None:
        """Fit what is not learnt by gradients to some maps of the training split, before it."""
        if isinstance(self.encoder, DipoleEncoder):
            self.encoder.calibrate(u)

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return self.phi_e_score.mean.device

    def forward(self, u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T E"]:
        """Standardised ECG of dimensionless voltage maps in float16 or wider.

        Raises:
            MapsError: there are no frames, or the maps are too small for the encoder.
        """
        latents, amplitude = self._encode(u)
        # Rounding errors of a recurrence grow from frame to frame.
        with unrounded(u):
            return self.decoder(latents) * amplitude

    def _encode(self, u: Float[Tensor, "B T H W"]) -> Encoded:
        """Latents in the precision of the decoder, and the unit that it decodes in."""
        frames, *sides = u.shape[1:]
        if frames == 0 or min(sides) < SMALLEST_SIDE:
            raise MapsError(
                f"{frames} frames of {sides[0]} x {sides[1]}: must be at least one frame of "
                f"{SMALLEST_SIDE} x {SMALLEST_SIDE}; give maps on a finer grid"
            )
        latents, amplitude = self.encoder(u)
        return Encoded(latents.to(self.phi_e_score.mean.dtype), amplitude)

    def standardise_ecg(self, phi_e: Float[Tensor, "B T E"]) -> Float[Tensor, "B T E"]:
        """z-score of an ECG in the library's unit: the target that `forward` is trained on."""
        return self.phi_e_score(phi_e)

    @torch.no_grad()
    def predict(self, u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T E"]:
        """ECG in the library's unit, without gradients; call `eval()` before it.

        Raises:
            MapsError: as `forward`.
        """
        return self.phi_e_score.inverse(self(u))

    @torch.no_grad()
    def attend(self, u: Float[Tensor, "B T H W"]) -> Float[Tensor, "B T T"]:
        """Attention weights (case, ECG sample, frame), without gradients; `eval()` before it.

        The weights of a sample sum to 1; without attention all are 0.

        Raises:
            MapsError: as `forward`.
        """
        return self.decoder.attention_weights(self._encode(u).latents)


def build_surrogate(
    config: SurrogateConfig, *, electrodes: int, standardisation: Standardisation
) -> Surrogate:
    """As `SurrogateConfig.build`."""
    if electrodes != len(standardisation.phi_e_mean):
        raise ConfigError(
            f"electrodes = {electrodes}: must be {len(standardisation.phi_e_mean)}, as in the "
            "library's statistics"
        )
    encoder = _encoder(config, _standardise(standardisation.u_mean, standardisation.u_spread))
    decoder = EcgDecoder(
        latent_size=encoder.latent_size,
        hidden_size=config.hidden_size,
        time_embedding_size=config.time_embedding_size,
        readout_size=config.readout_size,
        electrodes=electrodes,
        attention=config.attention,
    )
    phi_e_score = _standardise(standardisation.phi_e_mean, standardisation.phi_e_spread)
    return Surrogate(encoder, decoder, phi_e_score=phi_e_score)


def _encoder(config: SurrogateConfig, u_score: Standardise) -> Encoder:
    if config.encoder == MEAN_VOLTAGE:
        return MeanVoltage(u_score)
    if config.encoder == CNN:
        return FrameEncoder(
            u_score,
            channels=config.channels,
            pooled_size=config.pooled_size,
            latent_size=config.hidden_size,
            dropout=config.dropout,
            changes=config.changes,
        )
    return DipoleEncoder(
        cells=config.pooled_size, latent_size=config.hidden_size, dropout=config.dropout
    )


def _standardise(mean: float | tuple[float, ...], spread: float | tuple[float, ...]) -> Standardise:
    return Standardise(torch.tensor(mean), torch.tensor(spread))
