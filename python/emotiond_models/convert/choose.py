"""Which integers a network gets: the cheapest plan whose answers stay near the float network's.

Tried, each on pictures that set no range: ranges from the smallest to the largest value and ranges fitted to where the
values are, which cost the same to run, so that the nearer is taken; and then, where neither is near enough, step by step,
the operators in float whose rounding costs the answers most for what leaving them in float costs in time.
"""

import logging
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from . import compare
from .graph import OP, WEIGHED, Graph
from .simulated import FLOAT_KINDS, Plan, Simulated, answering, observed, on_grid, source

log = logging.getLogger("convert")

BOUND = 0.99  # of the centred cosine between float and int8
_MARGIN = 0.002  # above it, on the pictures that choose: others are a little worse
_JUDGED, _PROBES = 8, 3  # pictures and random directions by which a tensor's rounding is judged
_ROUNDS = 10
# About what a Cortex-A53 executes for a value that is converted to float and back, and for a multiplication.
_PER_VALUE, _PER_PRODUCT = 4.0, 0.2


@dataclass(frozen=True)
class Chosen:
    """A plan, what was tried and how near each came, and the share of multiplications that stay in float."""

    plan: Plan
    tried: tuple[tuple[str, float], ...]
    share: float

    def __str__(self) -> str:
        tried = ", ".join(f"{what} {cosine:.4f}" for what, cosine in self.tried)
        return f"tried: {tried}; {self.share:.0%} of the multiplications in float"


def answers(run, pictures: Tensor, together: int) -> list[np.ndarray]:
    """Every output over the pictures, so many at once."""
    with torch.no_grad():
        parts = [run(batch) for batch in pictures.split(together)]
    return [torch.cat(column).flatten(1).numpy() for column in zip(*parts, strict=True)]


def nearness(expected: list[np.ndarray], found: list[np.ndarray]) -> float:
    """The centred cosine of the output that is furthest away."""
    return min(compare.cosine(a - a.mean(0), b - a.mean(0)) for a, b in zip(expected, found, strict=True))


def choose(graph: Graph, setting: Tensor, trial: Tensor) -> Chosen:
    """The plan, from pictures that set the ranges and others that it is tried on; both N×height×width×channels."""
    expected = answers(graph.run, trial, graph.together)
    # The last layer costs next to nothing, and one picture with extreme answers would make those of all others coarse.
    always = slow_in_int8(graph) | norms(graph) | answering(graph)
    tried: list[tuple[str, float]] = []

    def near(plan: Plan, what: str) -> float:
        cosine = nearness(expected, answers(Simulated(graph, plan), trial, graph.together))
        tried.append((what, cosine))
        log.info("  %s: centred cosine %.4f", what, cosine)
        return cosine

    plans = []
    for fitted, what in ((False, "whole ranges"), (True, "fitted ranges")):
        plan = Plan(observed(graph, setting.split(graph.together), fitted), always)
        plans.append((near(plan, what), plan))
    best, plan = max(plans, key=lambda pair: pair[0])
    if best < BOUND + _MARGIN:
        plan = _mixed(graph, plan, trial, best, near)
    return Chosen(plan, tuple(tried), _share(graph, plan.floating))


def slow_in_int8(graph: Graph) -> set[int]:
    """The steps that XNNPACK of 2.17.1 does not take in int8; of means it takes those over height and width."""
    return {
        at for at, step in enumerate(graph.steps)
        if step.kind in FLOAT_KINDS
        or (step.kind == OP.MEAN and sorted(graph.constants[step.inputs[1]].reshape(-1).tolist()) != [1, 2])
    }  # fmt: skip


def norms(graph: Graph) -> set[int]:
    """The steps of norms that are computed from the picture (not those of training, which are a part of the weights): what
    leads to a reciprocal square root, and what is multiplied by it. Means and squares of integers would be coarse, and
    XNNPACK does not take the means of 2.17.1 in int8."""
    made_by = {step.output: at for at, step in enumerate(graph.steps)}
    found: set[int] = set()
    waiting = [at for at, step in enumerate(graph.steps) if step.kind == OP.RSQRT]
    roots = {graph.steps[at].output for at in waiting}
    while waiting:
        at = waiting.pop()
        if at not in found and graph.steps[at].kind in (OP.RSQRT, OP.MEAN, OP.SUB, OP.MUL, OP.ADD, OP.RESHAPE):
            found.add(at)
            if graph.steps[at].kind != OP.SUB:
                waiting += [made_by[i] for i in graph.steps[at].inputs if i in made_by]
            else:
                mean = [made_by[i] for i in graph.steps[at].inputs if i in made_by]
                waiting += [i for i in mean if graph.steps[i].kind == OP.MEAN]
    return found | {at for at, step in enumerate(graph.steps) if roots & set(step.inputs)}


