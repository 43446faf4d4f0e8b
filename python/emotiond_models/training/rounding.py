"""Quantization-aware fine-tuning: a folded network learns to say in int8 what it says in float.

Rounding the finished weights costs a point of accuracy. So, before the export, the network runs with its
weights and activations on int8's grid while gradients pass through the rounding as if it were not there
(straight-through estimator, Bengio et al. 2013), and is taught by itself in float: no label is needed,
and what the float network has learned is what is kept.
"""

import copy
import math

import torch
import torch.nn.functional as F
from torch import nn

from .augment import augment
from .network import EmotionNet

STEPS = 127  # of int8 weights, either side of zero
RATE = 0.01
BIAS_STEP = 0.02  # what counts as a step of a bias: about a step of an activation, which reaches 6 after `equalize`
WARM = 20  # steps
BATCH, STRENGTH = 64, 0.3


def grid(weight: torch.Tensor) -> torch.Tensor:
    """The size of one int8 step of each output channel, shaped to divide `weight` by: as the quantizer chooses it."""
    top = weight.detach().flatten(1).abs().amax(1).clamp(min=1e-12)
    return (top / STEPS).view(-1, *[1] * (weight.ndim - 1))


def rounded(x: torch.Tensor) -> torch.Tensor:
    """The nearest integers; the gradient passes as through x."""
    return x + (x.round() - x).detach()


def on_grid(weight: torch.Tensor) -> torch.Tensor:
    step = grid(weight)
    return rounded(weight / step) * step


def activation(x: torch.Tensor, top: float) -> torch.Tensor:
    """0..top in 255 steps."""
    step = top / 255
    return rounded(x.clamp(max=top) / step) * step


class Rounded(nn.Module):
    """A folded, equalized network that computes as its int8 file will; its parameters are in steps of the weights' grids."""

    def __init__(self, net: EmotionNet, faces: torch.Tensor):
        super().__init__()
        self.net = net
        self.tops = ranges(net, faces)
        self.parts = [*(layer.conv for layer in net.trunk), *net.heads()]
        self.sizes = [grid(part.weight) for part in self.parts]
        self.weights = nn.ParameterList([part.weight.detach() / size for part, size in zip(self.parts, self.sizes, strict=True)])
        self.biases = nn.ParameterList([part.bias.detach().clone() for part in self.parts])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = activation(x + 1, 2.0) - 1
        for i, layer in enumerate(self.net.trunk):
            if layer.uneven:
                x = F.pad(x, (0, 1, 0, 1))
            conv = layer.conv
            weight = on_grid(self.weights[i]) * self.sizes[i]
            x = F.relu6(F.conv2d(x, weight, self.biases[i], conv.stride, conv.padding, groups=conv.groups))
            x = activation(x, self.tops[i])
        x = activation(x.mean((2, 3)), self.tops[-1])
        out = []
        for i in range(len(self.net.trunk), len(self.parts)):
            out.append(F.linear(x, on_grid(self.weights[i]) * self.sizes[i], self.biases[i]))
        return torch.cat(out, 1)

    @torch.no_grad()
    def write_back(self) -> None:
        """Into the network it was made from, not rounded: the quantizer does that."""
        for part, weight, size, bias in zip(self.parts, self.weights, self.sizes, self.biases, strict=True):
            part.weight.copy_(weight * size)
            part.bias.copy_(bias)


@torch.no_grad()
def ranges(net: EmotionNet, faces: torch.Tensor) -> list[float]:
    """The greatest value of each layer's output and of the features over all faces."""
    tops = [0.0] * (len(net.trunk) + 1)
    for x in faces.split(64):
        for i, layer in enumerate(net.trunk):
            x = layer(x)
            tops[i] = max(tops[i], float(x.max()))
        tops[-1] = max(tops[-1], float(x.mean((2, 3)).max()))
    return tops


def learn_rounding(net: EmotionNet, sets: list[torch.Tensor], faces: torch.Tensor, views: int, rate: float = RATE,
                   seed: int = 1) -> list[float]:
    """Fine-tune the folded `net` in place; returns the loss of each step, which is also printed now and then.

    `sets` holds uint8 pictures as prepared, each set with an equal share of a batch; `faces` float32
    `[n, 3, size, size]` gives the activations' ranges; `rate` is that of a weight, in steps of its channel's grid.
    """
    torch.manual_seed(seed)
    rng = torch.Generator().manual_seed(seed)
    teacher = copy.deepcopy(net).to(memory_format=torch.channels_last).eval()
    student = Rounded(net, faces)
    optimizer = torch.optim.Adam([
        {"params": list(student.weights), "peak": rate}, {"params": list(student.biases), "peak": rate * BIAS_STEP},
    ], betas=(0.9, 0.99))
    expressions, losses, steps = net.expressions, [], math.ceil(views / BATCH)
    share = BATCH // len(sets)
    for step in range(steps):
        picked = [images[torch.randint(0, len(images), (share,), generator=rng)] for images in sets]
        x = torch.cat([augment(images, faces.shape[-1], rng, STRENGTH) for images in picked])
        x = x.contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            features = teacher.features(x)
            wanted = torch.cat([head(features) for head in teacher.heads()], 1)
        said = student(x)
        loss = divergence(said[:, :expressions], wanted[:, :expressions])
        if said.shape[1] > expressions:
            loss = loss + F.mse_loss(said[:, expressions:].sigmoid(), wanted[:, expressions:].sigmoid())
        for group in optimizer.param_groups:
            # Adam's first steps are as long as any, in directions that it hardly knows.
            warm = min(1.0, (step + 1) / WARM)
            group["lr"] = group["peak"] * warm * 0.5 * (1 + math.cos(math.pi * step / steps))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if step % 50 == 49:
            print(f"rounding: step {step + 1} of {steps}, divergence {sum(losses[-50:]) / 50:.4f}", flush=True)
    student.write_back()
    return losses


def divergence(said: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """Kullback-Leibler divergence of the student's distribution from the teacher's, in nats."""
    return F.kl_div(said.log_softmax(1), wanted.log_softmax(1), reduction="batchmean", log_target=True)
