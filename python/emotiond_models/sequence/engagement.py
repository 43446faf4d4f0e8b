"""Engagement, as EmotiEffLib's single attention network reads it: 128 steps of a face's embedding in, two classes out.

Each step holds the standard deviation of each value over the 128 steps, and then the values. The library is Savchenko's
(https://github.com/sb-ai-lab/EmotiEffLib); the file is `models/engagement_classification/engagement_single_attention.h5`
there and is not part of this project.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .writer import Writer

STEPS = 128
# The order of the published file, as the map of EmotiEffLib's own code has it (0 "Distracted", 1 "Engaged"). Notebooks
# that come with it print them the other way round or number four levels: trust no order that is not tried on a face.
LABELS = ("distracted", "engaged")


@dataclass(frozen=True)
class Weights:
    """Dense layers as outputs × inputs, with their biases."""

    attention: tuple[np.ndarray, np.ndarray]
    hidden: tuple[np.ndarray, np.ndarray]
    classes: tuple[np.ndarray, np.ndarray]

    @property
    def values(self) -> int:
        """The length of an embedding."""
        return self.attention[0].shape[1] // 2


def read(path: Path) -> Weights:
    """The weights of a Keras file. Raises `ValueError` if it holds another network."""
    import h5py

    found: dict[str, np.ndarray] = {}
    try:
        with h5py.File(path, "r") as file:
            file.visititems(lambda name, item: found.update({name: np.array(item)}) if isinstance(item, h5py.Dataset) else None)
    except OSError as error:
        raise ValueError(f"{path} is not a Keras model in HDF5 (an interrupted download?): {error}") from error

    def layer(*names: str) -> tuple[np.ndarray, np.ndarray]:
        def one(kind: str) -> np.ndarray:
            ends = [f"{name}/{kind}{end}" for name in names for end in (":0", "")]
            fits = [value for key, value in found.items() if any(key == e or key.endswith(f"/{e}") for e in ends)]
            if len(fits) != 1:
                raise ValueError(f"{path}: expected one {names[0]}/{kind}, found {len(fits)} among {sorted(found)[:8]}")
            return fits[0].astype(np.float32)

        return one("kernel").T, one("bias")

    weights = Weights(layer("e"), layer("hidden_FC"), layer("dense", "dense_1"))
    inputs = weights.attention[0].shape[1]
    fits = weights.attention[0].shape[0] == 1 and weights.hidden[0].shape[1] == inputs and inputs % 2 == 0
    if not fits or weights.classes[0].shape[1] != weights.hidden[0].shape[0]:
        raise ValueError(f"{path}: its layers do not fit each other")
    return weights


def drawn(values: int, hidden: int, classes: int, seed: int) -> Weights:
    """Weights by chance, for tests: they know nothing of engagement."""
    random = np.random.default_rng(seed)

    def layer(outputs: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
        return random.normal(0, inputs**-0.5, (outputs, inputs)).astype(np.float32), np.zeros(outputs, np.float32)

    return Weights(layer(1, 2 * values), layer(hidden, 2 * values), layer(classes, hidden))


def write(weights: Weights, steps: int = STEPS) -> bytes:
    """The TensorFlow Lite file: `[1, steps, twice the values]` in, probabilities of the classes out."""
    inputs = 2 * weights.values
    writer = Writer("engagement: single attention", (1, steps, inputs))
    rows = writer.reshape(writer.input, (steps, inputs), "rows")
    attention = writer.reshape(writer.dense(rows, *weights.attention, "e"), (1, steps), "alignment")
    context = writer.product(writer.softmax(attention, "alpha"), rows, (1, inputs), "context")
    hidden = writer.dense(context, *weights.hidden, "hidden", relu=True)
    return writer.finish([writer.softmax(writer.dense(hidden, *weights.classes, "logits"), "classes")])


def reference(weights: Weights, steps: np.ndarray) -> np.ndarray:
    """What the network gives for steps × values, computed with NumPy as EmotiEffLib's code does."""
    deviation = np.repeat(np.std(steps, axis=0).reshape(1, -1), len(steps), axis=0)
    x = np.concatenate([deviation, steps], axis=1)

    def softmax(logits: np.ndarray) -> np.ndarray:
        powers = np.exp(logits - logits.max())
        return powers / powers.sum()

    alpha = softmax(x @ weights.attention[0][0] + weights.attention[1])
    hidden = np.maximum(weights.hidden[0] @ (alpha @ x) + weights.hidden[1], 0)
    return softmax(weights.classes[0] @ hidden + weights.classes[1])


def tables(values: int, classes: int, rate: float) -> tuple[dict, dict]:
    """The tables `[sequence]` and `[[head]]` of the manifest. Four classes are DAiSEE's levels."""
    labels = LABELS if classes == len(LABELS) else [f"level_{level}" for level in range(classes)]
    sequence = {"from": "embedding", "values": values, "rate": rate, "steps": STEPS, "layout": "deviation_and_steps",
                "attention": True}
    return sequence, {"kind": "classes", "name": "engagement", "output": 0, "labels": list(labels), "activation": "none"}
