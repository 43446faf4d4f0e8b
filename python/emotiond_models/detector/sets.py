"""The pictures that the detector is measured on, and those that it learns from."""

import csv
import io
import tarfile
from pathlib import Path

import numpy as np
from PIL import Image

MIN_SIDE = 40  # labelled faces smaller than this are left out
CLOSE_UPS = 300


def scenes(data: Path) -> list[tuple[str, np.ndarray, np.ndarray]]:
    """Name, RGB picture and labelled boxes `[n, 4]` (x, y, width, height) of at least MIN_SIDE, ordered by name.

    For reporting; nothing is trained on them.
    """
    with tarfile.open(data / "expw_scenes.tar") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.extractfile("labels.csv"))))
        pictures = {Path(m.name).name: picture(archive.extractfile(m).read()) for m in archive if m.name.endswith(".jpg")}
    boxes = {name: [] for name in pictures}
    for row in rows:
        left, top, right, bottom = (float(row[f"face_{side}"]) for side in ("left", "top", "right", "bottom"))
        if max(right - left, bottom - top) >= MIN_SIDE:
            boxes[row["image"]].append((left, top, right - left, bottom - top))
    return [(name, pictures[name], np.array(boxes[name]).reshape(-1, 4)) for name in sorted(pictures)]


def expw(data: Path, held_out: bool) -> list[np.ndarray]:
    """ExpW face crops, RGB 112×112, of the source pictures that are held out, or of all others.

    The 7 % held out are those that `emotiond_training.data` holds out too: whole source pictures.
    """
    with tarfile.open(data / "expw_faces.tar") as archive:
        rows = list(csv.DictReader(io.TextIOWrapper(archive.extractfile("labels.csv"))))
        names = sorted({row["source_image"] for row in rows})
        kept_back = np.random.default_rng(7).permutation(len(names)) < 0.07 * len(names)
        side = dict(zip(names, kept_back, strict=True))
        wanted = {f"faces/{row['face']}" for row in rows if side[row["source_image"]] == held_out}
        return [picture(archive.extractfile(m).read()) for m in archive if m.name in wanted]


def close_ups(data: Path) -> list[np.ndarray]:
    """CLOSE_UPS of the held-out ExpW crops, drawn once, enlarged to 480×480: nothing around the face."""
    crops = expw(data, held_out=True)
    drawn = np.random.default_rng(3).permutation(len(crops))[:CLOSE_UPS]
    return [np.asarray(Image.fromarray(crops[i]).resize((480, 480), Image.Resampling.BICUBIC)) for i in drawn]


def ferplus(data: Path, split: int) -> np.ndarray:
    """FER+ faces, uint8 `[n, 48, 48]`: split 0 train, 1 validation, 2 test; without those that most raters call no face."""
    source = np.load(data / "ferplus.npz")
    votes = source["votes"]
    return source["image"][(source["split"] == split) & (votes[:, 9] * 2 < votes.sum(1))]


def clip(path: Path) -> list[np.ndarray]:
    """The pictures of a video file, RGB (needs OpenCV, which reads MP4)."""
    import cv2

    video, found = cv2.VideoCapture(str(path)), []
    while True:
        more, bgr = video.read()
        if not more:
            break
        found.append(bgr[..., ::-1].copy())
    if not found:
        raise ValueError(f"{path} holds no picture that OpenCV can read")
    return found


def picture(content: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def lettering(seed: int) -> np.ndarray:
    """A row of thick strokes and rings on a sky, RGB 360×640, drawn as `tests/faces.rs` draws them."""
    state = (seed * 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF) | 1

    def random(below: int) -> int:
        nonlocal state
        state ^= state << 13 & 0xFFFFFFFFFFFFFFFF  # Xorshift (Marsaglia 2003)
        state ^= state >> 7
        state ^= state << 17 & 0xFFFFFFFFFFFFFFFF
        return (state >> 33) % below

    shade = np.arange(360) // 4 % 64
    image = np.broadcast_to(np.stack([30 + shade, 90 + shade, 130 + shade // 2], 1)[:, None], (360, 640, 3)).copy()
    height = 30 + random(60)
    left, top = 60 + random(60), 60 + random(160)
    while left < 520:
        width = height * (5 + random(4)) // 10
        stroke = height // 5 + random(4)
        shape, tilt = random(4), random(3) - 1
        ink = [200 + random(50), 150 + random(40), 110 + random(50)]
        y, x = np.mgrid[:height, :width]
        dx, dy = 2 * x - width, 2 * y - height
        radius = np.hypot(dx / width, dy / height)
        ring = (radius < 1.0) & (radius > 1.0 - 2.5 * stroke / width)
        inked = (
            ring,
            ring & (dx < width // 2) | (x > width - stroke),
            (x < stroke) | (x > width - stroke) | (y < stroke),
            np.abs(dx + np.fix(tilt * dy / 2)) < stroke,
        )[shape]
        inked = inked[: 360 - top, : 640 - left]
        image[top : top + height, left : left + width][inked] = ink
        left += width + stroke // 2
    return _blurred(image, 0.5 + random(5))


def _blurred(image: np.ndarray, sigma: float) -> np.ndarray:
    """A Gaussian, as the Rust crate's `blur`: a kernel that reaches two sigma, edges left out of the mean."""
    reach = int(2 * sigma)
    weights = np.exp(-np.arange(-reach, reach + 1) ** 2 / (2 * sigma * sigma))
    out = image.astype(np.float32)
    for axis in (0, 1):
        lined = np.moveaxis(out, axis, 0)
        total, weight = np.zeros_like(lined), np.zeros((len(lined), 1, 1), np.float32)
        for shift, w in zip(range(-reach, reach + 1), weights, strict=True):
            to = slice(max(0, -shift), len(lined) - max(0, shift))
            source = slice(max(0, shift), len(lined) - max(0, -shift))
            total[to] += w * lined[source]
            weight[to] += w
        out = np.moveaxis(total / weight, 0, axis)
    return np.rint(out).astype(np.uint8)
