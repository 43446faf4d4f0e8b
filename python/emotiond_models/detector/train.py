"""Teaches YuNet-s what YuNet-n sees at twice the size (`tune`), which is how the shipped file is made; it is rounded
afterwards. `train_patch` makes the experiment of `network`: in float, then with int8's rounding in the loop.
"""

import math
import time
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from .network import PATCH, Exact, YuNet, read_onnx
from .rounding import Int8, equalize, ranges
from .targets import CLS, OBJ, POINTS, WEIGHT

NARROW = 32  # channels at a quarter of the picture's size
OLD_RATE, NEW_RATE = 1.5e-3, 1.5e-2  # Adam's step, in parts of a channel's largest weight: layers taken over, and new ones
STEP_RATE = 1e-3  # of the logarithm of an activation's step
WARM = 50  # steps
NEW = ("stem", "point0", "point1", "point2", "depth0", "depth1", "depth2")
FEATURES, TEACHER_FEATURES = "depth3", "depth6"  # the finest level, in this network and in YuNet-n
BATCH = 16
TUNE_RATE = 0.5
# Of the tuned weights in the shipped ones, the rest published (Wortsman et al., Robust fine-tuning, 2022): with all of
# them more faces are found, and faces in lettering.
SHARE = 0.3


def patch_network(published: YuNet, seed: int = 1) -> YuNet:
    """A patch network with all that follows the finest level's last unit taken over from YuNet-n."""
    torch.manual_seed(seed)
    tail = [(p.in_channels, p.out_channels) for p in published.points[6:]]
    width = tail[0][0]
    net = YuNet([(NARROW, NARROW), (NARROW, NARROW), (NARROW, width), *tail], PATCH)
    with torch.no_grad():
        for mine, theirs in ((net.points[3:], published.points[6:]), (net.depths[3:], published.depths[6:]),
                             (net.head_points, published.head_points), (net.head_depths, published.head_depths)):
            for a, b in zip(mine, theirs, strict=True):
                a.load_state_dict(b.state_dict())
        net.stem.weight /= 64  # of 0..255
        for name, layer in net.layers().items():
            if name in NEW:
                layer.weight *= 2
                layer.bias.zero_()
    return net


class Pools:
    """Pictures and targets from the `.npz` files of a folder; looks for new ones as it goes."""

    def __init__(self, folder: Path, seed: int):
        self.folder, self.rng, self.read = folder, np.random.default_rng(seed), {}
        self.look()

    def look(self) -> None:
        for path in sorted(self.folder.glob("[0-9][0-9][0-9].npz")):
            if path.name not in self.read:
                stored = np.load(path)
                self.read[path.name] = (stored["image"], stored["target"])
        self.all = list(self.read.values())

    def batch(self, count: int) -> tuple[torch.Tensor, torch.Tensor]:
        images, wanted = self.all[self.rng.integers(len(self.all))]
        picked = self.rng.integers(0, len(images), count)
        x = torch.from_numpy(images[picked].transpose(0, 3, 1, 2)).float()
        gain = torch.from_numpy(self.rng.uniform(0.85, 1.15, (count, 1, 1, 1)).astype(np.float32))
        x = (x * gain).clamp(max=255).round()
        return x.contiguous(memory_format=torch.channels_last), torch.from_numpy(wanted[picked].astype(np.float32))


def loss(out: list[torch.Tensor], wanted: torch.Tensor) -> dict[str, torch.Tensor]:
    """Cross-entropies of cls and obj and the errors of boxes and points in parts of a face's size, each a mean over the
    cells that count.
    """
    said = torch.cat([level.flatten(2) for level in out], 2).transpose(1, 2)
    there = wanted[..., OBJ].sum().clamp(min=1)
    obj = F.binary_cross_entropy_with_logits(said[..., OBJ], wanted[..., OBJ], reduction="sum") / there
    share = wanted[..., OBJ] + 0.05
    cls = (F.binary_cross_entropy_with_logits(said[..., CLS], wanted[..., CLS], reduction="none") * share).sum() / there
    weight = wanted[..., WEIGHT]
    size = wanted[..., 4:6].clamp(-3, 5).exp()
    error = torch.cat([(said[..., 2:4] - wanted[..., 2:4]) / size, said[..., 4:6] - wanted[..., 4:6]], -1)
    box = (F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=0.1).sum(-1) * weight).sum() / weight.sum().clamp(min=1)
    error = (said[..., POINTS] - wanted[..., POINTS]) / size.repeat(1, 1, 5)
    points = (F.smooth_l1_loss(error, torch.zeros_like(error), reduction="none", beta=0.05).sum(-1) * weight).sum() / weight.sum().clamp(min=1)
    return {"obj": obj, "cls": cls, "box": 2 * box, "points": 2 * points}


