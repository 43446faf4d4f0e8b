"""Pictures into the detector and faces out of it, as the program does it.

A level (stride 8, 16 or 32) gives one row of CHANNELS numbers a cell: the logits `cls` and `obj`; the box's centre
(x, y) from the cell's corner and the logarithm of its width and height, both in strides; and five points (x, y) from
the cell's corner in strides: the subject's right and left eye, nose tip, right and left corner of the mouth.
"""

from dataclasses import dataclass

import numpy as np
from PIL import Image

STRIDES = (8, 16, 32)
CHANNELS = 16
OVERLAP = 0.3  # intersection over union above which two candidates are one face


@dataclass
class Detection:
    """`box` is x, y, width, height and `points` `[5, 2]`, both in pixels of the picture; `score` 0..1."""

    box: np.ndarray
    points: np.ndarray
    score: float


@dataclass
class Fit:
    """Where a picture lies in its letterbox: `offset` pixels from the left and top, `scale` letterbox pixels a pixel."""

    offset: np.ndarray
    scale: np.ndarray


def letterbox(picture: np.ndarray, width: int, height: int) -> tuple[np.ndarray, Fit]:
    """A uint8 RGB picture in the middle of `[height, width, 3]`, as large as fits, with black bars.

    Pillow's bilinear filter widens when it shrinks, which is what the program's resizer does too.
    """
    have = np.array([picture.shape[1], picture.shape[0]], float)
    scale = (np.array([width, height]) / have).min()
    size = np.clip(np.floor(have * scale + 0.5), 1, [width, height]).astype(int)
    left, top = (np.array([width, height]) - size) // 2
    box = np.zeros((height, width, 3), np.uint8)
    small = Image.fromarray(picture).resize(tuple(int(v) for v in size), Image.Resampling.BILINEAR)
    box[top : top + size[1], left : left + size[0]] = np.asarray(small)
    return box, Fit(np.array([left, top], float), size / have)


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x.astype(np.float32)))


def candidates(levels: list[np.ndarray], min_score: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes `[n, 4]`, points `[n, 5, 2]` and scores `[n]`, in pixels of the input, of the cells that reach `min_score`.

    `levels` holds one `[rows, columns, CHANNELS]` for each of STRIDES.
    """
    boxes, points, scores = [], [], []
    for stride, level in zip(STRIDES, levels, strict=True):
        score = np.sqrt(sigmoid(level[..., 0]) * sigmoid(level[..., 1]))
        rows, columns = np.nonzero(score >= min_score)
        said = level[rows, columns].astype(np.float32)
        corner = np.stack([columns, rows], 1).astype(np.float32)
        center, size = (corner + said[:, 2:4]) * stride, np.exp(said[:, 4:6]) * stride
        boxes.append(np.concatenate([center - size / 2, size], 1))
        points.append((corner[:, None] + said[:, 6:].reshape(-1, 5, 2)) * stride)
        scores.append(score[rows, columns])
    return np.concatenate(boxes), np.concatenate(points), np.concatenate(scores)


def merge(boxes: np.ndarray, points: np.ndarray, scores: np.ndarray, overlap: float = OVERLAP) -> list[Detection]:
    """Candidates that overlap the best one become one face at their score-weighted mean, with the best score."""
    order = np.argsort(-scores, kind="stable")
    faces = []
    while len(order):
        near = ious(boxes[order[:1]], boxes[order])[0] > overlap
        near[0] = True
        same, order = order[near], order[~near]
        weight = scores[same] / scores[same].sum()
        faces.append(Detection(weight @ boxes[same], np.tensordot(weight, points[same], 1), float(scores[same[0]])))
    return faces


def ious(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Intersection over union `[len(a), len(b)]` of boxes x, y, width, height."""
    a, b = np.asarray(a, float)[:, None], np.asarray(b, float)[None]
    low, high = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., :2] + a[..., 2:], b[..., :2] + b[..., 2:])
    inter = np.clip(high - low, 0, None).prod(-1)
    return inter / np.maximum(a[..., 2:].prod(-1) + b[..., 2:].prod(-1) - inter, 1e-9)


def faces(levels: list[np.ndarray], fit: Fit, min_score: float) -> list[Detection]:
    """The faces of a picture, best first, in its own pixels."""
    found = merge(*candidates(levels, min_score))
    for face in found:
        face.box = np.concatenate([(face.box[:2] - fit.offset) / fit.scale, face.box[2:] / fit.scale])
        face.points = (face.points - fit.offset) / fit.scale
    return found
