"""Data preparation: every training face cut once, as emotiond's runtime would cut it.

A prepared set is `NAME.npz` in the work folder:

- `image` uint8 `[n, CACHE, CACHE]` (grey) or `[n, CACHE, CACHE, 3]` (RGB), eyes level,
  1.25 times as wide as the network's crop so that augmentation can move inside it
- `target` float32 `[n, 8]` label distribution, `majority` int8 (-1: none of the eight)
- `votes` uint8 `[n, 10]` (FER+), `split` 0 train, 1 validation, 2 test
- `found` whether the detector saw a face (else a box fixed by the set was used)
"""

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from .blazeface import BlazeFace
from .contract import CROP_OFFSET, CROP_SCALE
from .crop import crop_square, eye_angle, warp

EXPW_NAMES = {"neutral": 0, "happy": 1, "surprise": 2, "sad": 3, "angry": 4, "disgust": 5, "fear": 6,
              "happiness": 1, "sadness": 3, "anger": 4}

TRAINED_ON = ("ferplus", "expw")  # the sets that `prepare` writes

CACHE_MARGIN = 1.25  # the cached square is this much wider than the crop
CACHE = 112

FERPLUS_BOX = (0.5, 0.57, 0.88)  # centre x, y and side: medians of the detector's boxes
EXPW_BOX = (0.5, 0.62, 0.79)
MIN_SCORE = 0.3  # we know that there is a face


def cut(detector: BlazeFace, image: np.ndarray, padding: float, fallback) -> tuple[np.ndarray, bool]:
    """The cached square of the face in a close-up, RGB in, RGB out."""
    side = image.shape[0]
    margin = round(side * padding)
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    found = detector.detect(padded, MIN_SCORE)
    if found:
        box, points = found[0].box - (margin, margin, 0, 0), found[0].points
        angle = eye_angle(points[0], points[1])
    else:
        x, y, width = (v * side for v in fallback)
        box, angle = (x - width / 2, y - width / 2, width, width), 0.0
    square = crop_square(box, angle, CROP_SCALE * CACHE_MARGIN, CROP_OFFSET)
    return warp(image, square, CACHE), bool(found)


def ferplus_targets(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Soft targets over the eight expressions, and the plurality label among all ten columns.

    As in the FER+ reference code a label with a single vote is taken for an outlier and
    dropped. `majority` is -1 where "unknown" or "not a face" wins.
    """
    kept = np.where(votes <= 1, 0, votes).astype(np.float32)
    empty = kept.sum(1) == 0
    kept[empty] = votes[empty]
    top = kept.argmax(1)
    majority = np.where(top < 8, top, -1).astype(np.int8)
    eight = kept[:, :8]
    return eight / np.maximum(eight.sum(1, keepdims=True), 1e-9), majority


def prepare_ferplus(data: Path, work: Path, detector: BlazeFace) -> None:
    source = np.load(data / "ferplus.npz")
    votes, images = source["votes"], source["image"]
    target, majority = ferplus_targets(votes)
    out = np.empty((len(images), CACHE, CACHE), np.uint8)
    found = np.zeros(len(images), bool)
    for i, image in enumerate(images):
        square, found[i] = cut(detector, np.repeat(image[..., None], 3, 2), 0.15, FERPLUS_BOX)
        out[i] = square[..., 0]
    print(f"FER+: {len(out)} faces, detector found {found.mean():.4f}", flush=True)
    np.savez(work / "ferplus.npz", image=out, target=target, majority=majority, votes=votes,
             split=source["split"], found=found)


def prepare_expw(data: Path, work: Path, detector: BlazeFace) -> None:
    """The split follows the source picture, so that no picture is on both sides."""
    with tarfile.open(data / "expw_faces.tar") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.extractfile("labels.csv"))))
        jpegs = {m.name: archive.extractfile(m).read() for m in archive if m.name.endswith(".jpg")}
    sources = {name: i for i, name in enumerate(sorted({row["source_image"] for row in rows}))}
    held_out = np.random.default_rng(7).permutation(len(sources)) < 0.07 * len(sources)
    out = np.empty((len(rows), CACHE, CACHE, 3), np.uint8)
    found = np.zeros(len(rows), bool)
    majority = np.array([EXPW_NAMES[row["label"]] for row in rows], np.int8)
    split = np.array([held_out[sources[row["source_image"]]] for row in rows], np.int8)
    for i, row in enumerate(rows):
        image = np.asarray(Image.open(io.BytesIO(jpegs[f"faces/{row['face']}"])).convert("RGB"))
        out[i], found[i] = cut(detector, image, 0.3, EXPW_BOX)
    target = np.eye(8, dtype=np.float32)[majority]
    print(f"ExpW: {len(out)} faces, detector found {found.mean():.4f}", flush=True)
    np.savez(work / "expw.npz", image=out, target=target, majority=majority, split=split, found=found)


def prepare(data: Path, work: Path) -> None:
    detector = BlazeFace(work, "short")
    prepare_ferplus(data, work, detector)
    prepare_expw(data, work, detector)
