"""PyTorch module → float TensorFlow Lite → int8 TensorFlow Lite that the C library 2.17.1 can read."""

import os
import tempfile
from pathlib import Path

import litert_torch
import numpy as np
import torch
from ai_edge_quantizer import calibrator, quantizer, recipe, recipe_manager
from ai_edge_quantizer.utils import qsv_utils
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
    chosen = recipe.dynamic_wi8_afp32() if inputs is None else recipe.static_wi8_ai8()
    worker = quantizer.Quantizer(str(float_path))
    worker.load_quantization_recipe(chosen)
    ranges = None if inputs is None else _ranges(float_path, chosen, inputs)
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "int8.tflite"
        worker.quantize(ranges).export_model(str(quantized), overwrite=True)
        path.write_bytes(flatbuffer.inline_buffers(quantized.read_bytes()))


def _ranges(float_path: Path, chosen, inputs: list[np.ndarray]):
    """Smallest and largest value of every tensor over the inputs.

    `Quantizer.calibrate` averages the extremes of the inputs instead, with most weight on the first: about every second
    face would drive some tensor out of its range.
    """
    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(chosen)
    observer = calibrator.Calibrator(
        str(float_path), num_threads=os.cpu_count() or 1, qsv_update_func=qsv_utils.min_max_update
    )
    observer.calibrate({"serving_default": [{"args_0": x} for x in inputs]}, manager)
    return observer.get_model_qsvs()
