"""Runs the int8 file as the program does: letterbox, one inference, decode, merge."""

from pathlib import Path

import numpy as np

from ..runtime import PythonRunner
from .decode import Detection, faces, letterbox
from .manifest import MIN_SCORE


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
