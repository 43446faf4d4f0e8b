"""The crop between face detector and emotion network, as emotiond's runtime makes it.

Two definitions of the square; docs/manifest.md says when each is used:

- by the box (`align = "eyes"` or `"none"`): with s the longer side of the detector's box (pixels), c its centre and
  theta the angle of the line from the subject's right eye to the left one (0 without alignment), the square of side
  `scale * s` centred on `c + R(theta) (offset * s)` and turned by theta;
- by the landmarks (`align = "landmarks"`): the same with the unit, centre and angle of `frame`, which come from the eyes
  and the mouth and depend on no box.

Outside the picture the nearest edge pixel is repeated. `warp` computes in single precision and in whole numbers what
`src/capture/frame/warp.rs` computes, in the same order; `tests/data/crops.jsonl` holds both to it.
"""

import math
from dataclasses import dataclass

import numpy as np

F = np.float32

# An average face seen from the front: how far each eye is from the middle, in units of the distance from between the eyes
# to the mouth. And where emotiond-face's box is: the unit in longer sides of the box, and how far the frame's centre is
# below the box's, likewise. Medians over 27,583 ExpW faces.
HALF_EYES = F(0.466)
UNIT_OF_BOX, CENTRE_OF_BOX = F(0.355), F(0.057)
# Landmarks make sense if the unit is such a share of the box's longer side; 99.8 % of these faces have 0.28 to 0.46.
SENSIBLE = (F(0.2), F(0.6))


@dataclass(frozen=True)
class Square:
    """A turned square in picture coordinates: centre and side in pixels, angle in radians."""

    x: float
    y: float
    side: float
    angle: float


def eye_angle(right_eye: np.ndarray, left_eye: np.ndarray) -> float:
    """Angle of the eye line; the subject's right eye is on the picture's left."""
    return float(np.arctan2(left_eye[1] - right_eye[1], left_eye[0] - right_eye[0]))


def crop_square(box, angle: float, scale: float, offset=(0.0, 0.0)) -> Square:
    """`box` is x, y, width, height; `offset` is in units of the box's longer side, turned with the face."""
    x, y, width, height = (F(v) for v in box)
    return _square(x + width / F(2), y + height / F(2), max(width, height), angle, scale, offset)


def frame(box, points) -> tuple[float, float, float, float]:
    """Centre x and y, unit and angle of a face: the similarity that its eyes and mouth say.

    `points` holds the right eye, the left eye and the middle of the mouth, `[3, 2]`, in pixels. The angle is that of
    least squares over the three. The unit is the larger of what the distance of the eyes and that of eyes and mouth say:
    a face that turns aside or nods shortens one of them and keeps the other. The mouth counts by its middle, because a
    smile makes it wider. Landmarks that make no sense are answered with an average face in the box, upright.
    """
    x, y, width, height = (F(v) for v in box)
    (rx, ry), (lx, ly), (mx, my) = ((F(u), F(v)) for u, v in points)
    across, along = lx - rx, ly - ry
    ex, ey = (lx + rx) / F(2), (ly + ry) / F(2)
    side, down = mx - ex, my - ey
    # Least squares: the sum of the landmarks times the conjugate template, whose eyes are at (-HALF_EYES, -1/3) and
    # (HALF_EYES, -1/3), and its mouth at (0, 2/3).
    zx = HALF_EYES * across + down * F(2) / F(3)
    zy = HALF_EYES * along - side * F(2) / F(3)
    length = np.sqrt(zx * zx + zy * zy)
    longer = max(width, height)
    if length > 0:
        cos, sin = zx / length, zy / length
        eyes = (across * cos + along * sin) / (HALF_EYES * F(2))
        mouth = down * cos - side * sin
        unit = max(eyes, mouth)
        if SENSIBLE[0] * longer <= unit <= SENSIBLE[1] * longer:
            return (ex + mx) / F(2), (ey + my) / F(2), unit, F(math.atan2(zy, zx))
    return x + width / F(2), y + height / F(2) + CENTRE_OF_BOX * longer, UNIT_OF_BOX * longer, F(0)


def landmark_square(box, points, scale: float, offset=(0.0, 0.0)) -> Square:
    """The square of `frame`'s face: `scale` and `offset` are in its units."""
    return _square(*frame(box, points), scale, offset)


def _square(x, y, unit, angle, scale, offset) -> Square:
    unit, (cos, sin) = F(unit), _direction(angle)
    dx, dy = (F(part) * unit for part in offset)
    return Square(F(x) + cos * dx - sin * dy, F(y) + sin * dx + cos * dy, F(scale) * unit, F(angle))


