"""YuNet (Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector, 2023) with its published weights.

A *unit* is a 1×1 convolution without activation, a depthwise 3×3 one, and a ReLU. The forward pass is written once;
`steps` decides what happens to weights and activations on the way: nothing, or rounding as in the int8 file.

Three things differ from the published network, none of them in what it computes:

- the four heads of a level are one 1×1 and one depthwise convolution of 16 channels (`decode` names them);
- it takes RGB;
- the first convolution pads right and below, as TensorFlow Lite does it, instead of left and above. That moves
  everything by one pixel, which the biases of the positions take back.

The *patch* network is an experiment: two fifths of YuNet-s's instructions on a Cortex-A53 lie in its layers at half the
picture's size, which one 4×4 convolution of stride 4 replaces. models/emotiond-face.md says how far it came.
"""

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from .decode import CHANNELS, STRIDES

# Units between one halving and the next, from the stem on; the last three groups end in the levels.
PUBLISHED, PATCH = (1, 4, 2, 2, 2), (2, 2, 2, 2)
LEVELS = 3
HEADS = ("cls", "bbox", "obj", "kps")  # the order in which the ONNX file computes them
PLACES = {"cls": slice(0, 1), "obj": slice(1, 2), "bbox": slice(2, 6), "kps": slice(6, 16)}
POSITIONS = (2, 3, *range(6, 16))  # channels that hold a position


class Exact:
    """Leaves weights and activations as they are."""

    def weight(self, name: str, weight: torch.Tensor) -> torch.Tensor:
        return weight

    def activation(self, name: str, x: torch.Tensor) -> torch.Tensor:
        return x


class YuNet(nn.Module):
    """From RGB 0..255 `[n, 3, h, w]`, sides multiples of 32, to `[n, 16, h / s, w / s]` for each stride s."""

    def __init__(self, channels: list[tuple[int, int]], trunk: tuple[int, ...] = PUBLISHED):
        """`trunk` is PUBLISHED or PATCH; `channels` of each unit: trunk, then neck from the coarsest level to the finest, then (YuNet-n alone) one unit
        in front of the heads of each level from the finest to the coarsest.
        """
        super().__init__()
        self.trunk, self.neck_end = trunk, sum(trunk) + LEVELS
        self.stem = nn.Conv2d(3, channels[0][0], 4, 4) if trunk == PATCH else nn.Conv2d(3, channels[0][0], 3, 2)
        self.points = nn.ModuleList([nn.Conv2d(i, o, 1) for i, o in channels])
        self.depths = nn.ModuleList([nn.Conv2d(o, o, 3, padding=1, groups=o) for _, o in channels])
        width = channels[-1][1]
        self.head_points = nn.ModuleList([nn.Conv2d(width, CHANNELS, 1) for _ in STRIDES])
        self.head_depths = nn.ModuleList([nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1, groups=CHANNELS) for _ in STRIDES])

    def forward(self, x: torch.Tensor, steps=None) -> list[torch.Tensor]:
        steps = steps or Exact()

        def conv(name: str, layer: nn.Conv2d, x: torch.Tensor) -> torch.Tensor:
            return F.conv2d(x, steps.weight(name, layer.weight), layer.bias, layer.stride, layer.padding, 1, layer.groups)

        def unit(i: int, x: torch.Tensor) -> torch.Tensor:
            x = steps.activation(f"point{i}", conv(f"point{i}", self.points[i], x))
            return steps.activation(f"depth{i}", F.relu(conv(f"depth{i}", self.depths[i], x)))

        x = steps.activation("input", x)
        x = steps.activation("stem", F.relu(conv("stem", self.stem, x if self.trunk == PATCH else F.pad(x, (0, 1, 0, 1)))))
        i, trunk = 0, []
        for group, units in enumerate(self.trunk):
            if group:
                x = F.max_pool2d(x, 2)
            for _ in range(units):
                x = unit(i, x)
                i += 1
            trunk.append(x)
        neck = [unit(i, trunk[-1])]
        for finer in (trunk[-2], trunk[-3]):
            i += 1
            x = finer + F.interpolate(neck[0], scale_factor=2.0, mode="nearest")
            neck.insert(0, unit(i, steps.activation(f"sum{i}", x)))
        out = []
        shared = len(self.points) > self.neck_end
        for level, x in enumerate(neck):
            if shared:
                x = unit(self.neck_end + level, x)
            x = conv(f"head_point{level}", self.head_points[level], x)
            x = conv(f"head_depth{level}", self.head_depths[level], steps.activation(f"head_point{level}", x))
            out.append(steps.activation(f"head_depth{level}", x))
        return out

    def layers(self) -> dict[str, nn.Conv2d]:
        """All convolutions by the names that `steps` sees."""
        found = {"stem": self.stem}
        for kind, layers in (("point", self.points), ("depth", self.depths), ("head_point", self.head_points),
                             ("head_depth", self.head_depths)):
            found.update({f"{kind}{i}": layer for i, layer in enumerate(layers)})
        return found


def read_onnx(path: Path) -> YuNet:
    """The published network (`yunet_s_dynamic.onnx` or `yunet_n_dynamic.onnx`)."""
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    tensors = {t.name: torch.from_numpy(numpy_helper.to_array(t).copy()) for t in graph.initializer}
    convs = [(tensors[node.input[1]], tensors[node.input[2]]) for node in graph.node if node.op_type == "Conv"]
    units = (len(convs) - 1) // 2 - LEVELS * len(HEADS)
    neck_end = sum(PUBLISHED) + LEVELS
    if units not in (neck_end, neck_end + LEVELS) or len(convs) % 2 == 0:
        raise ValueError(f"{path} has {len(convs)} convolutions, YuNet-s 53 and YuNet-n 59: is it the published file?")
    pairs = [(convs[1 + 2 * i], convs[2 + 2 * i]) for i in range((len(convs) - 1) // 2)]
    net = YuNet([(point[0].shape[1], point[0].shape[0]) for point, _ in pairs[:units]])
    with torch.no_grad():
        _set(net.stem, slice(None), convs[0][0].flip(1), convs[0][1])
        for i, (point, depth) in enumerate(pairs[:units]):
            _set(net.points[i], slice(None), *point)
            _set(net.depths[i], slice(None), *depth)
        for k, head in enumerate(HEADS):
            for level in range(LEVELS):
                point, depth = pairs[units + k * LEVELS + level]
                _set(net.head_points[level], PLACES[head], *point)
                _set(net.head_depths[level], PLACES[head], *depth)
        for stride, layer in zip(STRIDES, net.head_depths, strict=True):
            layer.bias[list(POSITIONS)] += 1 / stride
    return net.eval()


def _set(layer: nn.Conv2d, place: slice, weight: torch.Tensor, bias: torch.Tensor) -> None:
    layer.weight[place] = weight
    layer.bias[place] = bias


def maps(out: list[torch.Tensor]) -> list[list]:
    """For each picture of a batch the levels as `decode.faces` takes them."""
    arrays = [level.detach().permute(0, 2, 3, 1).numpy() for level in out]
    return [[level[k] for level in arrays] for k in range(len(arrays[0]))]
