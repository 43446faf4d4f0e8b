"""Runs the int8 file as the program does: letterbox, one inference, decode, merge."""

from pathlib import Path

import numpy as np

from .decode import Detection, faces, letterbox
from .manifest import MIN_SCORE


class Detector:
    """A `.tflite` as `tflite.write` makes it."""

    def __init__(self, content: bytes | Path, threads: int = 1):
        from ai_edge_litert.interpreter import Interpreter

        if isinstance(content, Path):
            content = content.read_bytes()
        self.interpreter = Interpreter(model_content=content, num_threads=threads)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.outputs = self.interpreter.get_output_details()
        _, self.height, self.width, _ = (int(v) for v in self.input["shape"])

    def levels(self, box: np.ndarray) -> list[np.ndarray]:
        """The outputs for a letterbox, uint8 RGB `[height, width, 3]`, as float."""
        scale, zero = self.input["quantization"]
        x = np.clip(np.rint(box.astype(np.float32) / scale + zero), -128, 127).astype(np.int8)
        self.interpreter.set_tensor(self.input["index"], x[None])
        self.interpreter.invoke()
        found = []
        for output in self.outputs:
            scale, zero = output["quantization"]
            found.append((self.interpreter.get_tensor(output["index"])[0].astype(np.float32) - zero) * scale)
        return found

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
