"""The conversion as a whole: published file in, .tflite and .toml out."""

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..flatbuffer import with_embedding
from ..quantization import export_float, quantize_as
from ..runtime import PythonRunner
from . import ConversionError, calibration, checkpoint, compare, ddamfn, description
from .architectures import ARCHITECTURES
from .choose import Chosen, choose
from .graph import Graph
from .passes import with_float16, with_prelu
from .published import NETWORKS, Published
from .rewrite import ChannelsLast, replace_patches, split_head

_FORMATS = {".pt": "pytorch", ".pth": "pytorch", ".onnx": "onnx", ".h5": "keras"}


@dataclass(frozen=True)
class Converted:
    """One of the files that a conversion wrote, and how it compares with the network it came from."""

    kind: str  # int8 or float16
    model: Path
    manifest: Path
    difference: compare.Difference
    how: str  # what was tried until int8 was near enough; of float16 nothing


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
    replace_patches(module)
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
    embedding: bool = False,
) -> list[Converted]:
    """Convert `source` to int8 and to float16 in `folder`: calibrating on `pictures` (said to be `described`), comparing both
    with the network on `held_out`, which nothing else sees.

    With `embedding` what goes into the last layer becomes one more output, for networks that read sequences.
    """
    module = load(source, network)
    folder.mkdir(parents=True, exist_ok=True)
    graph = Graph(exported(module, network))
    inputs = [calibration.prepare(picture, network) for picture in held_out]
    classes = len(network.labels)
    reference = compare.outputs_of(TorchRunner(module, network), inputs, classes)
    results = []
    for kind in ("int8", "float16"):
        model = folder / f"{network.name.replace('_', '-')}-{kind}.tflite"
        if kind == "int8":
            chosen = as_int8(graph, calibration.samples(pictures, network), model)
            made, how = described, str(chosen)
        else:
            model.write_bytes(with_float16(graph.written()))
            made, how = "float16 weights, float arithmetic", ""
        place = None
        if embedding:
            content, place = with_embedding(model.read_bytes())
            model.write_bytes(content)
        runner = PythonRunner(model)
        found = compare.difference(reference, compare.outputs_of(runner, inputs, classes))
        manifest = description.write(
            network, model, source, runner.shapes[:place], made, None if place is None else {"output": place}
        )
        results.append(Converted(kind, model, manifest, found, how))
    return results


def exported(module: nn.Module, network: Published) -> bytes:
    """The network as a float file."""
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "float.tflite"
        export_float(ChannelsLast(module), network.size, path)
        return with_prelu(path.read_bytes())


def as_int8(graph: Graph, samples: list[np.ndarray], path: Path) -> Chosen:
    """Write the int8 file: four in five of the pictures set the ranges, the others say which way is near enough."""
    setting = max(1, len(samples) * 4 // 5)
    trial = samples[setting:] or samples  # of a single picture, for a trial of the command
    chosen = choose(graph, *(torch.from_numpy(np.concatenate(part)) for part in (samples[:setting], trial)))
    ranges = {graph.name(tensor): pair for tensor, pair in chosen.plan.ranges.items()}
    floating = [graph.name(graph.steps[at].output) for at in sorted(chosen.plan.floating)]
    with tempfile.TemporaryDirectory() as scratch:
        whole = Path(scratch) / "float.tflite"
        whole.write_bytes(graph.written())
        quantize_as(whole, ranges, floating, path)
    path.write_bytes(with_float16(path.read_bytes()))  # of what stayed in float
    return chosen


def install(results: list[Converted], folder: Path) -> list[Path]:
    """Copy the files and manifests to where emotiond finds models; returns the manifests there."""
    try:
        for result in results:
            # The manifest last: emotiond reads it first, and what it names should be there.
            for path in (result.model, result.manifest):
                shutil.copyfile(path, folder / path.name)
    except OSError as error:
        raise ConversionError(
            f"cannot write to {folder}: {error.strerror}; is emotiond installed, and may this user write there? "
            "The converted files can be named by their path as well"
        ) from error
    return [folder / result.manifest.name for result in results]
