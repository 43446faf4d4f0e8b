"""Runs the int8 file as the program does: letterbox, one inference, decode, merge."""

from pathlib import Path

import numpy as np

from ..runtime import PythonRunner
from .decode import Detection, faces, ious, letterbox
from .manifest import MIN_SCORE, PART_SCORE

AROUND, SAME = 2.2, 0.2  # as `src/vision/detect/follow.rs` has them


class Detector:
    """A `.tflite` as `tflite.write` makes it."""

    def __init__(self, content: bytes | Path, threads: int = 1):
        self.runner = PythonRunner(content, threads)
        _, self.height, self.width, _ = self.runner.input_shape

    def levels(self, box: np.ndarray) -> list[np.ndarray]:
        """The outputs for a letterbox, uint8 RGB `[height, width, 3]`, as float."""
        return [level[0] for level in self.runner(box[None].astype(np.float32))]

    def detect(self, picture: np.ndarray, min_score: float = MIN_SCORE) -> list[Detection]:
        box, fit = letterbox(picture, self.width, self.height)
        return faces(self.levels(box), fit, min_score)


class Sure:
    """The faces that their part of the picture shows as well, as the program takes them."""

    def __init__(self, whole: Detector, part: Detector):
        self.whole, self.part = whole, part

    def detect(self, picture: np.ndarray, min_score: float = MIN_SCORE) -> list[Detection]:
        return [face for face in self.whole.detect(picture, min_score) if self.closer(picture, face) is not None]

    def closer(self, picture: np.ndarray, face: Detection) -> Detection | None:
        """The face in the part of the picture around `face` that lies where that lies."""
        left, top, width, height = around(face.box, picture.shape[1], picture.shape[0])
        found = self.part.detect(np.ascontiguousarray(picture[top : top + height, left : left + width]), PART_SCORE)
        for other in found:
            other.box, other.points = other.box + [left, top, 0, 0], other.points + [left, top]
        overlaps = ious(face.box[None], np.array([other.box for other in found]).reshape(-1, 4))[0]
        return found[overlaps.argmax()] if len(found) and overlaps.max() > SAME else None


def around(box, width: int, height: int) -> tuple[int, int, int, int]:
    """The square around a face, moved into the picture and no larger than it: left, top, width, height."""
    center, side = np.asarray(box[:2]) + np.asarray(box[2:]) / 2, max(box[2:]) * AROUND

    def place(middle: float, limit: int) -> tuple[int, int]:
        length = int(np.clip(np.floor(side + 0.5), 1, limit))
        return min(int(max(np.floor(middle - length / 2 + 0.5), 0)), limit - length), length

    (left, wide), (top, tall) = place(center[0], width), place(center[1], height)
    return left, top, wide, tall


class Float:
    """The network in float with the same interface, for comparison (needs PyTorch); `steps` as in `YuNet.forward`."""

    def __init__(self, net, width: int, height: int, steps=None):
        self.net, self.width, self.height, self.steps = net, width, height, steps

    def levels(self, box: np.ndarray) -> list[np.ndarray]:
        import torch

        from .network import maps

        with torch.no_grad():
            x = torch.from_numpy(np.ascontiguousarray(box.transpose(2, 0, 1)))[None].float()
            return maps(self.net(x, self.steps))[0]

    detect = Detector.detect
