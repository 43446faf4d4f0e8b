"""Data preparation: every training face cut once, as emotiond's runtime would cut it.

A prepared set is `NAME.npz` in the work folder:

- `image` uint8 `[n, CACHE, CACHE]` (grey) or `[n, CACHE, CACHE, 3]` (RGB), upright by the landmarks,
  1.25 times as wide as the network's crop so that augmentation can move inside it
- `target` float32 `[n, 8]` label distribution, `majority` int8 (-1: none of the eight)
- `votes` uint8 `[n, 10]` (FER+), `split` 0 train, 1 validation, 2 test
- `found` whether the detector saw a face (else a box fixed by the set was used)

`NAME-located.npy` beside it holds what the detector said of each picture, by `locate`.
"""

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

from ..detector.runtime import Detector
from .contract import CROP_OFFSET, CROP_SCALE
from .crop import landmark_square, warp

EXPW_NAMES = {"neutral": 0, "happy": 1, "surprise": 2, "sad": 3, "angry": 4, "disgust": 5, "fear": 6,
              "happiness": 1, "sadness": 3, "anger": 4}

RARE = [5, 6, 7]  # disgust, fear, contempt

TRAINED_ON = ("ferplus", "expw")  # the sets that `prepare` writes

CACHE_MARGIN = 1.25  # the cached square is this much wider than the crop
CACHE = 128

# Where a close-up's face is if the detector sees none: centre x, y and side of its box, medians of those that it sees.
FALLBACK = {"ferplus": (0.5, 0.51, 1.05), "expw": (0.52, 0.56, 0.91)}
PADDING = {"ferplus": 0.15, "expw": 0.3}  # repeated edge pixels on each side, in sides of the picture: room for a box
MIN_SCORE = 0.3  # we know that there is a face

# A face in 11 numbers: the box's x, y, width and height; right eye, left eye and middle of the mouth, x and y each; and
# 1 if the detector saw it. Pixels of the picture.
FACE = 11

DETECTOR = Path(__file__).parents[3] / "models/emotiond-face.tflite"


def numbers(detection) -> np.ndarray:
    """A `decode.Detection` in FACE numbers."""
    right_eye, left_eye, _, right, left = detection.points
    return np.concatenate([detection.box, right_eye, left_eye, (right + left) / 2, [1.0]])


def unseen(box) -> np.ndarray:
    """A box without landmarks: the crop makes an average face of it."""
    return np.concatenate([box, np.zeros(FACE - 4)])


def locate(detector: Detector, image: np.ndarray, name: str) -> np.ndarray:
    """The face of a close-up of a set: uint8 RGB in, FACE numbers out."""
    side = image.shape[0]
    margin = round(side * PADDING[name])
    padded = np.pad(image, ((margin, margin), (margin, margin), (0, 0)), mode="edge")
    found = detector.detect(padded, MIN_SCORE)
    if not found:
        x, y, width = (v * side for v in FALLBACK[name])
        return unseen((x - width / 2, y - width / 2, width, width))
    face = numbers(found[0])
    face[:2] -= margin
    face[4:10] -= margin
    return face


def located(work: Path, name: str, images) -> np.ndarray:
    """`locate` of each picture of a set, `[n, FACE]`; kept in the work folder."""
    path = work / f"{name}-located.npy"
    if not path.exists():
        detector = Detector(DETECTOR)
        faces = np.stack([locate(detector, image, name) for image in images])
        print(f"{name}: {len(faces)} faces, of which the detector sees {faces[:, -1].mean():.4f}", flush=True)
        np.save(path, faces)
    return np.load(path)


def cut(image: np.ndarray, face: np.ndarray, scale: float = CROP_SCALE * CACHE_MARGIN, offset=CROP_OFFSET) -> np.ndarray:
    """The cached square of a face, given in FACE numbers."""
    square = landmark_square(face[:4], face[4:10].reshape(3, 2), scale, offset)
    return warp(image, square, CACHE)


def ferplus_targets(votes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Soft targets over the eight expressions, and the plurality label among all ten columns.

    As in the FER+ reference code a label with a single vote is taken for an outlier and dropped, and `majority` is -1
    where "unknown" or "not a face" wins. But single votes for RARE expressions stay in the targets: few raters see these,
    and what one alone sees is most of what the set says of them.
    """
    kept = np.where(votes <= 1, 0, votes).astype(np.float32)
    empty = kept.sum(1) == 0
    kept[empty] = votes[empty]
    top = kept.argmax(1)
    majority = np.where(top < 8, top, -1).astype(np.int8)
    kept[:, RARE] = votes[:, RARE]
    eight = kept[:, :8]
    return eight / np.maximum(eight.sum(1, keepdims=True), 1e-9), majority


def prepare_ferplus(data: Path, work: Path) -> None:
    source = np.load(data / "ferplus.npz")
    votes, images = source["votes"], source["image"]
    target, majority = ferplus_targets(votes)
    faces = located(work, "ferplus", Pictures(data, "ferplus"))
    out = np.stack([cut(image, face) for image, face in zip(images, faces, strict=True)])
    np.savez(work / "ferplus.npz", image=out, target=target, majority=majority, votes=votes,
             split=source["split"], found=faces[:, -1] > 0)


class Pictures:
    """The uint8 RGB pictures of a set, by their index."""

    def __init__(self, data: Path, name: str):
        self._stored = np.load(data / "ferplus.npz")["image"] if name == "ferplus" else expw_pictures(data)[1]

    def __len__(self) -> int:
        return len(self._stored)

    def __getitem__(self, i: int) -> np.ndarray:
        if i >= len(self):
            raise IndexError(i)
        stored = self._stored[i]
        return opened(stored) if isinstance(stored, bytes) else np.repeat(stored[..., None], 3, 2)


def expw_pictures(data: Path) -> tuple[list[dict], list[bytes]]:
    """The rows of the label file, and the JPEG file of each."""
    with tarfile.open(data / "expw_faces.tar") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.extractfile("labels.csv"))))
        jpegs = {m.name: archive.extractfile(m).read() for m in archive if m.name.endswith(".jpg")}
    return rows, [jpegs[f"faces/{row['face']}"] for row in rows]


def opened(jpeg: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(jpeg)).convert("RGB"))


def prepare_expw(data: Path, work: Path) -> None:
    """The split follows the source picture, so that no picture is on both sides."""
    rows, _ = expw_pictures(data)
    pictures = Pictures(data, "expw")
    sources = {name: i for i, name in enumerate(sorted({row["source_image"] for row in rows}))}
    held_out = np.random.default_rng(7).permutation(len(sources)) < 0.07 * len(sources)
    majority = np.array([EXPW_NAMES[row["label"]] for row in rows], np.int8)
    split = np.array([held_out[sources[row["source_image"]]] for row in rows], np.int8)
    faces = located(work, "expw", pictures)
    out = np.stack([cut(picture, face) for picture, face in zip(pictures, faces, strict=True)])
    np.savez(work / "expw.npz", image=out, target=np.eye(8, dtype=np.float32)[majority], majority=majority,
             split=split, found=faces[:, -1] > 0)


def prepare(data: Path, work: Path) -> None:
    prepare_ferplus(data, work)
    prepare_expw(data, work)
