"""What `camera.range` finds: pictures composed of faces at known sizes, seen as the program sees them."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from .decode import Detection, ious, merge
from .evaluate import MIN_IOU
from .runtime import Detector

WIDTH, HEIGHT = 1280, 720
AROUND = 2.2  # sides of a face that are cut out with it: hair, shoulders and what is behind
LARGEST = 30  # faces a picture, where they have room
# As `src/vision/detect/tiles.rs` has them.
SHARED, CUT, SAME, FIFTHS = 32, 2.0, 0.2, 4


def composed(scenes: list, side: int, count: int, seed: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Pictures of a blurred scene with rows of faces whose longer side is `side` pixels, and the boxes of these faces.

    `scenes` holds (name, picture, boxes x, y, width, height); faces of at least `side` pixels are cut out and shrunk.
    """
    rng = np.random.default_rng(seed)
    faces = [(image, box) for _, image, boxes in scenes for box in boxes if max(box[2:]) >= max(side, 60)]
    cell = int(side * AROUND) + 6
    columns = (WIDTH - 8) // cell
    rows = min((HEIGHT - 8) // cell, -(-LARGEST // columns))
    out = []
    for _ in range(count):
        _, ground, _ = scenes[rng.integers(len(scenes))]
        picture = Image.fromarray(ground).resize((WIDTH, HEIGHT)).filter(ImageFilter.GaussianBlur(40))
        grain = rng.normal(0, 4, (HEIGHT, WIDTH, 1))
        picture = Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8))
        boxes = []
        for place in range(min(LARGEST, rows * columns)):
            image, box = faces[rng.integers(len(faces))]
            patch, inside = _cut(image, box, side)
            jitter = rng.integers(0, 5, 2)
            left, top = np.array([4 + place % columns * cell, 4 + place // columns * cell]) + jitter
            mask = Image.new("L", patch.size, 0)
            edge = max(1, patch.size[0] // 12)
            mask.paste(255, (edge, edge, patch.size[0] - edge, patch.size[1] - edge))
            picture.paste(patch, (int(left), int(top)), mask.filter(ImageFilter.GaussianBlur(edge / 2)))
            boxes.append(inside + [left, top, 0, 0])
        out.append((np.asarray(picture), np.array(boxes)))
    return out


def _cut(image: np.ndarray, box: np.ndarray, side: int) -> tuple[Image.Image, np.ndarray]:
    """A face with what is around it, shrunk to `side` pixels, and its box there."""
    scale = side / max(box[2:])
    center = np.asarray(box[:2], float) + np.asarray(box[2:], float) / 2
    half = AROUND * max(box[2:]) / 2
    low = np.maximum(center - half, 0)
    high = np.minimum(center + half, [image.shape[1], image.shape[0]])
    size = np.maximum(np.round((high - low) * scale).astype(int), 1)
    patch = Image.fromarray(image).resize(tuple(size), Image.Resampling.BOX if scale < 0.5 else Image.Resampling.BILINEAR,
                                          box=(*low, *high))
    return patch, np.array([*(np.asarray(box[:2]) - low) * scale, *np.asarray(box[2:], float) * scale])


def parts(width: int, height: int, across: int, down: int) -> list[tuple[int, int, int, int]]:
    """Parts of a size that cover a picture: left, top, width, height."""
    if width <= across and height <= down:
        return []

    def spread(side: int, part: int) -> list[tuple[int, int]]:
        part = min(part, side)
        count = 1 - (part - side) // max(part - SHARED, 1)
        return [(i * (side - part) // max(count - 1, 1), part) for i in range(count)]

    return [(left, top, wide, tall) for top, tall in spread(height, down) for left, wide in spread(width, across)]


def hall(detector: Detector) -> Callable[[np.ndarray], list[Detection]]:
    """The whole picture and all parts of it."""

    def detect(picture: np.ndarray) -> list[Detection]:
        height, width, _ = picture.shape
        far = []
        for left, top, wide, tall in parts(width, height, detector.width * FIFTHS // 5, detector.height * FIFTHS // 5):
            part = np.ascontiguousarray(picture[top : top + tall, left : left + wide])
            for face in detector.detect(part):
                x, y, w, h = face.box
                if ((left > 0 and x < CUT) or (top > 0 and y < CUT) or (left + wide < width and x + w > wide - CUT)
                        or (top + tall < height and y + h > tall - CUT)):
                    continue
                face.box = face.box + [left, top, 0, 0]
                face.points = face.points + [left, top]
                far.append(face)
        near = detector.detect(picture)
        if far:
            arrays = (np.array([getattr(face, name) for face in far]) for name in ("box", "points", "score"))
            far = merge(*arrays, SAME)
        seen = np.array([face.box for face in near]).reshape(-1, 4)
        return near + [face for face in far if not (ious([face.box], seen) > SAME).any()]

    return detect


def recall(detect: Callable[[np.ndarray], list[Detection]], pictures) -> tuple[float, float]:
    """The share of faces found, and detections a picture that are none of these faces."""
    hits, others = [], 0
    for picture, boxes in pictures:
        found = np.array([face.box for face in detect(picture)]).reshape(-1, 4)
        over = ious(boxes, found) > MIN_IOU
        hits += over.any(1).tolist()
        others += int((~over.any(0)).sum())
    return float(np.mean(hits)), others / len(pictures)
