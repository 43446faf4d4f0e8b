"""MobileFaceNet as InsightFace trains it (width 128, blocks 1-4-6-2, 512 features), with HSEmotion's last layer.

Own definition of arXiv 1804.07573 at the widths of `mbf_va_mtl`; sub-module names follow the published tensors.
"""

from torch import Tensor, nn


class _Layers(nn.Module):
    """A sequence that the published tensor names call `layers`, with an optional shortcut around it."""

    def __init__(self, *layers: nn.Module, shortcut: bool = False):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x) if self.shortcut else self.layers(x)


def _linear(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1, padding: int | None = None):
    padding = kernel // 2 if padding is None else padding
    convolution = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return _Layers(convolution, nn.BatchNorm2d(outputs))


def _activated(inputs: int, outputs: int, kernel: int = 1, stride: int = 1, groups: int = 1) -> _Layers:
    block = _linear(inputs, outputs, kernel, stride, groups)
    block.layers.append(nn.PReLU(outputs))
    return block


def _bottleneck(inputs: int, outputs: int, width: int, stride: int = 1, shortcut: bool = False) -> _Layers:
    return _Layers(
        _activated(inputs, width),
        _activated(width, width, 3, stride, groups=width),
        _linear(width, outputs),
        shortcut=shortcut,
    )


def _stage(channels: int, blocks: int, width: int) -> _Layers:
    return _Layers(*(_bottleneck(channels, channels, width, shortcut=True) for _ in range(blocks)))


class MobileFaceNet(nn.Module):
    """1×3×112×112, RGB in -1..1 → 1×`outputs`."""

    def __init__(self, outputs: int, features: int = 512):
        super().__init__()
        self.layers = nn.ModuleList(
            [
                _activated(3, 128, 3, 2),
                _activated(128, 128, 3, groups=64),
                _bottleneck(128, 128, 128, stride=2),
                _stage(128, 4, 128),
                _bottleneck(128, 256, 256, stride=2),
                _stage(256, 6, 256),
                _bottleneck(256, 256, 512, stride=2),
                _stage(256, 2, 256),
            ]
        )
        self.conv_sep = _activated(256, 512)
        self.features = _Layers(
            _linear(512, 512, 7, groups=512, padding=0),
            nn.Flatten(),
            nn.Linear(512, features, bias=False),
            nn.BatchNorm1d(features),
        )
        self.fc = nn.Linear(features, outputs)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x)
        return self.fc(self.features(self.conv_sep(x)))
