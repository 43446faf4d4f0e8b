"""Emotional mimicry intensity: mean, standard deviation, minimum and maximum of the ten outputs of an emotion network over
a clip, a hidden layer of 64, six intensities. Savchenko's entry for ABAW reads it so
(https://github.com/sb-ai-lab/EmotiEffLib); its weights are not part of this project.
"""

from pathlib import Path

import numpy as np

from .writer import Writer

LABELS = ("admiration", "amusement", "determination", "empathic_pain", "excitement", "joy")
# The ten outputs in the order of HSEmotion's networks, which is not that of emotiond.
SCORES = tuple(f"expression.{name}" for name in (
    "anger", "contempt", "disgust", "fear", "happiness", "neutral", "sadness", "surprise",
)) + ("valence", "arousal")  # fmt: skip
HIDDEN, STATISTICS = 64, 4

Layer = tuple[np.ndarray, np.ndarray]


def read(path: Path) -> tuple[Layer, Layer]:
    """The two layers of a PyTorch state dict or an `.npz` file, told by their shapes. Raises `ValueError` if it holds another
    network."""
    if path.suffix == ".npz":
        tensors = dict(np.load(path))
    else:
        from ..convert import checkpoint  # reads without running what is in the file

        tensors = {name: tensor.numpy() for name, tensor in checkpoint.read(path).tensors.items()}
    inputs = STATISTICS * len(SCORES)

    def one(*shape: int) -> np.ndarray:
        fits = [value for value in tensors.values() if value.shape == shape]
        if len(fits) != 1:
            shapes = {name: value.shape for name, value in tensors.items()}
            raise ValueError(f"{path}: expected one tensor of {shape}, found {len(fits)} among {shapes}")
        return fits[0].astype(np.float32)

    return (one(HIDDEN, inputs), one(HIDDEN)), (one(len(LABELS), HIDDEN), one(len(LABELS)))


def drawn(seed: int) -> tuple[Layer, Layer]:
    """Weights by chance, for tests: they know nothing of mimicry."""
    random = np.random.default_rng(seed)

    def layer(outputs: int, inputs: int) -> Layer:
        return random.normal(0, inputs**-0.5, (outputs, inputs)).astype(np.float32), np.zeros(outputs, np.float32)

    return layer(HIDDEN, STATISTICS * len(SCORES)), layer(len(LABELS), HIDDEN)


def write(layers: tuple[Layer, Layer]) -> bytes:
    """The TensorFlow Lite file: `[1, 40]` in, six logits out."""
    writer = Writer("emotional mimicry intensity", (1, STATISTICS * len(SCORES)))
    hidden = writer.dense(writer.input, *layers[0], "hidden", relu=True)
    return writer.finish([writer.dense(hidden, *layers[1], "intensities")])


def reference(layers: tuple[Layer, Layer], steps: np.ndarray) -> np.ndarray:
    """The six intensities for steps × ten scores, computed with NumPy."""
    x = np.concatenate([steps.mean(0), steps.std(0), steps.min(0), steps.max(0)])
    hidden = np.maximum(layers[0][0] @ x + layers[0][1], 0)
    return 1 / (1 + np.exp(-(layers[1][0] @ hidden + layers[1][1])))


def tables(rate: float, seconds: float) -> tuple[dict, dict]:
    """The tables `[sequence]` and `[[head]]` of the manifest."""
    steps = round(rate * seconds)
    sequence = {"from": "scores", "scores": list(SCORES), "rate": rate, "steps": steps, "least": max(1, steps // 2),
                "layout": "statistics"}
    return sequence, {"kind": "activations", "name": "mimicry", "output": 0, "labels": list(LABELS), "activation": "sigmoid"}
