"""The recurrent decoder: from latents to the ECG, frame by frame.

Axes: B batch, T frame, L latent, D entry of the time embedding, S decoder state, G entry of the
LSTM's gates, E electrode.

In one step, the attention queried by the state h_{t-1} gives the context c_t (Eq. 2-3). An LSTM
cell maps (c_t, l_t, e_t^d) to h_t, and two linear layers map (h_t, y_{t-1}) to the prediction y_t.
The LSTM does not receive predictions, so all states are computed before the first prediction.
"""

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from fwdecg.model.attention import AdditiveAttention, NoAttention, sinusoidal_embedding
from fwdecg.model.attentive_lstm import InputTensors, WeightTensors, attentive_lstm
from fwdecg.model.cpu_kernels import kernels_support


class EcgDecoder(nn.Module):
    """LSTM with time-aware attention, and a read-out that receives its previous prediction.

    Everything that does not depend on the previous step is computed for all frames at once. For
    this, the weights of the layers are split during the forward pass. The parameters keep torch's
    own shapes and initialisation.
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
            latent_size: size L of a latent vector.
            hidden_size: size S of the state and of the attention.
            time_embedding_size: size D of the time embedding, even; 0 for no embedding.
            readout_size: width between the two linear layers.
            electrodes: number E of electrodes, which are predicted together.
            attention: whether to use attention; without it, there is no context c_t.
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
        """Return the standardised ECG; the first frame's previous prediction is 0, the mean."""
        return self._read_out(self._states(latents))

    def attention_weights(self, latents: Float[Tensor, "B T L"]) -> Float[Tensor, "B T T"]:
        """Return alpha_{t,i} of Eq. 3: the weight of frame i (last axis) for sample t."""
        _, weights = self._torch_steps(latents)
        return torch.stack(weights, dim=1)

    def _states(self, latents: Float[Tensor, "B T L"]) -> Float[Tensor, "B T S"]:
        """Return the hidden states h_t of the LSTM."""
        if not (
            isinstance(self.attention, AdditiveAttention)
            and kernels_support(latents, torch.float32)
        ):
            return torch.stack(self._torch_steps(latents)[0], dim=1)
        times = sinusoidal_embedding(latents.shape[1], self.time_embedding_size, like=latents)
        inputs = InputTensors(
            self._gate_inputs(latents, times), self.attention.keys(latents, times), latents
        )
        weights = WeightTensors(
            query=self.attention.W_a.weight,
            score=self.attention.V_a.weight.squeeze(0),
            context=self.cell.weight_ih[:, : self.attention.context_size],
            state=self.cell.weight_hh,
        )
        return attentive_lstm(inputs, weights)

    def _torch_steps(
        self, latents: Float[Tensor, "B T L"]
    ) -> tuple[list[Float[Tensor, "B S"]], list[Float[Tensor, "B T"]]]:
        """Return states and attention weights of all steps, computed by torch one by one."""
        times = sinusoidal_embedding(latents.shape[1], self.time_embedding_size, like=latents)
        keys = self.attention.keys(latents, times)
        context_weight = self.cell.weight_ih[:, : self.attention.context_size]
        state = cell_state = latents.new_zeros(latents.shape[0], self.cell.hidden_size)
        states, attention = [], []
        for gate_inputs in self._gate_inputs(latents, times).unbind(1):
            context, weights = self.attention(state, keys, latents)
            gates = torch.addmm(gate_inputs, context, context_weight.T)
            gates = torch.addmm(gates, state, self.cell.weight_hh.T)
            input_gate, forget_gate, candidate, output_gate = gates.chunk(4, dim=1)
            cell_state = (
                forget_gate.sigmoid() * cell_state + input_gate.sigmoid() * candidate.tanh()
            )
            state = output_gate.sigmoid() * cell_state.tanh()
            states.append(state)
            attention.append(weights)
        return states, attention

    def _gate_inputs(
        self, latents: Float[Tensor, "B T L"], times: Float[Tensor, "T D"]
    ) -> Float[Tensor, "B T G"]:
        """Return the parts of the gates, before activation, from latents, times and biases."""
        sizes = (self.attention.context_size, latents.shape[2], times.shape[1])
        _, latent_weight, time_weight = self.cell.weight_ih.split(sizes, 1)
        bias = self.cell.bias_ih + self.cell.bias_hh
        return functional.linear(latents, latent_weight) + functional.linear(
            times, time_weight, bias
        )

    def _read_out(self, states: Float[Tensor, "B T S"]) -> Float[Tensor, "B T E"]:
        """Return the predictions y_t from h_t and y_{t-1}."""
        state_weight, feedback_weight = self.first_readout.weight.split(
            (states.shape[2], self.last_readout.out_features), dim=1
        )
        from_states = functional.linear(states, state_weight, self.first_readout.bias)
        prediction = states.new_zeros(states.shape[0], self.last_readout.out_features)
        predictions = []
        for from_state in from_states.unbind(1):
            hidden = torch.relu(torch.addmm(from_state, prediction, feedback_weight.T))
            prediction = self.last_readout(hidden)
            predictions.append(prediction)
        return torch.stack(predictions, dim=1)
