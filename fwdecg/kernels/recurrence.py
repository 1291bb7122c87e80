"""The decoder's recurrence for one case: an LSTM that attends to all frames before each step.

Axes: T frame, L latent, A attention, S state, G = 4 S entry of the gates in the order input,
forget, candidate, output.

Cases are processed one at a time, because the data of one step (0.7 MB at the default sizes) then
stays in the cache of one core.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from fwdecg.kernels.compile import kernel, vectorise
from fwdecg.kernels.tanh import one_plus_tanh

ZERO, HALF, ONE, TWO = (np.float32(value) for value in (0.0, 0.5, 1.0, 2.0))


class CaseInputs(NamedTuple):
    """Inputs of the recurrence, computed for all frames before the first step."""

    gate_inputs: Float32[np.ndarray, "T G"]  # contributions of latents, times and biases
    keys: Float32[np.ndarray, "T A"]  # U_a (l_i || e_i) of Eq. 2
    latents: Float32[np.ndarray, "T L"]


class RecurrenceWeights(NamedTuple):
    """Trained weights of attention and LSTM."""

    query: Float32[np.ndarray, "A S"]  # W_a of Eq. 2
    score: Float32[np.ndarray, " A"]  # V_a of Eq. 2
    context: Float32[np.ndarray, "G L"]  # from context to gates
    state: Float32[np.ndarray, "G S"]  # from state to gates


class CaseTrajectory(NamedTuple):
    """Values of all steps of a case; `run_forward` fills them."""

    queries: Float32[np.ndarray, "T A"]  # W_a h_{t-1}
    attention: Float32[np.ndarray, "T T"]  # alpha of Eq. 3
    contexts: Float32[np.ndarray, "T L"]  # c_t of Eq. 3
    gates: Float32[np.ndarray, "T G"]  # after their activation functions
    cell_states: Float32[np.ndarray, "T S"]
    states: Float32[np.ndarray, "T S"]  # h_t


class CaseGradients(NamedTuple):
    """Gradients of the loss; `run_backward` reads `states` and fills the others."""

    states: Float32[np.ndarray, "T S"]  # direct, without the paths through later steps
    gates: Float32[np.ndarray, "T G"]  # before activation; equal to those of `gate_inputs`
    queries: Float32[np.ndarray, "T A"]
    keys: Float32[np.ndarray, "T A"]
    latents: Float32[np.ndarray, "T L"]  # through the contexts only
    score: Float32[np.ndarray, " A"]  # V_a of Eq. 2


@kernel(reassociate=True)
def run_forward(inputs: CaseInputs, weights: RecurrenceWeights, trajectory: CaseTrajectory) -> None:
    """Compute all steps of a case and write them into `trajectory`."""
    vectorise()
    queries, gates, contexts = trajectory.queries, trajectory.gates, trajectory.contexts
    frames, size = trajectory.states.shape
    state = np.zeros(size, np.float32)
    cell_state = np.zeros(size, np.float32)
    for t in range(frames):
        for a in range(queries.shape[1]):
            total = ZERO
            for s in range(size):
                total += weights.query[a, s] * state[s]
            queries[t, a] = total
        _attend(inputs, weights.score, trajectory, t)
        for g in range(gates.shape[1]):
            total = inputs.gate_inputs[t, g]
            for s in range(size):
                total += weights.state[g, s] * state[s]
            for j in range(contexts.shape[1]):
                total += weights.context[g, j] * contexts[t, j]
            gates[t, g] = total
        for s in range(size):
            input_gate = _sigmoid(gates[t, s])
            forget_gate = _sigmoid(gates[t, size + s])
            candidate = _tanh(gates[t, 2 * size + s])
            output_gate = _sigmoid(gates[t, 3 * size + s])
            gates[t, s], gates[t, size + s] = input_gate, forget_gate
            gates[t, 2 * size + s], gates[t, 3 * size + s] = candidate, output_gate
            cell_state[s] = forget_gate * cell_state[s] + input_gate * candidate
            state[s] = output_gate * _tanh(cell_state[s])
            trajectory.cell_states[t, s], trajectory.states[t, s] = cell_state[s], state[s]


@kernel(reassociate=True)
def _attend(
    inputs: CaseInputs, score_weight: Float32[np.ndarray, " A"], trajectory: CaseTrajectory, t: int
) -> None:
    """Write attention weights (Eq. 3) and context of step t into `trajectory`."""
    vectorise()
    keys, latents = inputs.keys, inputs.latents
    query, attention, context = (
        trajectory.queries[t],
        trajectory.attention[t],
        trajectory.contexts[t],
    )
    largest = -np.float32(np.inf)
    for i in range(keys.shape[0]):
        score = ZERO
        for a in range(keys.shape[1]):
            numerator, denominator = one_plus_tanh(keys[i, a] + query[a])
            score += score_weight[a] * (numerator / denominator)
        attention[i] = score  # 1 + tanh adds the sum of V_a, which the softmax cancels
        largest = max(largest, score)
    total = ZERO
    for i in range(keys.shape[0]):
        attention[i] = np.exp(attention[i] - largest)
        total += attention[i]
    context[:] = ZERO
    for i in range(keys.shape[0]):
        attention[i] /= total
        for j in range(latents.shape[1]):
            context[j] += attention[i] * latents[i, j]


@kernel(reassociate=True)
def run_backward(
    inputs: CaseInputs,
    weights: RecurrenceWeights,
    trajectory: CaseTrajectory,
    gradients: CaseGradients,
) -> None:
    """Backpropagate through all steps of a case, and write the results into `gradients`."""
    vectorise()
    grad_states = gradients.states
    gates, cell_states = trajectory.gates, trajectory.cell_states
    grad_gates, grad_queries = gradients.gates, gradients.queries
    frames, size = grad_states.shape
    latent_size = inputs.latents.shape[1]
    grad_state = np.zeros(size, np.float32)
    grad_cell_state = np.zeros(size, np.float32)
    grad_context = np.zeros(latent_size, np.float32)
    grad_queries[:] = ZERO
    gradients.keys[:] = ZERO
    gradients.latents[:] = ZERO
    gradients.score[:] = ZERO
    for back in range(frames):
        t = frames - 1 - back
        for s in range(size):
            input_gate, forget_gate = gates[t, s], gates[t, size + s]
            candidate, output_gate = gates[t, 2 * size + s], gates[t, 3 * size + s]
            before = cell_states[t - 1, s] if t > 0 else ZERO
            activated = _tanh(cell_states[t, s])
            total = grad_states[t, s] + grad_state[s]
            grad_cell = grad_cell_state[s] + total * output_gate * (ONE - activated * activated)
            grad_gates[t, s] = grad_cell * candidate * input_gate * (ONE - input_gate)
            grad_gates[t, size + s] = grad_cell * before * forget_gate * (ONE - forget_gate)
            grad_gates[t, 2 * size + s] = grad_cell * input_gate * (ONE - candidate * candidate)
            grad_gates[t, 3 * size + s] = total * activated * output_gate * (ONE - output_gate)
            grad_cell_state[s] = grad_cell * forget_gate
        grad_state[:] = ZERO
        grad_context[:] = ZERO
        for g in range(grad_gates.shape[1]):
            gradient = grad_gates[t, g]
            for s in range(size):
                grad_state[s] += gradient * weights.state[g, s]
            for j in range(latent_size):
                grad_context[j] += gradient * weights.context[g, j]
        _attend_backward(grad_context, inputs, weights.score, (trajectory, gradients), t)
        for a in range(grad_queries.shape[1]):
            gradient = grad_queries[t, a]
            for s in range(size):
                grad_state[s] += gradient * weights.query[a, s]


@kernel(reassociate=True)
def _attend_backward(
    grad_context: Float32[np.ndarray, " L"],
    inputs: CaseInputs,
    score_weight: Float32[np.ndarray, " A"],
    case: tuple[CaseTrajectory, CaseGradients],
    t: int,
) -> None:
    """Backpropagate from the context of step t through its attention; add to the gradients."""
    vectorise()
    trajectory, gradients = case
    keys, latents = inputs.keys, inputs.latents
    grad_keys, grad_latents, grad_score_weight = (
        gradients.keys,
        gradients.latents,
        gradients.score,
    )
    query, attention, grad_query = (
        trajectory.queries[t],
        trajectory.attention[t],
        gradients.queries[t],
    )
    grad_attention = np.empty(keys.shape[0], np.float32)
    mean = ZERO
    for i in range(keys.shape[0]):
        total = ZERO
        for j in range(latents.shape[1]):
            total += grad_context[j] * latents[i, j]
            grad_latents[i, j] += attention[i] * grad_context[j]
        grad_attention[i] = total
        mean += attention[i] * total
    for i in range(keys.shape[0]):
        grad_score = attention[i] * (grad_attention[i] - mean)
        for a in range(keys.shape[1]):
            numerator, denominator = one_plus_tanh(keys[i, a] + query[a])
            shifted_tanh = numerator / denominator  # 1 + tanh
            slope = grad_score * score_weight[a] * shifted_tanh * (TWO - shifted_tanh)
            grad_keys[i, a] += slope
            grad_query[a] += slope
            grad_score_weight[a] += grad_score * (shifted_tanh - ONE)


@kernel(inline=True)
def _tanh(x: np.float32) -> np.float32:
    numerator, denominator = one_plus_tanh(x)
    return numerator / denominator - ONE


@kernel(inline=True)
def _sigmoid(x: np.float32) -> np.float32:
    numerator, denominator = one_plus_tanh(HALF * x)
    return HALF * (numerator / denominator)
