"""The crop between face detector and emotion network, as emotiond's runtime makes it.

With s the longer side of the detector's box (pixels), c its centre and theta the
angle of the line from the subject's right eye to the left one (0 without
alignment), the crop is the square of side `scale * s` centred on
`c + R(theta) (offset * s)` and turned by theta, so that the eyes lie level.
Outside the picture the nearest edge pixel is repeated.
"""

from dataclasses import dataclass

import numpy as np


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
    x, y, width, height = box
    longer = max(width, height)
    cos, sin = np.cos(angle), np.sin(angle)
    dx, dy = offset[0] * longer, offset[1] * longer
    return Square(
        x + width / 2 + cos * dx - sin * dy,
        y + height / 2 + sin * dx + cos * dy,
        scale * longer,
        angle,
    )


def warp(image: np.ndarray, square: Square, size: int) -> np.ndarray:
    """Sample `square` of a uint8 picture (`[h, w]` or `[h, w, c]`) to `size` x `size`.

    Bilinear; when the crop shrinks by a factor n, each output pixel is the mean of
    ceil(n) x ceil(n) bilinear samples, which keeps fine texture from aliasing.
    """
    samples = max(1, int(np.ceil(square.side / size - 1e-6)))
    steps = size * samples
    at = ((np.arange(steps, dtype=np.float32) + 0.5) / steps - 0.5) * square.side
    cos, sin = np.cos(square.angle), np.sin(square.angle)
    # -0.5: pixel (0, 0) has its centre at coordinate (0.5, 0.5).
    xs = square.x + cos * at[None, :] - sin * at[:, None] - 0.5
    ys = square.y + sin * at[None, :] + cos * at[:, None] - 0.5
    out = _bilinear(image, xs.astype(np.float32), ys.astype(np.float32))
    out = out.reshape(size, samples, size, samples, *image.shape[2:]).mean((1, 3))
    return np.clip(np.rint(out), 0, 255).astype(np.uint8)


def _bilinear(image: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    height, width = image.shape[:2]
    xs = np.clip(xs, 0, width - 1)
    ys = np.clip(ys, 0, height - 1)
    x0, y0 = xs.astype(np.int32), ys.astype(np.int32)
    x1, y1 = np.minimum(x0 + 1, width - 1), np.minimum(y0 + 1, height - 1)
    fx, fy = xs - x0, ys - y0
    if image.ndim == 3:
        fx, fy = fx[..., None], fy[..., None]
    top = image[y0, x0] * (1 - fx) + image[y0, x1] * fx
    bottom = image[y1, x0] * (1 - fx) + image[y1, x1] * fx
    return top * (1 - fy) + bottom * fy
