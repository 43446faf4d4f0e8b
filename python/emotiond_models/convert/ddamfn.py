"""DDAMFN++: MixedFeatureNet with two coordinate-attention heads (Zhang et al., Electronics 12(17):3595, 2023).

Own definition; sub-module names follow the published tensors. Layers that the published classes create but never use
(listed in `UNUSED`) are left out.
"""

import re

import torch
from torch import Tensor, nn
from torch.nn import functional

UNUSED = re.compile(r"(conv_dw\.(bn|prelu)|CoordAtt\.Linear|^bn)\.")


class _Convolution(nn.Module):
    """Convolution and batch norm, with PReLU unless `linear`."""

    def __init__(self, inputs: int, outputs: int, kernel=1, stride=1, padding=0, groups=1, linear=False):
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs)
        self.prelu = nn.Identity() if linear else nn.PReLU(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Depthwise convolution whose channel groups use kernels 3, 5, 7, ..."""

    def __init__(self, split: tuple[int, ...], stride: int):
        super().__init__()
        self.split = list(split)
        self.mixed_depthwise_conv = nn.ModuleList(
            nn.Conv2d(width, width, 2 * i + 3, stride, i + 1, groups=width, bias=False) for i, width in enumerate(split)
        )

    def forward(self, x: Tensor) -> Tensor:
        parts = torch.split(x, self.split, dim=1)
        return torch.cat([layer(part) for layer, part in zip(self.mixed_depthwise_conv, parts)], dim=1)


class _Gates(nn.Module):
    """Coordinate attention (arXiv 2103.02907): one gate per row and one per column, from sums along them."""

    def __init__(self, channels: int):
        super().__init__()
        hidden = max(8, channels // 32)
        self.conv1 = nn.Conv2d(channels, hidden, 1)
        self.bn1 = nn.BatchNorm2d(hidden)
        self.conv2 = nn.Conv2d(hidden, channels, 1)
        self.conv3 = nn.Conv2d(hidden, channels, 1)

    def gates(self, rows: Tensor, columns: Tensor) -> tuple[Tensor, Tensor]:
        height, width = rows.shape[2], columns.shape[3]
        both = torch.cat([rows, columns.permute(0, 1, 3, 2)], dim=2)
        both = functional.hardswish(self.bn1(self.conv1(both)))
        rows, columns = torch.split(both, [height, width], dim=2)
        return self.conv2(rows).sigmoid(), self.conv3(columns.permute(0, 1, 3, 2)).sigmoid()


class _PooledAttention(_Gates):
    """The attention inside the backbone: gates from means, applied to the input."""

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.gates(x.mean(3, keepdim=True), x.mean(2, keepdim=True))
        return x * columns * rows


class _HeadAttention(_Gates):
    """The attention of a head on the 7×7 map: gates from learned sums; returns the map of gates."""

    def __init__(self, channels: int):
        super().__init__(channels)
        self.Linear_h = _Convolution(channels, channels, (1, 7), groups=channels, linear=True)
        self.Linear_w = _Convolution(channels, channels, (7, 1), groups=channels, linear=True)

    def forward(self, x: Tensor) -> Tensor:
        rows, columns = self.gates(self.Linear_h(x), self.Linear_w(x))
        return columns * rows


class _Bottleneck(nn.Module):
    def __init__(self, inputs: int, outputs: int, split: tuple[int, ...], stride: int = 1):
        super().__init__()
        width = sum(split)
        self.conv = _Convolution(inputs, width)
        self.conv_dw = _Mixed(split, stride)
        self.CA = _PooledAttention(width)
        self.project = _Convolution(width, outputs, linear=True)
        self.shortcut = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.project(self.CA(self.conv_dw(self.conv(x))))
        return x + y if self.shortcut else y


class _Stage(nn.Module):
    def __init__(self, channels: int, blocks: int, split: tuple[int, ...]):
        super().__init__()
        self.model = nn.Sequential(*(_Bottleneck(channels, channels, split) for _ in range(blocks)))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class _Head(nn.Module):
    def __init__(self, channels: int):
        super().__init__()
        self.CoordAtt = _HeadAttention(channels)

    def forward(self, x: Tensor) -> Tensor:
        return self.CoordAtt(x)


class Ddamfn(nn.Module):
    """1×3×112×112, RGB, ImageNet mean and deviation → 1×`outputs`."""

    def __init__(self, outputs: int):
        super().__init__()
        self.features = nn.Sequential(
            _Convolution(3, 64, 3, 2, 1),
            _Convolution(64, 64, 3, 1, 1, groups=64),
            _Bottleneck(64, 64, (64, 32, 32), stride=2),
            _Stage(64, 9, (96, 32)),
            _Bottleneck(64, 128, (128, 64, 64), stride=2),
            _Stage(128, 16, (192, 64)),
            _Bottleneck(128, 256, (256, 256, 256, 256), stride=2),
            _Stage(256, 6, (172, 170, 170)),
            _Convolution(256, 512),
        )
        self.cat_head0 = _Head(512)
        self.cat_head1 = _Head(512)
        self.Linear = _Convolution(512, 512, 7, groups=512, linear=True)
        self.fc = nn.Linear(512, outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = self.features(x)
        x = x * torch.maximum(self.cat_head0(x), self.cat_head1(x))
        return self.fc(self.Linear(x).flatten(1))
