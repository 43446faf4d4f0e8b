"""Labelled faces to measure on, each as the detector sees it."""

import csv
import io
import tarfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from ..detector.decode import ious
from ..detector.runtime import Detector
from .crop import eye_angle
from .data import DETECTOR, EXPW_NAMES, Pictures, ferplus_targets, located, numbers, unseen

SETS = ("ferplus-valid", "ferplus-test", "expw-valid", "scenes")
MIN_SIDE = 40  # scenes: labelled faces smaller than this are left out
MIN_IOU = 0.3


@dataclass
class Faces:
    """`located` are the faces in numbers (`data.FACE`), in pixels of `images[i]`."""

    name: str
    images: list[np.ndarray]
    located: np.ndarray
    labels: np.ndarray
    agreed: np.ndarray  # FER+: more than half of the votes are for the label

    @property
    def boxes(self) -> np.ndarray:
        return self.located[:, :4]

    @property
    def found(self) -> np.ndarray:
        """False where the detector saw no face and a fixed box stands."""
        return self.located[:, -1] > 0

    @property
    def angles(self) -> np.ndarray:
        """Of the eye line, radians."""
        return np.array([eye_angle(face[4:6], face[6:8]) for face in self.located])

    def only(self, mask: np.ndarray) -> "Faces":
        kept = np.flatnonzero(mask)
        return Faces(self.name, [self.images[i] for i in kept], self.located[kept], self.labels[kept], self.agreed[kept])


def load(name: str, data: Path, work: Path) -> Faces:
    """The named set; what the detector says is kept in the work folder."""
    if name == "scenes":
        images, labels, marked = _scenes(data)
        cache = work / "scenes-located.npy"
        if not cache.exists():
            np.save(cache, _in_scenes(Detector(DETECTOR), images, marked))
        return Faces(name, images, np.load(cache), labels, np.ones(len(labels), bool))
    if name not in SETS:
        raise ValueError(f"no set is called {name}: choose one of {', '.join(SETS)}")
    kind = name.partition("-")[0]
    if kind == "ferplus":
        index, labels, agreed = _ferplus(data, 1 if name.endswith("valid") else 2)
    else:
        stored = np.load(work / "expw.npz")
        index = np.flatnonzero(stored["split"] == 1)
        labels, agreed = stored["majority"][index].astype(int), np.ones(len(index), bool)
    pictures = Pictures(data, kind)
    return Faces(name, [pictures[i] for i in index], located(work, kind, pictures)[index], labels, agreed)


def _ferplus(data: Path, split: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    source = np.load(data / "ferplus.npz")
    votes = source["votes"]
    _, majority = ferplus_targets(votes)
    index = np.flatnonzero((source["split"] == split) & (majority >= 0))
    kept = np.where(votes[index] <= 1, 0, votes[index])
    return index, majority[index].astype(int), kept.max(1) > kept.sum(1) / 2


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


def _in_scenes(detector: Detector, images, marked) -> np.ndarray:
    """For each labelled box the detection that overlaps it best, or the box itself where none does."""
    faces, seen = [], {}
    for image, box in zip(images, marked, strict=True):
        if id(image) not in seen:
            seen[id(image)] = detector.detect(image)
        best = max(seen[id(image)], key=lambda d: iou(d.box, box), default=None)
        hit = best is not None and iou(best.box, box) > MIN_IOU
        faces.append(numbers(best) if hit else unseen(box))
    return np.stack(faces)


def iou(a, b) -> float:
    """Overlap of two boxes x, y, width, height."""
    return float(ious([a], [b])[0, 0])
