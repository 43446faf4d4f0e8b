"""Labelled faces to measure on, each with the box and eye line that a detector gave it."""

import csv
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from .blazeface import BlazeFace
from .crop import eye_angle
from .data import EXPW_BOX, EXPW_NAMES, FERPLUS_BOX, MIN_SCORE, ferplus_targets

SETS = ("ferplus-valid", "ferplus-test", "expw-valid", "scenes")
MIN_SIDE = 40  # scenes: labelled faces smaller than this are left out
MIN_IOU = 0.3


@dataclass
class Faces:
    """`boxes` are x, y, width, height in pixels of `images[i]`; `found` is False where a fallback stands."""

    name: str
    images: list[np.ndarray]
    boxes: np.ndarray
    angles: np.ndarray
    found: np.ndarray
    labels: np.ndarray
    agreed: np.ndarray  # FER+: more than half of the votes are for the label

    def only(self, mask: np.ndarray) -> "Faces":
        kept = np.flatnonzero(mask)
        return Faces(self.name, [self.images[i] for i in kept], self.boxes[kept], self.angles[kept],
                     self.found[kept], self.labels[kept], self.agreed[kept])


def load(name: str, data: Path, work: Path) -> Faces:
    """The named set; the detector's answers are kept in `WORK/NAME-boxes.npz`."""
    if name.startswith("ferplus"):
        images, labels, agreed = _ferplus(data, 1 if name.endswith("valid") else 2)
        locate = lambda d: _close_ups(d, images, 0.15, FERPLUS_BOX)  # noqa: E731
    elif name == "expw-valid":
        images, labels = _expw(data, work)
        agreed = np.ones(len(labels), bool)
        locate = lambda d: _close_ups(d, images, 0.3, EXPW_BOX)  # noqa: E731
    elif name == "scenes":
        images, labels, marked = _scenes(data)
        agreed = np.ones(len(labels), bool)
        locate = lambda d: _in_scenes(d, images, marked)  # noqa: E731
    else:
        raise ValueError(f"no set is called {name}: choose one of {', '.join(SETS)}")
    cache = work / f"{name}-boxes.npz"
    if not cache.exists():
        boxes, angles, found = locate(BlazeFace(work, "back" if name == "scenes" else "short"))
        np.savez(cache, boxes=boxes, angles=angles, found=found)
    stored = np.load(cache)
    return Faces(name, images, stored["boxes"], stored["angles"], stored["found"], labels, agreed)


def _ferplus(data: Path, split: int):
    source = np.load(data / "ferplus.npz")
    votes = source["votes"]
    _, majority = ferplus_targets(votes)
    use = (source["split"] == split) & (majority >= 0)
    kept = np.where(votes[use] <= 1, 0, votes[use])
    agreed = kept.max(1) > kept.sum(1) / 2
    images = [np.repeat(image[..., None], 3, 2) for image in source["image"][use]]
    return images, majority[use].astype(int), agreed


def _expw(data: Path, work: Path):
    split = np.load(work / "expw.npz")["split"]
    with tarfile.open(data / "expw_faces.tar") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.extractfile("labels.csv"))))
        wanted = {f"faces/{row['face']}": row for row, s in zip(rows, split, strict=True) if s == 1}
        found = [(_picture(archive, m), EXPW_NAMES[wanted[m.name]["label"]]) for m in archive if m.name in wanted]
    return [image for image, _ in found], np.array([label for _, label in found])


def _scenes(data: Path):
    with tarfile.open(data / "expw_scenes.tar") as archive:
        pictures = {m.name: _picture(archive, m) for m in archive if m.name.endswith(".jpg")}
    names, marked, labels = zip(*marked_scenes(data), strict=True)
    return [pictures[f"scenes/{name}"] for name in names], np.array(labels), np.array(marked)


def marked_scenes(data: Path) -> list[tuple[str, tuple[float, float, float, float], int]]:
    """Picture, box (x, y, width, height) and label of every labelled face of at least MIN_SIDE."""
    with tarfile.open(data / "expw_scenes.tar") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.extractfile("labels.csv"))))
    marked = []
    for row in rows:
        left, top, right, bottom = (float(row[f"face_{side}"]) for side in ("left", "top", "right", "bottom"))
        if max(right - left, bottom - top) >= MIN_SIDE:
            marked.append((row["image"], (left, top, right - left, bottom - top), EXPW_NAMES[row["label"]]))
    return marked


def _picture(archive: tarfile.TarFile, member: tarfile.TarInfo) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(archive.extractfile(member).read())).convert("RGB"))


def _close_ups(detector: BlazeFace, images, padding: float, fallback):
    boxes, angles, found = [], [], []
    for image in images:
        side = image.shape[0]
        margin = round(side * padding)
        padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
        detections = detector.detect(padded, MIN_SCORE)
        if detections:
            boxes.append(detections[0].box - (margin, margin, 0, 0))
            angles.append(eye_angle(detections[0].points[0], detections[0].points[1]))
        else:
            x, y, width = (v * side for v in fallback)
            boxes.append((x - width / 2, y - width / 2, width, width))
            angles.append(0.0)
        found.append(bool(detections))
    return np.array(boxes), np.array(angles), np.array(found)


def _in_scenes(detector: BlazeFace, images, marked):
    """For each labelled box the detection that overlaps it best, or the box itself where none does."""
    boxes, angles, found, seen = [], [], [], {}
    for image, box in zip(images, marked, strict=True):
        if id(image) not in seen:
            seen[id(image)] = detector.detect(image)
        best = max(seen[id(image)], key=lambda d: iou(d.box, box), default=None)
        hit = best is not None and iou(best.box, box) > MIN_IOU
        boxes.append(best.box if hit else box)
        angles.append(eye_angle(best.points[0], best.points[1]) if hit else 0.0)
        found.append(hit)
    return np.array(boxes), np.array(angles), np.array(found)


def iou(a, b) -> float:
    """Overlap of two boxes x, y, width, height."""
    a, b = np.asarray(a, float), np.asarray(b, float)
    low, high = np.maximum(a[:2], b[:2]), np.minimum(a[:2] + a[2:], b[:2] + b[2:])
    inter = np.clip(high - low, 0, None).prod()
    return float(inter / (a[2] * a[3] + b[2] * b[3] - inter))
