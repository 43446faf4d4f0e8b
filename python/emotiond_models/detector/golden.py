"""Expected detections for the program's own tests: pictures as they are, and mirrored."""

import json
from pathlib import Path

import numpy as np
from PIL import Image

from .runtime import Detector


def lines(detector: Detector, path: Path, mirror: bool = True) -> str:
    """One JSON line or two; boxes are x, y, width, height and keypoints x, y, in pixels of the picture."""
    picture = np.asarray(Image.open(path).convert("RGB"))
    out = []
    for mirrored in (False, True) if mirror else (False,):
        seen = np.ascontiguousarray(picture[:, ::-1]) if mirrored else picture
        faces = [{"box": d.box.tolist(), "score": d.score, "keypoints": d.points.tolist()} for d in detector.detect(seen)]
        out.append(json.dumps({"path": f"tests/data/{path.name}", "mirrored": mirrored, "faces": faces}))
    return "\n".join(out) + "\n"
