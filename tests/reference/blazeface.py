#!/usr/bin/env python3
"""An independent BlazeFace: the yardstick for emotiond's own.

Written from MediaPipe's published graphs and the BlazeFace paper with numpy, Pillow and LiteRT; shares no code, no
manifest and no resizing library with the program. Prints one JSON line a picture:
{"path", "faces": [{"box": [x, y, w, h], "score", "keypoints": [[x, y] * 6]}]} in pixels of the picture.

    blazeface.py DETECTOR MODEL.tflite PICTURE...

Options of the detectors: mediapipe/modules/face_detection/face_detection_{short_range,full_range}.pbtxt and
face_detection_back_desktop_live.pbtxt (MediaPipe 0.8).
"""

import json
import sys

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image

# strides per layer, interpolated_scale_aspect_ratio, min_score_thresh (back: published 0.65, 0.5 in emotiond)
OPTIONS = {
    "blazeface-short": ([8, 16, 16, 16], 1.0, 0.5),
    "blazeface-back": ([16, 32, 32, 32], 1.0, 0.5),
    "blazeface-full": ([4], 0.0, 0.6),
}
SCORE_CLIPPING_THRESH = 100.0
MIN_SUPPRESSION_THRESHOLD = 0.3


def ssd_anchor_centres(side, strides, interpolated_scale_aspect_ratio):
    """SsdAnchorsCalculator with aspect_ratios: [1.0] and fixed_anchor_size: true, so centres are all that counts."""
    # Per layer: one anchor for the aspect ratio 1.0, another for the interpolated scale if that ratio is above 0.
    per_layer = 1 + int(interpolated_scale_aspect_ratio > 0)
    centres = []
    layer = 0
    while layer < len(strides):
        end = layer
        while end < len(strides) and strides[end] == strides[layer]:
            end += 1
        cells = int(np.ceil(side / strides[layer]))
        middle = (np.arange(cells) + 0.5) / cells
        grid_y, grid_x = np.meshgrid(middle, middle, indexing="ij")
        grid = np.stack([grid_x, grid_y], axis=-1).reshape(-1, 2)
        centres.append(np.repeat(grid, per_layer * (end - layer), axis=0))
        layer = end
    return np.concatenate(centres)


def iou(box, boxes):
    """Intersection over union of one box with many; boxes are x0, y0, x1, y1."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    common = np.prod(np.clip(high - low, 0, None), axis=1)
    area = lambda b: np.prod(b[..., 2:] - b[..., :2], axis=-1)
    return common / np.maximum(area(box) + area(boxes) - common, 1e-12)


class Detector:
    def __init__(self, name, model):
        strides, ratio, self.min_score = OPTIONS[name]
        self.net = Interpreter(model_path=model, num_threads=1)
        self.net.allocate_tensors()
        self.input = self.net.get_input_details()[0]
        self.side = int(self.input["shape"][1])
        outputs = self.net.get_output_details()
        self.boxes = next(o["index"] for o in outputs if o["shape"][-1] == 16)
        self.scores = next(o["index"] for o in outputs if o["shape"][-1] == 1)
        self.anchors = ssd_anchor_centres(self.side, strides, ratio)

    def __call__(self, image):
        width, height = image.size
        scale = min(self.side / width, self.side / height)
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        corner = ((self.side - size[0]) // 2, (self.side - size[1]) // 2)
        canvas = Image.new("RGB", (self.side, self.side))
        canvas.paste(image.resize(size, Image.Resampling.BILINEAR), corner)
        self.net.set_tensor(self.input["index"], np.asarray(canvas, np.float32)[None] / 127.5 - 1.0)
        self.net.invoke()
        raw = self.net.get_tensor(self.boxes)[0].astype(np.float64)
        logits = self.net.get_tensor(self.scores)[0, :, 0].astype(np.float64)

        # Eight pairs an anchor: centre, size, six keypoints; all but the size are relative to the anchor.
        pairs = raw.reshape(-1, 8, 2) / self.side
        pairs[:, [0, 2, 3, 4, 5, 6, 7]] += self.anchors[:, None]
        scores = 1 / (1 + np.exp(-np.clip(logits, -SCORE_CLIPPING_THRESH, SCORE_CLIPPING_THRESH)))
        keep = scores >= self.min_score
        pairs, scores = pairs[keep], scores[keep]
        half = pairs[:, 1] / 2
        corners = np.concatenate([pairs[:, 0] - half, pairs[:, 0] + half], axis=1)

        faces = []
        left = np.argsort(-scores, kind="stable")
        while left.size:
            similar = iou(corners[left[0]], corners[left]) > MIN_SUPPRESSION_THRESHOLD
            group = left[similar]
            weights = scores[group] / scores[group].sum()
            box = weights @ corners[group]
            points = np.tensordot(weights, pairs[group, 2:], axes=1)
            to_picture = lambda p: (p * self.side - corner) * [width / size[0], height / size[1]]
            (x0, y0), (x1, y1) = to_picture(box.reshape(2, 2))
            faces.append(
                {
                    "box": [x0, y0, x1 - x0, y1 - y0],
                    "score": float(scores[left[0]]),
                    "keypoints": to_picture(points).tolist(),
                }
            )
            left = left[~similar]
        return faces


def main():
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    detector = Detector(sys.argv[1], sys.argv[2])
    for path in sys.argv[3:]:
        faces = detector(Image.open(path).convert("RGB"))
        print(json.dumps({"path": path, "faces": faces}))


if __name__ == "__main__":
    main()
