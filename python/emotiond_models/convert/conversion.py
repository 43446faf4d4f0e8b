"""The conversion as a whole: published file in, .tflite and .toml out."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..flatbuffer import operators, with_embedding
from ..quantization import export_float, quantize
from ..runtime import PythonRunner
from . import ConversionError, calibration, checkpoint, compare, ddamfn, description
from .architectures import ARCHITECTURES
from .published import NETWORKS, Published
from .rewrite import ChannelsLast, replace_linear_attention, replace_prelu, split_head

_FORMATS = {".pt": "pytorch", ".pth": "pytorch", ".onnx": "onnx", ".h5": "keras"}


@dataclass(frozen=True)
class Converted:
    """What a conversion wrote and how it compares with the network it came from."""

    model: Path
    manifest: Path
    difference: compare.Difference
    floating: dict[str, int]  # operators left in floating point


def identify(path: Path, name: str | None) -> Published:
    """The published network that `path` holds: `name`, or else the one its file name says."""
    name = name or path.stem
    if name not in NETWORKS:
        raise ConversionError(f"no published network is called {name!r}; give --network, one of: {', '.join(NETWORKS)}")
    return NETWORKS[name]


def load(path: Path, network: Published) -> nn.Module:
    """The network with the file's weights, split in heads, from 1×3×size×size to a tensor or two of scores."""
    kind = _FORMATS.get(path.suffix.lower())
    classes, outputs = len(network.labels), network.outputs
    if kind is None:
        raise ConversionError(f"{path}: expected a file ending in {', '.join(_FORMATS)}")
    if (kind == "keras") != (network.architecture == "keras_mobilenet"):
        raise ConversionError(f"{path}: {network.name} is not published in this format")
    if kind == "onnx":
        from . import onnx_file  # only for these files are ONNX's packages needed

        return onnx_file.read(path, network.size, classes, outputs).eval()
    if kind == "keras":
        from . import keras_file

        return keras_file.read(path, outputs).eval()
    architecture = ARCHITECTURES[network.architecture]
    module = architecture.build(outputs)
    ignore = ddamfn.UNUSED if network.architecture == "ddamfn" else None
    checkpoint.fill(module, architecture.head, checkpoint.read(path), ignore)
    if network.affect:
        split_head(module, architecture.head, classes)
    replace_prelu(module)
    replace_linear_attention(module)
    return module.eval()


class TorchRunner:
    """The loaded network as a reference, called like a TensorFlow Lite file."""

    def __init__(self, module: nn.Module, network: Published):
        self._module = module
        self.shapes = [(1, len(network.labels))] + ([(1, 2)] if network.affect else [])

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        with torch.no_grad():
            outputs = self._module(torch.from_numpy(x).permute(0, 3, 1, 2))
        outputs = outputs if isinstance(outputs, (tuple, list)) else (outputs,)
        return [output.numpy() for output in outputs]


def convert(
    source: Path,
    network: Published,
    pictures: list[Image.Image],
    held_out: list[Image.Image],
    described: str,
    folder: Path,
    float_activations: bool = False,
    embedding: bool = False,
) -> Converted:
    """Convert `source`, calibrating on `pictures` (said to be `described`), comparing on `held_out`; write to `folder`.

    With `float_activations` only the weights become int8 and `pictures` are not looked at. With `embedding` what goes into
    the last layer becomes one more output, for networks that read sequences.
    """
    module = load(source, network)
    folder.mkdir(parents=True, exist_ok=True)
    kind = "int8-weights" if float_activations else "int8"
    model = folder / f"{network.name.replace('_', '-')}-{kind}.tflite"
    calibrating = None if float_activations else calibration.samples(pictures, network)
    with tempfile.TemporaryDirectory() as scratch:
        float_path = Path(scratch) / "float.tflite"
        export_float(ChannelsLast(module), network.size, float_path)
        quantize(float_path, calibrating, model)
    if embedding:
        content, place = with_embedding(model.read_bytes())
        model.write_bytes(content)
    runner = PythonRunner(model)
    inputs = [calibration.prepare(picture, network) for picture in held_out]
    classes = len(network.labels)
    reference = compare.outputs_of(TorchRunner(module, network), inputs, classes)
    found = compare.difference(reference, compare.outputs_of(runner, inputs, classes))
    manifest = description.write(
        network, model, source, runner.shapes[:place] if embedding else runner.shapes, described,
        {"output": place} if embedding else None,
    )
    _, floating = operators(model.read_bytes())
    return Converted(model, manifest, found, dict(floating))
