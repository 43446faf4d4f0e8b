"""Running a TensorFlow Lite file with PyPI's LiteRT, quantizing and reading as emotiond does."""

from pathlib import Path
from typing import Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter


class Runner(Protocol):
    """One loaded model. `outputs` are in the file's order, which manifests number."""

    shapes: list[tuple[int, ...]]

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        """Float input, float outputs; quantization is the runner's business."""


def to_integers(x: np.ndarray, scale: float, zero: int, kind: type[np.integer]) -> np.ndarray:
    """The stored values nearest to real ones; halves go away from zero, as in emotiond and in TensorFlow Lite.

    NumPy's own rounding goes to even numbers. Pixels of 127.5 ± 127.5 fall on halves, so that would make one of every
    two neighbouring pixel values.
    """
    steps = np.asarray(x, np.float32) / np.float32(scale)
    limits = np.iinfo(kind)
    whole = np.trunc(steps + np.copysign(np.float32(0.5), steps))
    return np.clip(whole + np.float32(zero), limits.min, limits.max).astype(kind)


def softmax(logits: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """Over the last dimension."""
    scaled = logits / temperature
    powers = np.exp(scaled - scaled.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def sigmoid(logits: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-logits))


class PythonRunner:
    """LiteRT as PyPI has it, on one thread unless told otherwise. Raises `ValueError` if it cannot read the file."""

    def __init__(self, model: Path | bytes, threads: int = 1):
        content = model if isinstance(model, bytes) else model.read_bytes()
        self._interpreter = Interpreter(model_content=content, num_threads=threads)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self.outputs = self._interpreter.get_output_details()
        self.input_shape = tuple(int(n) for n in self._input["shape"])
        self.input_type = self._input["dtype"]
        self.input_quantization: tuple[float, int] = self._input["quantization"]
        self.shapes = [tuple(int(n) for n in output["shape"]) for output in self.outputs]

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        if np.issubdtype(self.input_type, np.integer):
            x = to_integers(x, *self.input_quantization, self.input_type)
        self._interpreter.set_tensor(self._input["index"], x)
        self._interpreter.invoke()
        results = []
        for output in self.outputs:
            y = self._interpreter.get_tensor(output["index"])
            if np.issubdtype(output["dtype"], np.integer):
                scale, zero = output["quantization"]
                y = (y.astype(np.float32) - zero) * np.float32(scale)
            results.append(y)
        return results
