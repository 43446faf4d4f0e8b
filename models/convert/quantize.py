"""PyTorch module → float TensorFlow Lite → int8 TensorFlow Lite that the C library 2.17.1 can read."""

import tempfile
from pathlib import Path

import litert_torch
import numpy as np
import torch
from ai_edge_quantizer import quantizer, recipe
from torch import nn

from . import flatbuffer
from .rewrite import ChannelsLast


def export_float(network: nn.Module, size: int, path: Path) -> None:
    """Write the network as a float file taking 1×`size`×`size`×3."""
    module = ChannelsLast(network.eval()).eval()
    litert_torch.convert(module, (torch.zeros(1, size, size, 3),)).export(str(path))


def quantize(float_path: Path, inputs: list[np.ndarray] | None, path: Path) -> None:
    """Write the int8 version (per-channel weights, int8 in and out), calibrated on `inputs`.

    Without inputs only the weights become int8; activations, input and outputs stay float.
    """
    worker = quantizer.Quantizer(str(float_path))
    worker.load_quantization_recipe(recipe.dynamic_wi8_afp32() if inputs is None else recipe.static_wi8_ai8())
    ranges = worker.calibrate({"serving_default": [{"args_0": x} for x in inputs]}) if inputs else None
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "int8.tflite"
        worker.quantize(ranges).export_model(str(quantized), overwrite=True)
        path.write_bytes(flatbuffer.inline_buffers(quantized.read_bytes()))
