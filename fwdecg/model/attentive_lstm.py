"""The decoder's recurrence on a CPU, as one differentiable operation that runs numba kernels.

With torch, the overhead of calling many small operations per step would dominate the run time.

Axes: B case, T frame, L latent, A attention, S state, G entry of the gates.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.autograd.function import once_differentiable

from fwdecg.model.cpu_kernels import run_in_threads, split_range


class InputTensors(NamedTuple):
    """Inputs of the recurrence, computed for all frames before the first step."""

    gate_inputs: Float32[Tensor, "B T G"]  # contributions of latents, times and biases
    keys: Float32[Tensor, "B T A"]  # U_a (l_i || e_i) of Eq. 2
    latents: Float32[Tensor, "B T L"]


class WeightTensors(NamedTuple):
    """Trained weights of attention and LSTM."""

    query: Float32[Tensor, "A S"]  # W_a of Eq. 2
    score: Float32[Tensor, " A"]  # V_a of Eq. 2
    context: Float32[Tensor, "G L"]  # from context to gates, in torch's order of the gates
    state: Float32[Tensor, "G S"]  # from state to gates, in the same order


def attentive_lstm(inputs: InputTensors, weights: WeightTensors) -> Float32[Tensor, "B T S"]:
    """Return the states h_t of an LSTM that attends to all frames before each step.

    The initial state is zero.
    """
    states: Tensor = _AttentiveLstm.apply(*(each.contiguous() for each in (*inputs, *weights)))
    return states


class _AttentiveLstm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> Tensor:
        kernels = _load_kernels()
        inputs, weights = InputTensors(*arguments[:3]), WeightTensors(*arguments[3:])
        cases, frames, gates = inputs.gate_inputs.shape
        latent_size, (attention_size, size) = inputs.latents.shape[2], weights.query.shape
        sizes = (attention_size, frames, latent_size, gates, size, size)
        trajectory = [inputs.gate_inputs.new_empty(cases, frames, each) for each in sizes]
        shared = kernels.RecurrenceWeights(*_as_arrays(weights))

        def run_case(case_inputs: Sequence[Any], case_trajectory: Sequence[Any]) -> None:
            kernels.run_forward(
                kernels.CaseInputs(*case_inputs), shared, kernels.CaseTrajectory(*case_trajectory)
            )

        _run_cases(run_case, inputs, trajectory)
        ctx.save_for_backward(*arguments, *trajectory)
        return trajectory[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, state_gradient: Tensor) -> tuple[Tensor, ...]:
        kernels = _load_kernels()
        arguments, trajectory = ctx.saved_tensors[:7], ctx.saved_tensors[7:]
        inputs, weights = InputTensors(*arguments[:3]), WeightTensors(*arguments[3:])
        queries, _, contexts, gates, _, states = trajectory
        outputs = (gates, queries, inputs.keys, inputs.latents, queries[:, 0])
        gradients = [torch.empty_like(each) for each in outputs]
        shared = kernels.RecurrenceWeights(*_as_arrays(weights))

        def run_case(*case: Sequence[Any]) -> None:
            case_inputs, case_trajectory, case_gradients = case
            kernels.run_backward(
                kernels.CaseInputs(*case_inputs),
                shared,
                kernels.CaseTrajectory(*case_trajectory),
                kernels.CaseGradients(*case_gradients),
            )

        _run_cases(run_case, inputs, trajectory, [state_gradient.contiguous(), *gradients])
        d_gates, d_queries, d_keys, d_latents, d_score = gradients
        previous = torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], dim=1).flatten(0, 1)
        d_gate_rows = d_gates.flatten(0, 1).T
        return (
            d_gates,
            d_keys,
            d_latents,
            d_queries.flatten(0, 1).T @ previous,
            d_score.sum(0),
            d_gate_rows @ contexts.flatten(0, 1),
            d_gate_rows @ previous,
        )


def _as_arrays(tensors: Sequence[Tensor]) -> list[Any]:
    return [tensor.detach().numpy() for tensor in tensors]


def _run_cases(run_case: Callable[..., None], *groups: Sequence[Tensor]) -> None:
    """Call `run_case` for each case, in threads, with the case's slice of every tensor."""
    arrays = [_as_arrays(group) for group in groups]

    def work(part: slice, _number: int) -> None:
        for case in range(part.start, part.stop):
            run_case(*([array[case] for array in group] for group in arrays))

    run_in_threads(work, split_range(len(arrays[0][0])))


def _load_kernels() -> Any:
    """Import the kernels on first use, because numba takes half a second to load."""
    from fwdecg.kernels import recurrence  # noqa: PLC0415

    return recurrence
