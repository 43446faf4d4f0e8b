"""The crops that Rust and Python are both held to: `python -m emotiond_models.training.golden > tests/data/crops.jsonl`."""

import json

import numpy as np

from .contract import CROP_OFFSET, CROP_SCALE
from .crop import crop_square, eye_angle, landmark_square, warp

SIZE = 24
PICTURE = (320, 240)
# Box, then right eye, left eye and middle of the mouth.
UPRIGHT = ((100, 60, 80, 96), ((122.5, 98.25), (157.0, 97.5), (140.25, 131.0)))
TURNED = ((60, 40, 120, 150), ((97.5, 90.0), (146.0, 112.5), (101.0, 149.25)))
PROFILE = ((150, 30, 90, 110), ((216.0, 72.0), (225.5, 73.0), (219.0, 108.5)))
SMALL = ((10.5, 190.25, 18, 22), ((15.5, 199.0), (23.25, 198.5), (19.5, 206.25)))
LARGE = ((-40, -60, 380, 420), ((80.0, 100.5), (238.0, 93.0), (165.5, 236.0)))
SENSELESS = ((200, 100, 60, 70), ((0.0, 0.0), (0.0, 0.0), (0.0, 0.0)))
CASES = [
    *(("landmarks", face, CROP_SCALE, CROP_OFFSET) for face in (UPRIGHT, TURNED, PROFILE, SMALL, LARGE, SENSELESS)),
    ("eyes", TURNED, 1.0, (0.0, 0.024)),
    ("none", UPRIGHT, 1.2, (0.1, -0.05)),
]


def picture(width: int, height: int) -> np.ndarray:
    """Slopes, edges and noise, by whole numbers that need no file."""
    y, x = np.mgrid[:height, :width].astype(np.int64)
    return (np.stack([x * x // 16 + y * 7, (x * 11) ^ (y * 5), x * y // 8], -1) & 255).astype(np.uint8)


def crop(align: str, face, scale: float, offset) -> np.ndarray:
    """A case of CASES, uint8 `[SIZE, SIZE, 3]`."""
    box, points = face
    if align == "landmarks":
        square = landmark_square(box, points, scale, offset)
    else:
        angle = eye_angle(np.array(points[0]), np.array(points[1])) if align == "eyes" else 0.0
        square = crop_square(box, angle, scale, offset)
    return warp(picture(*PICTURE), square, SIZE)


def lines() -> str:
    out = []
    for align, face, scale, offset in CASES:
        pixels = crop(align, face, scale, offset).tobytes().hex()
        out.append(json.dumps({"picture": PICTURE, "box": face[0], "points": face[1], "align": align, "scale": scale,
                               "offset": offset, "size": SIZE, "pixels": pixels}))
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    print(lines(), end="")
