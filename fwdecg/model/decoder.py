"""The recurrent decoder: from latents to the ECG, frame by frame.

Axes: B batch, T frame, L latent, D entry of the time embedding, S decoder state, G entry of the
LSTM's gates, E electrode.

One step: the attention on the state h_{t-1} gives the context c_t (Eq. 2-3); an LSTM cell takes
(c_t, l_t, e_t^d) to h_t; two linear layers take (h_t, y_{t-1}) to the prediction y_t. The
prediction does not enter the LSTM, so the states come first, and the read-out after them.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fwdecg.model.attention import AdditiveAttention, NoAttention
from fwdecg.model.attentive_lstm import InputTensors, WeightTensors, applies_to, attentive_lstm
from fwdecg.model.time_embedding import sinusoidal_embedding


class EcgDecoder(nn.Module):
    """LSTM with time-aware attention, free running: it is fed its own previous prediction.

    All that does not depend on the previous step is computed for all frames at once. The layers
    that are split for it are kept whole as parameters, in torch's own form and initialisation.
    """

    def __init__(
        self,
        *,
        latent_size: int,
        hidden_size: int,
        time_embedding_size: int,
        readout_size: int,
        electrodes: int,
        attention: bool = True,
    ) -> None:
        """Initialise from torch's global generator.

        Args:
            latent_size: L.
            hidden_size: S, also the size of the attention.
            time_embedding_size: D, even; 0 for no embedding.
            readout_size: width between the two linear layers.
            electrodes: E, all predicted at once.
            attention: False leaves out the context c_t.
        """
        super().__init__()
        self.time_embedding_size = time_embedding_size
        self.attention: AdditiveAttention | NoAttention = NoAttention()
        if attention:
            self.attention = AdditiveAttention(
                latent_size=latent_size,
                time_embedding_size=time_embedding_size,
                state_size=hidden_size,
                attention_size=hidden_size,
            )
        inputs = self.attention.context_size + latent_size + time_embedding_size
        self.cell = nn.LSTMCell(inputs, hidden_size)
        self.first_readout = nn.Linear(hidden_size + electrodes, readout_size)
        self.last_readout = nn.Linear(readout_size, electrodes)

    def forward(self, latents: Float[Tensor, "B T L"]) -> Float[Tensor, "B T E"]:
        """Standardised ECG; before the first frame the prediction is 0, the training mean."""
        return self._read_out(self._states(latents))

    def attention_weights(self, latents: Float[Tensor, "B T L"]) -> Float[Tensor, "B T T"]:
        """alpha_{t,i} of Eq. 3: how much the frame i (last axis) counts at the sample t."""
        _, weights = self._steps(latents)
        return torch.stack(weights, dim=1)

    def _states(self, latents: Float[Tensor, "B T L"]) -> Float[Tensor, "B T S"]:
        """Hidden states h_t of the LSTM."""
        if not (isinstance(self.attention, AdditiveAttention) and applies_to(latents)):
            return torch.stack(self._steps(latents)[0], dim=1)
        times = sinusoidal_embedding(latents.shape[1], self.time_embedding_size, like=latents)
        inputs = InputTensors(
            self._known_gates(latents, times), self.attention.keys(latents, times), latents
        )
        weights = WeightTensors(
            query=self.attention.W_a.weight,
            score=self.attention.V_a.weight.squeeze(0),
            context=self.cell.weight_ih[:, : self.attention.context_size],
            state=self.cell.weight_hh,
        )
        return attentive_lstm(inputs, weights)

    def _steps(
        self, latents: Float[Tensor, "B T L"]
    ) -> tuple[list[Float[Tensor, "B S"]], list[Float[Tensor, "B T"]]]:
        """The same by torch, one after the other, and the weights of the attention."""
        times = sinusoidal_embedding(latents.shape[1], self.time_embedding_size, like=latents)
        keys = self.attention.keys(latents, times)
        context_weight = self.cell.weight_ih[:, : self.attention.context_size]
        state = memory = latents.new_zeros(latents.shape[0], self.cell.hidden_size)
        states, looks = [], []
        for known in self._known_gates(latents, times).unbind(1):
            context, weights = self.attention(state, keys, latents)
            gates = torch.addmm(known, context, context_weight.T)
            gates = torch.addmm(gates, state, self.cell.weight_hh.T)
            admit, keep, candidate, expose = gates.chunk(4, dim=1)
            memory = keep.sigmoid() * memory + admit.sigmoid() * candidate.tanh()
            state = expose.sigmoid() * memory.tanh()
            states.append(state)
            looks.append(weights)
        return states, looks

    def _known_gates(
        self, latents: Float[Tensor, "B T L"], times: Float[Tensor, "T D"]
    ) -> Float[Tensor, "B T G"]:
        """What latents, times and biases add to the LSTM's gates, before activation."""
        sizes = (self.attention.context_size, latents.shape[2], times.shape[1])
        _, latent_weight, time_weight = self.cell.weight_ih.split(sizes, 1)
        bias = self.cell.bias_ih + self.cell.bias_hh
        return functional.linear(latents, latent_weight) + functional.linear(
            times, time_weight, bias
        )

    def _read_out(self, states: Float[Tensor, "B T S"]) -> Float[Tensor, "B T E"]:
        """Predictions y_t from h_t and y_{t-1}."""
        state_weight, feedback_weight = self.first_readout.weight.split(
            (states.shape[2], self.last_readout.out_features), dim=1
        )
        known = functional.linear(states, state_weight, self.first_readout.bias)
        prediction = states.new_zeros(states.shape[0], self.last_readout.out_features)
        predictions = []
        for of_state in known.unbind(1):
            hidden = torch.relu(torch.addmm(of_state, prediction, feedback_weight.T))
            prediction = self.last_readout(hidden)
            predictions.append(prediction)
        return torch.stack(predictions, dim=1)
