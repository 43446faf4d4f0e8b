"""From a trained network to TensorFlow Lite: float, then full int8 by calibration."""

from pathlib import Path

import numpy as np
import torch
from torch import nn

from .flatbuffer import inline_buffers
from .network import EmotionNet, equalize, folded

SIGNATURE = "serving_default"


class ForExport(nn.Module):
    """NHWC in; expression logits and, where there is a head, action-unit logits out.

    `faces` float32 `[n, 3, size, size]` in -1..1 gives the ranges to equalize channels by.
    """

    def __init__(self, net: EmotionNet, faces: torch.Tensor):
        super().__init__()
        self.net = folded(net.to(memory_format=torch.contiguous_format))
        equalize(self.net, faces)

    def forward(self, x: torch.Tensor):
        features = self.net.features(x.permute(0, 3, 1, 2))
        expression = self.net.expression(features)
        return expression if self.net.units is None else (expression, self.net.units(features))


def write_float(model: ForExport, size: int, path: Path) -> None:
    import litert_torch

    model = model.to(memory_format=torch.contiguous_format).eval()
    litert_torch.convert(model, (torch.zeros(1, size, size, 3),)).export(str(path))


def quantize(float_path: Path, faces: np.ndarray, path: Path) -> None:
    """Per-channel int8 weights, int8 activations, int8 in and out.

    `faces` float32 `[n, size, size, 3]` in -1..1 gives the activations' ranges. The first is
    stretched to the whole range, so that one step of the input is one step of a pixel.
    """
    from ai_edge_quantizer import quantizer, recipe

    faces = faces.astype(np.float32).copy()
    faces[0, 0, 0], faces[0, 0, 1] = -1, 1
    worker = quantizer.Quantizer(str(float_path))
    worker.load_quantization_recipe(recipe.static_wi8_ai8())
    ranges = worker.calibrate({SIGNATURE: [{"args_0": face[None]} for face in faces[:2]]})
    for name, (low, high) in extremes(float_path, faces, ranges).items():
        ranges[name]["min"], ranges[name]["max"] = low, high
    outside = path.with_suffix(".outside")
    worker.quantize(ranges).export_model(str(outside), overwrite=True)
    path.write_bytes(inline_buffers(outside.read_bytes()))
    outside.unlink()


def extremes(path: Path, faces: np.ndarray, ranges: dict) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The least and greatest value of every activation over all faces, shaped as `ranges` has them.

    The quantizer itself keeps a moving average over faces instead. That cuts the logits of a clear
    expression off at about half, which cost five points of accuracy.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        str(path), experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    made = {i for op in interpreter._get_ops_details() for i in op["outputs"]}
    made.add(interpreter.get_input_details()[0]["index"])
    names = {d["name"]: d["index"] for d in interpreter.get_tensor_details()
             if d["index"] in made and d["name"] in ranges and "min" in ranges[d["name"]]}
    found = {name: (np.inf, -np.inf) for name in names}
    for face in faces:
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], face[None])
        interpreter.invoke()
        for name, index in names.items():
            values = interpreter.get_tensor(index)
            found[name] = (min(found[name][0], values.min()), max(found[name][1], values.max()))
    return {
        name: tuple(np.full_like(ranges[name][key], value) for key, value in zip(("min", "max"), pair, strict=True))
        for name, pair in found.items()
    }
