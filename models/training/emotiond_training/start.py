"""Starting from an exported file: to go on where a finished network stands, or to fit it to faces of your own."""

from dataclasses import dataclass

import numpy as np
import torch

from .network import EmotionNet, unfold_batch_norm

QUIET = 1e-3  # of the layer's typical weights: a channel below says nothing, and is not made loud

Pair = tuple[np.ndarray, np.ndarray]


@dataclass
class Exported:
    """Weights and biases of an exported network, float32, in the order of its operators and in TensorFlow Lite's layout."""

    plain: list[Pair]  # `[out, height, width, in]`
    depthwise: list[Pair]  # `[1, height, width, channels]`
    dense: list[Pair]  # `[out, in]`


@torch.no_grad()
def load_exported(net: EmotionNet, exported: Exported, calibration: torch.Tensor) -> None:
    """Put an exported network into `net`, which holds the pretrained trunk; `calibration` is a few hundred prepared faces.

    The export scales channels for int8 and cuts the silent ones of the last layer off. Here weights get the size that
    the pretrained ones have, for which the learning rates are made, and the channels cut off begin anew, unread.
    """
    counts = len(exported.plain), len(exported.depthwise)
    if counts != ((len(net.trunk) + 1) // 2, len(net.trunk) // 2):
        raise ValueError("{} plain and {} depthwise convolutions are not this network's".format(*counts))
    heads = [pair for pair in exported.dense if len(pair[1]) == net.expressions]
    if not heads:
        raise ValueError(f"no head of {net.expressions} expressions")
    shifts, scales = [], []
    for i, layer in enumerate(net.trunk):
        weight, bias = (exported.depthwise if i % 2 else exported.plain)[i // 2]
        weight = torch.from_numpy(weight.transpose((3, 0, 1, 2) if i % 2 else (0, 3, 1, 2)).copy())
        read = len(bias)
        typical = layer.conv.weight.flatten(1).norm(dim=1).median()
        scale = torch.ones(len(layer.conv.weight))
        scale[:read] = typical / weight.flatten(1).norm(dim=1).clamp(min=QUIET * typical)
        layer.conv.weight[:read] = weight * scale[:read, None, None, None]
        shift = torch.zeros(len(scale))
        shift[:read] = torch.from_numpy(bias)
        shifts.append(shift)
        scales.append(scale)
    unfold_batch_norm(net, shifts, calibration, scales)
    last = net.trunk[-1].norm
    last.weight[read:], last.bias[read:] = 1, 0
    features = net.eval().features(calibration)
    variance, mean = torch.var_mean(features, 0, correction=0)
    net.norm.running_mean.copy_(mean)
    net.norm.running_var.copy_(variance)
    weight, bias = map(torch.from_numpy, heads[0])
    net.expression.weight.zero_()
    net.expression.weight[:, :read] = weight * (variance[:read] + net.norm.eps).sqrt()
    net.expression.bias.copy_(bias + weight @ mean[:read])
