"""Runs a manifest's model as emotiond does: crop, normalize, quantize, invoke, activate."""

import tomllib
from pathlib import Path

import numpy as np

from ..manifest import digest_of
from ..runtime import PythonRunner, softmax
from .contract import LABELS
from .crop import crop_square, warp


def to_tensor(crop: np.ndarray, spec: dict) -> np.ndarray:
    """uint8 RGB `[h, w, 3]` to float32 `[1, h, w, channels]` in the manifest's colour order and range."""
    x = crop.astype(np.float32)
    if spec["color"] == "bgr":
        x = x[..., ::-1]
    elif spec["color"] == "gray":
        x = (x @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
    mean, std = np.array(spec["mean"], np.float32), np.array(spec["std"], np.float32)
    return ((x - mean) / std)[None].astype(np.float32)


class Model:
    """Raises `ValueError` if the file beside the manifest is not the one that it was written for."""

    def __init__(self, manifest: Path):
        self.manifest = tomllib.loads(manifest.read_text(encoding="utf-8"))
        self.path = manifest.parent / self.manifest["file"]
        content = self.path.read_bytes()
        digest_of(content, self.manifest, manifest)
        self.size_bytes = len(content)
        self.runner = PythonRunner(content)
        self.heads = {head["kind"]: head for head in self.manifest["head"]}

    @property
    def size(self) -> int:
        return self.manifest["input"]["width"]

    def crop(self, image: np.ndarray, box, angle: float, scale: float | None = None) -> np.ndarray:
        rule = self.manifest["crop"]
        angle = angle if rule["align"] == "eyes" else 0.0
        return warp(image, crop_square(box, angle, scale or rule["scale"], rule["offset"]), self.size)

    def raw(self, crop: np.ndarray) -> list[np.ndarray]:
        """The output tensors of one crop, dequantized and flat."""
        return [value.reshape(-1) for value in self.runner(to_tensor(crop, self.manifest["input"]))]

    def head(self, kind: str, values: list[np.ndarray]) -> np.ndarray:
        return values[self.heads[kind]["output"]]

    def expression(self, values: list[np.ndarray]) -> np.ndarray:
        """Probabilities in the order of LABELS; 0 for a class that the model has not."""
        head = self.heads["expression"]
        p = values[head["output"]]
        if head["activation"] == "softmax":
            p = softmax(p, head.get("temperature", 1.0))
        if "prior" in head:
            p = p / np.array(head["prior"])
            p = p / p.sum()
        out = np.zeros(len(LABELS))
        out[[LABELS.index(label) for label in head["labels"]]] = p
        return out