def _direction(angle) -> tuple[np.float32, np.float32]:
    """Cosine and sine, rounded correctly; NumPy's own of single precision are off by a bit now and then."""
    return F(math.cos(F(angle))), F(math.sin(F(angle)))


def warp(image: np.ndarray, square: Square, size: int) -> np.ndarray:
    """Sample `square` of a uint8 picture (`[h, w]` or `[h, w, c]`) to `size` x `size`.

    Whole blocks of pixels are averaged first, which leaves at most three source pixels an output pixel; then each output
    pixel is one bilinear sample, or the mean of four where more than one and a half source pixels are left.
    """
    colours = image if image.ndim == 3 else image[..., None]
    x, y, side = F(square.x), F(square.y), F(square.side)
    cos, sin = _direction(square.angle)
    ratio = side / F(size)
    factor = max(1, int(_round(ratio / F(2))))
    left, top, scale = 0, 0, F(1)
    if factor > 1:
        reach = side / F(2) * (abs(sin) + abs(cos)) + F(2) * F(factor)
        left, width = _span(x, reach, colours.shape[1], factor)
        top, height = _span(y, reach, colours.shape[0], factor)
        region = colours[top : top + height * factor, left : left + width * factor]
        colours = _blocks(region, width, height)
        scale = F(1) / F(factor)
    samples = 1 if ratio / F(factor) <= F(1.5) else 2
    step = side / (F(size) * F(samples))
    along = step / F(2) - side / F(2)
    down = (np.arange(size * samples, dtype=F) + F(0.5)) * step - side / F(2)
    first_x = _fixed((x + cos * along - sin * down - F(left)) * scale - F(0.5))
    first_y = _fixed((y + sin * along + cos * down - F(top)) * scale - F(0.5))
    count = np.arange(size * samples, dtype=np.int64)
    xs = first_x[:, None] + _fixed(cos * step * scale) * count
    ys = first_y[:, None] + _fixed(sin * step * scale) * count
    sums = _bilinear(colours, xs, ys).reshape(size, samples, size, samples, -1).sum((1, 3))
    parts = samples * samples
    out = ((sums + (parts << 15)) // (parts << 16)).astype(np.uint8)
    return out if image.ndim == 3 else out[..., 0]


BITS = 12  # fractional bits of a sampling position
ONE = 1 << BITS


def _round(value):
    """To whole numbers, halves away from zero."""
    return np.trunc(value + np.copysign(F(0.5), value))


def _fixed(value) -> np.ndarray:
    # In double precision: adding a half to a large single would round it first.
    return _round((np.asarray(value, F) * F(ONE)).astype(np.float64)).astype(np.int64)


def _span(centre: np.float32, reach: np.float32, side: int, factor: int) -> tuple[int, int]:
    """The first pixel of a region around a square, and its number of blocks."""
    last = F(side - 1)
    low = int(np.clip(np.floor(centre - reach), 0, last))
    high = int(np.clip(np.ceil(centre + reach), 0, last))
    return low, max(1, (high - low + 1) // factor)


def _blocks(region: np.ndarray, width: int, height: int) -> np.ndarray:
    """The mean of each block, first along columns and then along rows, each rounded, as the program's resizer does it."""
    for axis, count in ((0, height), (1, width)):
        factor = region.shape[axis] // count
        bits = 15
        while _round((1 << (bits + 1)) / factor) < 1 << 15:
            bits += 1
        weight = int(_round((1 << bits) / factor))
        split = region.shape[:axis] + (count, factor) + region.shape[axis + 1 :]
        sums = region.astype(np.int64).reshape(split).sum(axis + 1) * weight
        region = np.clip((sums + (1 << (bits - 1))) >> bits, 0, 255)
    return region.astype(np.uint8)


def _bilinear(image: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """Values in units of 2^-16."""
    height, width = image.shape[:2]
    xs, ys = np.clip(xs, 0, (width - 1) << BITS), np.clip(ys, 0, (height - 1) << BITS)
    left, top = xs >> BITS, ys >> BITS
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    fx, fy = ((at & (ONE - 1)) >> (BITS - 8) for at in (xs, ys))
    fx, fy = fx[..., None].astype(np.int32), fy[..., None].astype(np.int32)
    flat = image.reshape(height * width, -1).astype(np.int32)
    upper = flat.take(top * width + left, 0) * (256 - fx) + flat.take(top * width + right, 0) * fx
    lower = flat.take(bottom * width + left, 0) * (256 - fx) + flat.take(bottom * width + right, 0) * fx
    return upper * (256 - fy) + lower * fy
