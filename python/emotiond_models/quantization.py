"""PyTorch module → float TensorFlow Lite → int8 TensorFlow Lite that the C library 2.17.1 can read."""

import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .flatbuffer import inline_buffers

if TYPE_CHECKING:
    from torch import nn

SIGNATURE, INPUT = "serving_default", "args_0"  # as litert-torch names them


def export_float(module: "nn.Module", size: int, path: Path) -> None:
    """Write the module, which takes 1×`size`×`size`×3, as a float file."""
    # Here, and not above: quantizing an exported file needs neither PyTorch nor its converter.
    import litert_torch
    import torch

    litert_torch.convert(module.eval(), (torch.zeros(1, size, size, 3),)).export(str(path))


def over_whole_range(inputs: Sequence[np.ndarray], lowest, highest) -> list[np.ndarray]:
    """`inputs`, 1×height×width×channels each, with two pixels of the first as black and white as a pixel can be.

    Without them the input's integers would span what the pictures happen to hold, and a step of the input would not be
    a step of a pixel. `lowest` and `highest` are the values of 0 and 255, of all channels or of each.
    """
    first = inputs[0].copy()
    first[0, 0, 0], first[0, 0, 1] = lowest, highest
    return [first, *inputs[1:]]


def quantize(float_path: Path, inputs: Sequence[np.ndarray] | None, path: Path) -> None:
    """Write the int8 version (per-channel weights, int8 in and out), calibrated on `inputs`.

    Without inputs only the weights become int8; activations, input and outputs stay float.
    """
    from ai_edge_quantizer import quantizer, recipe

    chosen = recipe.dynamic_wi8_afp32() if inputs is None else recipe.static_wi8_ai8()
    worker = quantizer.Quantizer(str(float_path))
    worker.load_quantization_recipe(chosen)
    ranges = None if inputs is None else _ranges(float_path, chosen, inputs)
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "int8.tflite"
        worker.quantize(ranges).export_model(str(quantized), overwrite=True)
        path.write_bytes(inline_buffers(quantized.read_bytes()))


def quantize_as(float_path: Path, ranges: dict[str, tuple[float, float]], floating: Sequence[str], path: Path) -> None:
    """Write the int8 version with given ranges of the computed tensors, by name, and leave the operators in float whose
    outputs `floating` names. Names have to be unique and free of signs that mean something to a regular expression."""
    from ai_edge_quantizer import quantizer, recipe_manager
    from ai_edge_quantizer.qtyping import TFLOperationName

    every = TFLOperationName.ALL_SUPPORTED
    manager = recipe_manager.RecipeManager()
    manager.add_static_config(regex=".*", operation_name=every, activation_num_bits=8, weight_num_bits=8)
    if floating:
        manager.add_quantization_config(
            f"^({'|'.join(floating)});?$", every, algorithm_key=recipe_manager.AlgorithmName.NO_QUANTIZE
        )
        # Outputs that a float operator makes are float; there is no word for a single one of them.
        manager.add_quantization_config(
            ".*", TFLOperationName.OUTPUT, algorithm_key=recipe_manager.AlgorithmName.NO_QUANTIZE
        )
    worker = quantizer.Quantizer(str(float_path))
    worker.load_quantization_recipe(manager.get_quantization_recipe())
    given = {name: {"min": np.float32(low), "max": np.float32(high)} for name, (low, high) in ranges.items()}
    with tempfile.TemporaryDirectory() as folder:
        quantized = Path(folder) / "int8.tflite"
        worker.quantize(given).export_model(str(quantized), overwrite=True)
        path.write_bytes(inline_buffers(quantized.read_bytes()))


def _ranges(float_path: Path, chosen, inputs: Sequence[np.ndarray]):
    """Smallest and largest value of every tensor over the inputs.

    `Quantizer.calibrate` averages the extremes of the inputs instead, with most weight on the first: about every second
    face would drive some tensor out of its range. Logits of a clear expression were cut off at about half, which cost
    five points of accuracy.
    """
    from ai_edge_quantizer import calibrator, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    manager = recipe_manager.RecipeManager()
    manager.load_quantization_recipe(chosen)
    observer = calibrator.Calibrator(
        str(float_path), num_threads=os.cpu_count() or 1, qsv_update_func=qsv_utils.min_max_update
    )
    observer.calibrate({SIGNATURE: [{INPUT: x} for x in inputs]}, manager)
    return observer.get_model_qsvs()
