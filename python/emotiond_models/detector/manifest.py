"""The file's manifest, as docs/manifest.md describes it."""

import hashlib
from pathlib import Path

from ..flatbuffer import resized

WIDTH, HEIGHT = 256, 192
NEAR = 192, 160  # of `camera.range = "near"`: the same weights, two thirds of the cost
PART = 96, 96  # of what is around a face that was found: the same weights, a fifth of the cost
NAME = "emotiond-face"
FILE = f"{NAME}.tflite"
MIN_SCORE = 0.5  # models/emotiond-face.md has the figures for others
PART_SCORE = 0.3  # of a part: it is looked at because there is, or was, a face

TEXT = """\
# Faces in a whole picture, from about 15 pixels of the network's input to larger than the picture{what}; models/emotiond-face.md.
manifest = 1
name = "{name}"
version = "1.0.0"
kind = "face_detector"
file = "{file}"
sha256 = "{sha256}"
licence = "Apache-2.0"
source = "YuNet-s, ShiqiYu/libfacedetection.train commit 0047ac24, onnx/yunet_s_dynamic.onnx; fine-tuned and made int8 by python/emotiond_models/detector"
training_data = ["WIDER FACE (research use; by the authors)", "ExpW face crops (research use)", "FER2013 (research use)", "photographs of Debian's opencv-doc and mate-backgrounds and of scikit-image"]

[input]
width = {width}
height = {height}
color = "rgb"
mean = [0.0]
std = [1.0]

[detector]
decoder = "yunet"
strides = [8, 16, 32]
outputs = ["stride8", "stride16", "stride32"]
min_score = {min_score}
overlap = 0.3
"""


def save(models: Path, content: bytes, min_score: float = MIN_SCORE) -> None:
    """The file, the one for near faces and the one for parts of a picture, each with its manifest."""
    for name, (width, height), what, score in (
        (NAME, (WIDTH, HEIGHT), "", min_score),
        (f"{NAME}-near", NEAR, ", for near faces", min_score),
        (f"{NAME}-part", PART, ", for a part of it around one", PART_SCORE),
    ):
        made = resized(content, (WIDTH, HEIGHT), (width, height)) if what else content
        digest = hashlib.sha256(made).hexdigest()
        (models / f"{name}.tflite").write_bytes(made)
        text = TEXT.format(name=name, what=what, file=f"{name}.tflite", sha256=digest, width=width, height=height,
                           min_score=score)
        (models / f"{name}.toml").write_text(text)
        print(f"{models / name}.tflite: {len(made)} bytes, SHA-256 {digest}")
