"""The decoder's recurrence on a processor, where torch would spend its time between the steps.

Axes: B case, T frame, L latent, A attention, S state, G entry of the gates.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from jaxtyping import Float32
from torch import Tensor
from torch.autograd.function import once_differentiable

from fwdecg.model.threads import in_threads, parts_of


class InputTensors(NamedTuple):
    """What is known of each case before the first step."""

    gate_inputs: Float32[Tensor, "B T G"]  # what latents, times and biases add to the gates
    keys: Float32[Tensor, "B T A"]  # U_a (l_i || e_i) of Eq. 2
    latents: Float32[Tensor, "B T L"]


class WeightTensors(NamedTuple):
    """What is learnt, and the same for all cases."""

    query: Float32[Tensor, "A S"]  # W_a of Eq. 2
    score: Float32[Tensor, " A"]  # V_a of Eq. 2
    context: Float32[Tensor, "G L"]  # of the gates, in torch's order
    state: Float32[Tensor, "G S"]  # likewise


def applies_to(latents: Tensor) -> bool:
    """Whether `attentive_lstm` can take the place of the steps in torch; in exports it cannot."""
    return (
        latents.device.type == "cpu"
        and latents.dtype == torch.float32
        and not torch.compiler.is_compiling()
    )


def attentive_lstm(inputs: InputTensors, weights: WeightTensors) -> Float32[Tensor, "B T S"]:
    """States h_t of an LSTM that starts at zero and attends to all frames before each step."""
    states: Tensor = _AttentiveLstm.apply(*(each.contiguous() for each in (*inputs, *weights)))
    return states


class _AttentiveLstm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, *arguments: Tensor) -> Tensor:
        inputs, weights = InputTensors(*arguments[:3]), WeightTensors(*arguments[3:])
        cases, frames, entries = inputs.gate_inputs.shape
        latent_size, (attention_size, size) = inputs.latents.shape[2], weights.query.shape
        sizes = (attention_size, frames, latent_size, entries, size, size)
        trajectory = [inputs.gate_inputs.new_empty(cases, frames, each) for each in sizes]
        kernels = _kernels()
        shared = kernels.RecurrenceWeights(*_arrays(weights))
        groups = [
            (kernels.CaseInputs, _arrays(inputs)),
            (kernels.CaseTrajectory, _arrays(trajectory)),
        ]

        def of_case(own_inputs: Any, own_trajectory: Any) -> None:
            kernels.run_forward(own_inputs, shared, own_trajectory)

        _each_case(of_case, groups)
        ctx.save_for_backward(*arguments, *trajectory)
        return trajectory[-1]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, by_states: Tensor) -> tuple[Tensor, ...]:
        arguments, trajectory = ctx.saved_tensors[:7], ctx.saved_tensors[7:]
        inputs, weights = InputTensors(*arguments[:3]), WeightTensors(*arguments[3:])
        queries, _, contexts, gates, _, states = trajectory
        entering = (gates, queries, inputs.keys, inputs.latents, queries[:, 0])
        gradients = [torch.empty_like(each) for each in entering]
        kernels = _kernels()
        shared = kernels.RecurrenceWeights(*_arrays(weights))
        groups = [
            (kernels.CaseInputs, _arrays(inputs)),
            (kernels.CaseTrajectory, _arrays(trajectory)),
            (kernels.CaseGradients, _arrays([by_states.contiguous(), *gradients])),
        ]

        def of_case(own_inputs: Any, own_trajectory: Any, own_gradients: Any) -> None:
            kernels.run_backward(own_inputs, shared, own_trajectory, own_gradients)

        _each_case(of_case, groups)
        by_gates, by_queries, by_keys, by_latents, by_score = gradients
        before = torch.cat([torch.zeros_like(states[:, :1]), states[:, :-1]], dim=1).flatten(0, 1)
        by_gate_rows = by_gates.flatten(0, 1).T
        return (
            by_gates,
            by_keys,
            by_latents,
            by_queries.flatten(0, 1).T @ before,
            by_score.sum(0),
            by_gate_rows @ contexts.flatten(0, 1),
            by_gate_rows @ before,
        )


def _arrays(tensors: Sequence[Tensor]) -> list[Any]:
    return [tensor.detach().numpy() for tensor in tensors]


def _each_case(work: Any, groups: Sequence[tuple[Any, list[Any]]]) -> None:
    """Call `work` for each case with its own part of each group of arrays."""

    def of_part(part: slice, _number: int) -> None:
        for case in range(part.start, part.stop):
            work(*(make(*(array[case] for array in arrays)) for make, arrays in groups))

    in_threads(of_part, parts_of(len(groups[0][1][0])))


def _kernels() -> Any:
    """When they are needed, for numba takes half a second to load."""
    from fwdecg.kernels import recurrence  # noqa: PLC0415

    return recurrence
