"""Weights and activations on int8's grids, in float arithmetic and with gradients.

Weights are symmetric, one scale for each output channel; an activation has one scale and zero point. Gradients pass
through the rounding as if it were not there (straight-through estimator, Bengio et al. 2013), and also reach the
activations' scales (Esser et al., Learned Step Size Quantization, 2020), which are parameters here.
"""

import math

import torch
from torch import nn

from .network import YuNet

STEPS = 127  # of int8 weights, either side of zero
LOW, HIGH = -128, 127
SIGNED = ("point", "head_point", "head_depth")  # activations without a ReLU before them
# An output's step: a logit is wrong by 0.03 at most, a point by a quarter of a pixel at stride 8.
OUTPUT_STEP = 1 / 16
SAMPLES = 20000  # of each activation and picture batch, for choosing its range


def rounded(x: torch.Tensor) -> torch.Tensor:
    """The nearest integers; the gradient passes as through x."""
    return x + (x.round() - x).detach()


def weight_steps(weight: torch.Tensor) -> torch.Tensor:
    """The size of one int8 step of each output channel, `[out]`."""
    return weight.detach().flatten(1).abs().amax(1).clamp(min=1e-9) / STEPS


def kind(name: str) -> str:
    return name.rstrip("0123456789")


class Int8(nn.Module):
    """What `YuNet.forward` takes as `steps`: computes as the int8 file will.

    `ranges` gives each activation's (lowest, highest) value; zero points stay as chosen from them.
    """

    def __init__(self, ranges: dict[str, tuple[float, float]]):
        super().__init__()
        self.zeros, logs = {}, {}
        for name, (low, high) in ranges.items():
            low, high = min(low, 0.0), max(high, 1e-6)
            step = (high - low) / (HIGH - LOW)
            self.zeros[name] = int(round(min(max(LOW - low / step, LOW), HIGH)))
            logs[name] = nn.Parameter(torch.tensor(math.log(step)))
        self.logs = nn.ParameterDict(logs)

    def scale(self, name: str) -> float:
        return float(self.logs[name].detach().exp())

    def weight(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        step = weight_steps(weight).view(-1, 1, 1, 1)
        return rounded(weight / step) * step

    def activation(self, name: str, x: torch.Tensor) -> torch.Tensor:
        step, zero = self.logs[name].exp(), self.zeros[name]
        return (rounded(x / step).clamp(LOW - zero, HIGH - zero)) * step


class _Watch:
    """Collects values of every activation of the float network."""

    def __init__(self):
        self.seen: dict[str, list[torch.Tensor]] = {}
        self.rng = torch.Generator().manual_seed(0)

    def weight(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        return weight

    def activation(self, name: str, x: torch.Tensor) -> torch.Tensor:
        flat = x.flatten()
        some = flat[torch.randint(0, len(flat), (SAMPLES,), generator=self.rng)]
        self.seen.setdefault(name, []).append(torch.cat([some, flat.min()[None], flat.max()[None]]))
        return x


@torch.no_grad()
def ranges(net: YuNet, batches: list[torch.Tensor], cut: bool = True) -> dict[str, tuple[float, float]]:
    """Each activation's range over some pictures: the part of the whole range that makes the mean squared error
    least (all of it if not `cut`). Input and outputs have fixed steps.
    """
    watch = _Watch()
    for x in batches:
        net(x, watch)
    found = {}
    for name, seen in watch.seen.items():
        values = torch.cat(seen)
        low, high = float(values.min()), float(values.max())
        if name == "input":
            low, high = 0.0, 255.0
        elif kind(name) == "head_depth":
            low, high = OUTPUT_STEP * LOW, OUTPUT_STEP * HIGH
        elif cut:
            low, high = _least_error(values, low, high)
        found[name] = (low, high)
    return found


def _least_error(values: torch.Tensor, low: float, high: float) -> tuple[float, float]:
    best, chosen = math.inf, (low, high)
    for share in torch.linspace(0.3, 1.0, 29).tolist():
        step = (high - low) * share / (HIGH - LOW)
        if step <= 0:
            return low, high
        q = (values / step).round().clamp(round(low * share / step), round(high * share / step)) * step
        error = float(((q - values) ** 2).mean())
        if error < best:
            best, chosen = error, (low * share, high * share)
    return chosen


@torch.no_grad()
def equalize(net: YuNet, batches: list[torch.Tensor]) -> None:
    """Give the channels between a unit's two convolutions the same range, in place; the function stays as it is.

    Nothing but a multiplication lies between them, so a channel may be scaled on one side and back on the other.
    """
    watch = _Channels()
    for x in batches:
        net(x, watch)
    layers = net.layers()
    for name, tops in watch.tops.items():
        point, depth = layers[name], layers[name.replace("point", "depth")]
        factor = tops.max() / tops.clamp(min=float(tops.max()) / 1000)
        point.weight *= factor.view(-1, 1, 1, 1)
        point.bias *= factor
        depth.weight /= factor.view(-1, 1, 1, 1)


class _Channels:
    def __init__(self):
        self.tops: dict[str, torch.Tensor] = {}

    def weight(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        return weight

    def activation(self, name: str, x: torch.Tensor) -> torch.Tensor:
        if kind(name) in ("point", "head_point"):
            top = x.abs().amax((0, 2, 3))
            self.tops[name] = torch.maximum(top, self.tops.get(name, top))
        return x