class _Capture(Exact):
    """Keeps one activation on its way."""

    def __init__(self, name: str, steps=None):
        self.name, self.steps, self.kept = name, steps or Exact(), None

    def weight(self, name, weight):
        return self.steps.weight(name, weight)

    def activation(self, name, x):
        x = self.steps.activation(name, x)
        if name == self.name:
            self.kept = x
        return x


def groups(net: YuNet, rate: float, new: bool) -> list[dict]:
    """Each layer learns in steps that fit its own weights."""
    found = []
    for name, layer in net.layers().items():
        peak = rate * (NEW_RATE if new and name in NEW else OLD_RATE)
        top = float(layer.weight.detach().flatten(1).abs().amax(1).mean())
        found.append({"params": [layer.weight], "peak": peak * top})
        found.append({"params": [layer.bias], "peak": peak * max(float(layer.bias.detach().abs().mean()), 0.1)})
    return found


def learn(net: YuNet, pools: Pools, minutes: float, save: Path, teacher: YuNet | None = None, steps: Int8 | None = None,
          rate: float = 1.0) -> list[float]:
    """Train in place for so long; `teacher` lends its features at first, `steps` brings int8's rounding."""
    parameters = groups(net, rate, new=teacher is not None)
    if steps is not None:
        parameters.append({"params": list(steps.logs.parameters()), "peak": STEP_RATE})
    optimizer = torch.optim.Adam(parameters, betas=(0.9, 0.99))
    net.to(memory_format=torch.channels_last).train()
    begun, losses, step = time.monotonic(), [], 0
    while (done := (time.monotonic() - begun) / 60 / minutes) < 1:
        x, wanted = pools.batch(BATCH)
        capture = _Capture(FEATURES, steps)
        parts = loss(net(x, capture), wanted)
        if teacher is not None and done < 0.2:
            seen = _Capture(TEACHER_FEATURES)
            with torch.no_grad():
                teacher(x, seen)
            features = (capture.kept - seen.kept).square().mean() / seen.kept.var()
            parts["features"] = 8 * (1 - done / 0.2) * features
        total = sum(parts.values())
        for group in optimizer.param_groups:
            group["lr"] = group["peak"] * min(1.0, (step + 1) / WARM) * (0.5 * (1 + math.cos(math.pi * done)) + 0.005)
        optimizer.zero_grad(set_to_none=True)
        total.backward()
        optimizer.step()
        losses.append(float(total.detach()))
        step += 1
        if step % 25 == 0:
            told = ", ".join(f"{name} {float(value):.3f}" for name, value in parts.items())
            print(f"step {step}, {done:.0%}, loss {sum(losses[-25:]) / 25:.3f}: {told}", flush=True)
            pools.look()
        if step % 200 == 0:
            keep(net, steps, save)
    keep(net, steps, save)
    return losses


def keep(net: YuNet, steps: Int8 | None, path: Path) -> None:
    channels = [(p.in_channels, p.out_channels) for p in net.points]
    torch.save({"channels": channels, "trunk": net.trunk, "net": net.state_dict(),
                "logs": None if steps is None else steps.state_dict(), "zeros": None if steps is None else steps.zeros}, path)


def restore(path: Path) -> tuple[YuNet, Int8 | None]:
    stored = torch.load(path)
    net = YuNet(stored["channels"], stored["trunk"])
    net.load_state_dict(stored["net"])
    if stored["logs"] is None:
        return net.eval(), None
    steps = Int8(dict.fromkeys(stored["zeros"], (0.0, 1.0)))
    steps.load_state_dict(stored["logs"])
    steps.zeros = stored["zeros"]
    return net.eval(), steps


def int8_steps(net: YuNet, pools: Pools, batches: int = 8) -> Int8:
    """Equalizes the network in place and chooses the activations' ranges."""
    seen = [pools.batch(BATCH)[0] for _ in range(batches)]
    equalize(net, seen)
    return Int8(ranges(net, seen))


def tune(weights: Path, folder: Path, save: Path, minutes: float, seed: int = 1) -> YuNet:
    net = read_onnx(weights)
    published = {name: value.clone() for name, value in net.state_dict().items()}
    learn(net, Pools(folder, seed), minutes, save, rate=TUNE_RATE)
    net.load_state_dict({name: (1 - SHARE) * published[name] + SHARE * value for name, value in net.state_dict().items()})
    keep(net, None, save)
    return net


def train_patch(weights: Path, folder: Path, save: Path, minutes: float, int8_minutes: float, seed: int = 1) -> tuple[YuNet, Int8]:
    published = read_onnx(weights).to(memory_format=torch.channels_last)
    pools = Pools(folder, seed)
    net = patch_network(published, seed)
    learn(net, pools, minutes, save.with_suffix(".float.pt"), published)
    return net, round_off(net, pools, save, int8_minutes)


def round_off(net: YuNet, pools: Pools, save: Path, minutes: float, rate: float = 0.3) -> Int8:
    steps = int8_steps(net, pools)
    learn(net, pools, minutes, save, steps=steps, rate=rate)
    return steps
