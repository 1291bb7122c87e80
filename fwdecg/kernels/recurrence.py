"""The decoder's recurrence, an LSTM that attends to all frames before each step, of one case.

Axes: T frame, L latent, A attention, S state, G = 4 S entry of the gates: admit, keep, candidate,
expose.

A case at a time all that a step touches, 0.7 MB at the default sizes, stays in a core's own cache.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from fwdecg.kernels.compile import kernel, vectorise
from fwdecg.kernels.tanh import one_plus_tanh

ZERO, HALF, ONE, TWO = (np.float32(value) for value in (0.0, 0.5, 1.0, 2.0))


class Given(NamedTuple):
    """What is known of a case before the first step."""

    known: Float32[np.ndarray, "T G"]  # what latents, times and biases add to the gates
    keys: Float32[np.ndarray, "T A"]  # U_a (l_i || e_i) of Eq. 2
    latents: Float32[np.ndarray, "T L"]


class Weights(NamedTuple):
    """What is learnt."""

    query: Float32[np.ndarray, "A S"]  # W_a of Eq. 2
    score: Float32[np.ndarray, " A"]  # V_a of Eq. 2
    context: Float32[np.ndarray, "G L"]  # of the gates
    state: Float32[np.ndarray, "G S"]  # likewise


class Course(NamedTuple):
    """What the steps of a case come to."""

    queries: Float32[np.ndarray, "T A"]  # W_a h_{t-1}
    looks: Float32[np.ndarray, "T T"]  # alpha of Eq. 3
    contexts: Float32[np.ndarray, "T L"]  # c_t of Eq. 3
    gates: Float32[np.ndarray, "T G"]  # after their activation
    memories: Float32[np.ndarray, "T S"]
    states: Float32[np.ndarray, "T S"]  # h_t


class Gradients(NamedTuple):
    """Of the loss: the first is given, the others are filled."""

    by_states: Float32[np.ndarray, "T S"]  # as far as the loss sees them directly
    by_gates: Float32[np.ndarray, "T G"]  # before their activation, and so by `known` too
    by_queries: Float32[np.ndarray, "T A"]
    by_keys: Float32[np.ndarray, "T A"]
    by_latents: Float32[np.ndarray, "T L"]  # as far as they enter by the contexts
    by_score: Float32[np.ndarray, " A"]  # V_a of Eq. 2


@kernel(reassociate=True)
def run_forward(given: Given, weights: Weights, course: Course) -> None:
    """Fill the course of a case."""
    vectorise()
    queries, gates, contexts = course.queries, course.gates, course.contexts
    frames, size = course.states.shape
    state = np.zeros(size, np.float32)
    memory = np.zeros(size, np.float32)
    for t in range(frames):
        for a in range(queries.shape[1]):
            total = ZERO
            for s in range(size):
                total += weights.query[a, s] * state[s]
            queries[t, a] = total
        _attend(given, weights.score, course, t)
        for g in range(gates.shape[1]):
            total = given.known[t, g]
            for s in range(size):
                total += weights.state[g, s] * state[s]
            for j in range(contexts.shape[1]):
                total += weights.context[g, j] * contexts[t, j]
            gates[t, g] = total
        for s in range(size):
            admit = _sigmoid(gates[t, s])
            keep = _sigmoid(gates[t, size + s])
            candidate = _tanh(gates[t, 2 * size + s])
            expose = _sigmoid(gates[t, 3 * size + s])
            gates[t, s], gates[t, size + s] = admit, keep
            gates[t, 2 * size + s], gates[t, 3 * size + s] = candidate, expose
            memory[s] = keep * memory[s] + admit * candidate
            state[s] = expose * _tanh(memory[s])
            course.memories[t, s], course.states[t, s] = memory[s], state[s]


@kernel(reassociate=True)
def _attend(given: Given, score_weight: Float32[np.ndarray, " A"], course: Course, t: int) -> None:
    """Looks and context of one step."""
    vectorise()
    keys, latents = given.keys, given.latents
    query, look, context = course.queries[t], course.looks[t], course.contexts[t]
    greatest = -np.float32(np.inf)
    for i in range(keys.shape[0]):
        score = ZERO
        for a in range(keys.shape[1]):
            above, below = one_plus_tanh(keys[i, a] + query[a])
            score += score_weight[a] * (above / below)
        look[i] = score  # too great by the sum of V_a, which the softmax does not see
        greatest = max(greatest, score)
    total = ZERO
    for i in range(keys.shape[0]):
        look[i] = np.exp(look[i] - greatest)
        total += look[i]
    context[:] = ZERO
    for i in range(keys.shape[0]):
        look[i] /= total
        for j in range(latents.shape[1]):
            context[j] += look[i] * latents[i, j]


@kernel(reassociate=True)
def run_backward(given: Given, weights: Weights, course: Course, gradients: Gradients) -> None:
    """Fill the gradients of a case from what `run_forward` was given, and has filled."""
    vectorise()
    by_states = gradients.by_states
    gates, memories = course.gates, course.memories
    by_gates, by_queries = gradients.by_gates, gradients.by_queries
    frames, size = by_states.shape
    latent_size = given.latents.shape[1]
    by_state = np.zeros(size, np.float32)
    by_memory = np.zeros(size, np.float32)
    by_context = np.zeros(latent_size, np.float32)
    by_queries[:] = ZERO
    gradients.by_keys[:] = ZERO
    gradients.by_latents[:] = ZERO
    gradients.by_score[:] = ZERO
    for back in range(frames):
        t = frames - 1 - back
        for s in range(size):
            admit, keep = gates[t, s], gates[t, size + s]
            candidate, expose = gates[t, 2 * size + s], gates[t, 3 * size + s]
            before = memories[t - 1, s] if t > 0 else ZERO
            shown = _tanh(memories[t, s])
            total = by_states[t, s] + by_state[s]
            through = by_memory[s] + total * expose * (ONE - shown * shown)
            by_gates[t, s] = through * candidate * admit * (ONE - admit)
            by_gates[t, size + s] = through * before * keep * (ONE - keep)
            by_gates[t, 2 * size + s] = through * admit * (ONE - candidate * candidate)
            by_gates[t, 3 * size + s] = total * shown * expose * (ONE - expose)
            by_memory[s] = through * keep
        by_state[:] = ZERO
        by_context[:] = ZERO
        for g in range(by_gates.shape[1]):
            gradient = by_gates[t, g]
            for s in range(size):
                by_state[s] += gradient * weights.state[g, s]
            for j in range(latent_size):
                by_context[j] += gradient * weights.context[g, j]
        _attend_backward(by_context, given, weights.score, (course, gradients), t)
        for a in range(by_queries.shape[1]):
            gradient = by_queries[t, a]
            for s in range(size):
                by_state[s] += gradient * weights.query[a, s]


@kernel(reassociate=True)
def _attend_backward(
    by_context: Float32[np.ndarray, " L"],
    given: Given,
    score_weight: Float32[np.ndarray, " A"],
    of_case: tuple[Course, Gradients],
    t: int,
) -> None:
    """Add the gradients of one step's attention."""
    vectorise()
    course, gradients = of_case
    keys, latents = given.keys, given.latents
    by_keys, by_latents, by_score_weight = (
        gradients.by_keys,
        gradients.by_latents,
        gradients.by_score,
    )
    query, look, by_query = course.queries[t], course.looks[t], gradients.by_queries[t]
    by_look = np.empty(keys.shape[0], np.float32)
    mean = ZERO
    for i in range(keys.shape[0]):
        total = ZERO
        for j in range(latents.shape[1]):
            total += by_context[j] * latents[i, j]
            by_latents[i, j] += look[i] * by_context[j]
        by_look[i] = total
        mean += look[i] * total
    for i in range(keys.shape[0]):
        by_score = look[i] * (by_look[i] - mean)
        for a in range(keys.shape[1]):
            above, below = one_plus_tanh(keys[i, a] + query[a])
            raised = above / below  # 1 + tanh
            slope = by_score * score_weight[a] * raised * (TWO - raised)
            by_keys[i, a] += slope
            by_query[a] += slope
            by_score_weight[a] += by_score * (raised - ONE)


@kernel(inline=True)
def _tanh(x: np.float32) -> np.float32:
    above, below = one_plus_tanh(x)
    return above / below - ONE


@kernel(inline=True)
def _sigmoid(x: np.float32) -> np.float32:
    above, below = one_plus_tanh(HALF * x)
    return HALF * (above / below)
