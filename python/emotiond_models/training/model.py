"""Runs a manifest's model as emotiond does: crop, normalize, quantize, invoke, activate."""

import tomllib
from pathlib import Path

import numpy as np

from ..manifest import digest_of
from ..runtime import PythonRunner, softmax
from .contract import LABELS
from .crop import crop_square, eye_angle, landmark_square, warp


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

    def crop(self, image: np.ndarray, face: np.ndarray, scale: float | None = None, mirrored: bool = False) -> np.ndarray:
        """The crop of a face in numbers (`data.FACE`), uint8 RGB: of its mirror image as well, which the caller turns."""
        rule = self.manifest["crop"]
        scale, box = scale or mirrored and rule.get("mirrored_scale") or rule["scale"], face[:4]
        if rule["align"] == "landmarks":
            square = landmark_square(box, face[4:10].reshape(3, 2), scale, rule["offset"])
        else:
            angle = eye_angle(face[4:6], face[6:8]) if rule["align"] == "eyes" else 0.0
            square = crop_square(box, angle, scale, rule["offset"])
        return warp(image, square, self.size)

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
