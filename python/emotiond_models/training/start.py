"""Where training starts: from the published trunk, from an exported file (your own faces, say), or from a checkpoint."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from .contract import LABELS, UNITS
from .network import STRIDES, WIDTHS, EmotionNet, load_backbone, unfold_batch_norm

DROPOUT = 0.2
# The loader of plain tensors of Debian 12's PyTorch 1.13, which runs the quick test, refuses the floats of an optimizer's state.
SAFE_LOAD = not torch.__version__.startswith("1.")
QUIET = 1e-3  # of the layer's typical weights: a channel below says nothing, and is not made loud

Pair = tuple[np.ndarray, np.ndarray]


@dataclass
class Exported:
    """Weights and biases of an exported network, float32, in the order of its operators and in TensorFlow Lite's layout."""

    plain: list[Pair]  # `[out, height, width, in]`; one more than the trunk's where `graft` has put a head
    depthwise: list[Pair]  # `[1, height, width, channels]`
    dense: list[Pair]  # `[out, in]`


@torch.no_grad()
def load_exported(exported: Exported, pretrained: EmotionNet, calibration: torch.Tensor) -> EmotionNet:
    """An exported network, as wide as it is there, ready to be trained; `calibration` is a few hundred prepared faces.

    The export scales channels for int8. Here weights get the size that those of `pretrained`, the published
    trunk, have, for which the learning rates are made.
    """
    counts = len(exported.plain), len(exported.depthwise)
    if counts not in ((len(WIDTHS), len(STRIDES)), (len(WIDTHS) + 1, len(STRIDES))):
        raise ValueError("{} plain and {} depthwise convolutions are not this network's".format(*counts))
    trunk = exported.plain[: len(WIDTHS)]
    heads = [pair for pair in exported.dense if len(pair[1]) == pretrained.expressions]
    if not heads:
        raise ValueError(f"no head of {pretrained.expressions} expressions")
    # A grafted head reads another map and is fitted anew when all is done.
    units = [pair for pair in exported.dense if pair[0].shape == (len(UNITS), len(trunk[-1][1]))]
    net = EmotionNet(pretrained.expressions, len(UNITS), pretrained.dropout.p, [len(bias) for _, bias in trunk])
    shifts, scales = [], []
    for i, (layer, published) in enumerate(zip(net.trunk, pretrained.trunk, strict=True)):
        weight, bias = (exported.depthwise if i % 2 else trunk)[i // 2]
        weight = torch.from_numpy(weight.transpose((3, 0, 1, 2) if i % 2 else (0, 3, 1, 2)).copy())
        typical = published.conv.weight.flatten(1).norm(dim=1).median()
        scale = typical / weight.flatten(1).norm(dim=1).clamp(min=QUIET * typical)
        layer.conv.weight.copy_(weight * scale[:, None, None, None])
        shifts.append(torch.from_numpy(bias))
        scales.append(scale)
    unfold_batch_norm(net, shifts, calibration, scales)
    features = net.eval().features(calibration)
    variance, mean = torch.var_mean(features, 0, correction=0)
    net.norm.running_mean.copy_(mean)
    net.norm.running_var.copy_(variance)
    for head, (weight, bias) in zip(net.heads(), [heads[0], *units[:1]], strict=False):
        weight, bias = torch.from_numpy(weight), torch.from_numpy(bias)
        head.weight.copy_(weight * (variance + net.norm.eps).sqrt())
        head.bias.copy_(bias + weight @ mean)
    return net


def pretrained(backbone: dict[str, np.ndarray], calibration: torch.Tensor, exported: Exported | None = None) -> EmotionNet:
    """The published trunk under a fresh head, or what `exported` holds; `calibration` is a few hundred prepared faces."""
    net = EmotionNet(len(LABELS), len(UNITS), DROPOUT)
    load_backbone(net, backbone, calibration)
    return load_exported(exported, net, calibration) if exported else net


def trained(checkpoint: Path) -> tuple[EmotionNet, int]:
    """The averaged network of a checkpoint, and the input size it ended with."""
    if not checkpoint.is_file():
        raise SystemExit(f"{checkpoint} is missing: run `train` first")
    state = torch.load(checkpoint, weights_only=SAFE_LOAD)
    units = len(UNITS) if "units.weight" in state["average"] else 0
    return EmotionNet.of(state["average"], expressions=len(LABELS), units=units, dropout=DROPOUT).eval(), state["size"]
