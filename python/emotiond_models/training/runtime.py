"""Runs a manifest's model as emotiond does: crop, normalize, quantize, invoke, activate."""

import hashlib
import tomllib
from pathlib import Path

import numpy as np

from .crop import crop_square, warp
from .contract import LABELS
from .metrics import softmax


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
    def __init__(self, manifest: Path, threads: int = 1):
        from ai_edge_litert.interpreter import Interpreter

        self.manifest = tomllib.loads(manifest.read_text())
        path = manifest.parent / self.manifest["file"]
        content = path.read_bytes()
        digest = hashlib.sha256(content).hexdigest()
        if digest != self.manifest["sha256"]:
            raise ValueError(f"{path} has SHA-256 {digest}, but {manifest} says {self.manifest['sha256']}")
        self.size_bytes = len(content)
        self.interpreter = Interpreter(model_content=content, num_threads=threads)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.outputs = self.interpreter.get_output_details()
        self.heads = {head["kind"]: head for head in self.manifest["head"]}

    @property
    def size(self) -> int:
        return self.manifest["input"]["width"]

    def crop(self, image: np.ndarray, box, angle: float, scale: float | None = None) -> np.ndarray:
        rule = self.manifest["crop"]
        angle = angle if rule["align"] == "eyes" else 0.0
        return warp(image, crop_square(box, angle, scale or rule["scale"], rule["offset"]), self.size)

    def raw(self, crop: np.ndarray) -> list[np.ndarray]:
        """The output tensors of one crop, dequantized."""
        x = to_tensor(crop, self.manifest["input"])
        if np.issubdtype(self.input["dtype"], np.integer):
            scale, zero = self.input["quantization"]
            limits = np.iinfo(self.input["dtype"])
            x = np.clip(np.rint(x / scale + zero), limits.min, limits.max).astype(self.input["dtype"])
        self.interpreter.set_tensor(self.input["index"], x)
        self.interpreter.invoke()
        values = []
        for output in self.outputs:
            value = self.interpreter.get_tensor(output["index"])
            if np.issubdtype(output["dtype"], np.integer):
                scale, zero = output["quantization"]
                value = (value.astype(np.float32) - zero) * scale
            values.append(value.reshape(-1))
        return values

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