def _mixed(graph: Graph, plan: Plan, trial: Tensor, best: float, near) -> Plan:
    """The plan with more and more steps in float until it is near enough; the nearest, if none is."""
    noise = rounding_noise(graph, plan, trial[:_JUDGED])
    made_by = {step.output: at for at, step in enumerate(graph.steps)}
    read_by: dict[int, set[int]] = {}
    for at, step in enumerate(graph.steps):
        for tensor in step.inputs:
            read_by.setdefault(tensor, set()).add(at)
    floating = set(plan.floating)

    def around(tensor: int) -> set[int]:
        return {made_by[tensor]} | read_by.get(tensor, set())

    def left() -> dict[int, float]:
        return {tensor: much for tensor, much in noise.items() if not around(tensor) <= floating}

    kept = plan
    distance, floor = 1 - best, (1 - BOUND - _MARGIN) * 0.9
    for turn in range(_ROUNDS):
        # The noise that is left should be this part of what is there now; distances add up like its squares.
        wanted = sum(left().values()) * min(0.8, floor / distance)
        while (rest := left()) and sum(rest.values()) > wanted:
            tensor = max(rest, key=lambda t: rest[t] / sum(_cost(graph, at) for at in around(t) - floating))
            floating |= around(tensor)
        plan = Plan(plan.ranges, set(floating))
        cosine = near(plan, f"{len(floating)} of {len(graph.steps)} operators in float")
        distance = 1 - cosine
        if cosine > best:
            best, kept = cosine, plan
        if cosine >= BOUND + _MARGIN or not rest:
            break
    return kept


def _cost(graph: Graph, at: int) -> float:
    """About how many instructions more a step takes in float than in int8, conversions included."""
    step = graph.steps[at]
    return _PER_PRODUCT * _products(graph, at) + _PER_VALUE * float(np.prod(step.shape))


def _products(graph: Graph, at: int) -> float:
    """Multiplications of a convolution or dense layer; 0 of another step."""
    step = graph.steps[at]
    if step.kind not in WEIGHED:
        return 0.0
    shape = graph.shapes[step.inputs[1]]
    return float(np.prod(step.shape)) * np.prod(shape[:-1] if step.kind == OP.DEPTHWISE_CONV_2D else shape[1:])


def _share(graph: Graph, floating: set[int]) -> float:
    every = [_products(graph, at) for at in range(len(graph.steps))]
    return sum(every[at] for at in floating) / max(sum(every), 1.0)


def rounding_noise(graph: Graph, plan: Plan, pictures: Tensor) -> dict[int, float]:
    """How much the rounding of each computed tensor moves the outputs, as the mean square over pictures and random
    directions: to first order, the outputs' slope along the tensor, times the rounding."""
    random = torch.Generator().manual_seed(0)
    noise: dict[int, float] = {}
    for picture in pictures.split(1):
        values: dict[int, Tensor] = {}

        def keep(tensor: int, y: Tensor, values=values) -> Tensor:
            y = y if y.requires_grad else y.requires_grad_()
            values[tensor] = y
            return y

        outputs = graph.run(picture.clone(), keep)
        seen = [t for t in values if t != graph.input and source(graph, t) == t]
        errors = {t: (on_grid(values[t].detach(), *plan.ranges[t]) - values[t].detach()) for t in seen}
        for probe in range(_PROBES):
            whole = sum((y * torch.randn(y.shape, generator=random)).sum() / y.detach().std().clamp(min=1e-6) for y in outputs)
            slopes = torch.autograd.grad(whole, [values[t] for t in seen], retain_graph=probe < _PROBES - 1, allow_unused=True)
            for tensor, slope in zip(seen, slopes, strict=True):
                moved = 0.0 if slope is None else float((slope * errors[tensor]).sum()) ** 2
                noise[tensor] = noise.get(tensor, 0.0) + moved
    return noise
