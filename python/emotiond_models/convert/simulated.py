"""Int8 as PyTorch computes it: every tensor on the grid that the quantized file will have, before there is such a file."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .graph import OP, WEIGHED, Graph, Step

# These only move values: in and out have one scale.
_MOVING = (OP.RESHAPE, OP.TRANSPOSE, OP.SLICE, OP.PAD, OP.BROADCAST_TO)
# Operators that XNNPACK of 2.17.1 does not take in int8, and runs in float: there they cost less with a conversion before
# and after than the library's own int8 kernels, and are exact.
FLOAT_KINDS = frozenset((OP.PRELU, OP.RELU, OP.HARD_SWISH, OP.MAXIMUM, OP.SOFTMAX, OP.RSQRT, OP.DIV, OP.SUM,
                         OP.BATCH_MATMUL))
_FIXED = {OP.LOGISTIC: (0.0, 255 / 256), OP.SOFTMAX: (0.0, 255 / 256)}  # the range of these is the kernels' own
_TRIED = (1.0, 0.95, 0.9, 0.85, 0.8, 0.7, 0.6, 0.5)
_KEPT = 2048  # values of a tensor and picture that are kept to choose its range by


@dataclass
class Plan:
    """What becomes int8 and how: the range of every computed tensor, and the numbers of the steps that stay in float."""

    ranges: dict[int, tuple[float, float]]
    floating: set[int] = field(default_factory=set)


def at_least_zero(low: float, high: float) -> tuple[float, float]:
    """A range with 0 in it, which has to have an integer, and some width."""
    return min(low, 0.0), max(high, 0.0, low + 1e-6)


def source(graph: Graph, tensor: int) -> int:
    """The tensor whose range `tensor` has: itself, or what was moved to become it."""
    made_by = {step.output: step for step in graph.steps}
    while tensor in made_by and made_by[tensor].kind in _MOVING:
        tensor = made_by[tensor].inputs[0]
    return tensor


def answering(graph: Graph) -> set[int]:
    """The steps that make the outputs, and those that move them."""
    made_by = {step.output: at for at, step in enumerate(graph.steps)}
    found = set()
    for tensor in graph.outputs:
        while tensor in made_by and made_by[tensor] not in found:
            found.add(made_by[tensor])
            step = graph.steps[made_by[tensor]]
            if step.kind not in _MOVING:
                break
            tensor = step.inputs[0]
    return found


@torch.no_grad()
def observed(graph: Graph, batches: Iterable[Tensor], fitted: bool) -> dict[int, tuple[float, float]]:
    """The range of every computed tensor over the batches: from the smallest to the largest value or, `fitted`, the part of
    it whose integers are nearest to the values, by the mean of the squares."""
    extremes: dict[int, tuple[float, float]] = {}
    samples: dict[int, list[Tensor]] = {}
    picks = torch.Generator().manual_seed(0)

    def see(tensor: int, y: Tensor) -> Tensor:
        low, high = float(y.min()), float(y.max())
        before = extremes.get(tensor, (low, high))
        extremes[tensor] = min(low, before[0]), max(high, before[1])
        if fitted:
            flat = y.reshape(-1)
            if len(flat) > (kept := _KEPT * len(y)):
                flat = flat[torch.randint(len(flat), (kept,), generator=picks)]
            samples.setdefault(tensor, []).append(flat.clone())
        return y

    for batch in batches:
        graph.run(batch, see)
    ranges = {tensor: at_least_zero(*pair) for tensor, pair in extremes.items()}
    if fitted:
        ranges = {tensor: _fitted(torch.cat(samples[tensor]), *pair) for tensor, pair in ranges.items()}
    ranges[graph.input] = at_least_zero(*extremes[graph.input])  # every value of a pixel has its integer
    for step in graph.steps:
        if step.kind in _FIXED:
            ranges[step.output] = _FIXED[step.kind]
    return {tensor: ranges[source(graph, tensor)] for tensor in ranges}


def _fitted(values: Tensor, low: float, high: float) -> tuple[float, float]:
    def best(pairs: list[tuple[float, float]]) -> tuple[float, float]:
        return min(pairs, key=lambda pair: float((on_grid(values, *pair) - values).square().mean()))

    low, high = best([(low, high * part) for part in _TRIED])
    return best([(low * part, high) for part in _TRIED]) if low < 0 else (low, high)


def on_grid(x: Tensor, low: float, high: float) -> Tensor:
    """The nearest of 256 values; the gradient passes where none is cut off."""
    scale = (high - low) / 255
    zero = max(-128, min(127, round(-128 - low / scale)))
    return torch.fake_quantize_per_tensor_affine(x, scale, zero, -128, 127)


def weights_on_grid(step: Step, weight: Tensor) -> Tensor:
    """-127..127, with a scale for each output channel, as the quantizer chooses them."""
    axis = 3 if step.kind == OP.DEPTHWISE_CONV_2D else 0
    dims = [dim for dim in range(weight.ndim) if dim != axis]
    scale = weight.detach().abs().amax(dims).clamp(min=1e-9) / 127
    zero = torch.zeros(len(scale), dtype=torch.int32)
    return torch.fake_quantize_per_channel_affine(weight, scale, zero, axis, -127, 127)


class Simulated(nn.Module):
    """The graph with the integers of a plan; its weights and biases can be taught."""

    def __init__(self, graph: Graph, plan: Plan):
        super().__init__()
        self.graph, self.plan = graph, plan
        self.taught = sorted({i for step in graph.steps if step.kind in WEIGHED for i in step.inputs[1:]})
        self.values = nn.ParameterList([nn.Parameter(graph.constants[i].clone()) for i in self.taught])
        self._place = {tensor: at for at, tensor in enumerate(self.taught)}
        self._last = graph.last_use

    def _constant(self, at: int, step: Step, tensor: int) -> Tensor:
        if tensor not in self._place:
            value = self.graph.constants[tensor]
            if at in self.plan.floating or not value.is_floating_point() or step.kind in FLOAT_KINDS:
                return value
            return on_grid(value, *at_least_zero(float(value.min()), float(value.max())))
        value = self.values[self._place[tensor]]
        return value if at in self.plan.floating or value.ndim == 1 else weights_on_grid(step, value)

    def forward(self, x: Tensor) -> list[Tensor]:
        graph, plan = self.graph, self.plan
        exact: dict[int, Tensor] = {}  # what float steps made
        whole: dict[int, Tensor] = {graph.input: on_grid(x, *plan.ranges[graph.input])}
        for at, step in enumerate(graph.steps):
            floating = at in plan.floating
            inputs = []
            for tensor in step.inputs:
                if tensor in graph.constants:
                    inputs.append(self._constant(at, step, tensor))
                elif floating and tensor in exact:
                    inputs.append(exact[tensor])
                else:
                    if tensor not in whole:
                        whole[tensor] = on_grid(exact[tensor], *plan.ranges[tensor])
                    inputs.append(whole[tensor])
            y = step(inputs)
            if floating:
                exact[step.output] = y
            else:
                whole[step.output] = y if step.kind in _MOVING else on_grid(y, *plan.ranges[step.output])
            for tensor in step.inputs:
                if self._last.get(tensor) == at and tensor not in graph.outputs:
                    exact.pop(tensor, None), whole.pop(tensor, None)
        return [exact[i] if i in exact else whole[i] for i in graph.outputs]
