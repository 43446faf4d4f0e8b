"""Measurements of a manifest's model on the labelled sets, and the card's tables."""

import numpy as np

from . import metrics
from .contract import LABELS
from .faces import Faces
from .model import Model

CONTEMPT = LABELS.index("contempt")


def outputs(
    model: Model, faces: Faces, scale: float | None = None, mirrored: bool = False,
) -> tuple[np.ndarray, list[list[np.ndarray]]]:
    """Expression probabilities `[n, 8]` and the raw tensors of each face, or of its mirror image."""
    crops = (model.crop(image, face, scale, mirrored) for image, face in zip(faces.images, faces.located, strict=True))
    raw = [model.raw(crop[:, ::-1] if mirrored else crop) for crop in crops]
    return np.stack([model.expression(values) for values in raw]), raw


def both_ways(model: Model, faces: Faces) -> np.ndarray:
    """Expression probabilities `[n, 8]` as emotiond gives them: the mean over each face and its mirror image."""
    return (outputs(model, faces)[0] + outputs(model, faces, mirrored=True)[0]) / 2


def seven(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Without contempt: its faces are left out and its probability is shared out."""
    kept = labels != CONTEMPT
    p = probabilities[kept].copy()
    p[:, CONTEMPT] = 0
    return p / np.maximum(p.sum(1, keepdims=True), 1e-9), labels[kept]


def measure(probabilities: np.ndarray, faces: Faces) -> dict:
    """Every figure the card reports for one model on one set."""
    p, labels = probabilities, faces.labels
    result = {"eight": metrics.summary(p, labels), "seven": metrics.summary(*seven(p, labels))}
    if faces.name.startswith("ferplus"):
        result["agreed"] = metrics.summary(p[faces.agreed], labels[faces.agreed])
    if faces.name == "scenes":
        hits = faces.found
        result["detected"] = float(hits.mean())
        result["seven_detected"] = metrics.summary(*seven(p[hits], labels[hits]))
        # The whole path: a face that was not detected counts as wrong.
        right = (seven(p, labels)[0].argmax(1) == labels) & hits
        result["whole_path_accuracy"] = float(right.mean())
    precision, recall, f1 = metrics.class_scores(metrics.confusion(p.argmax(1), labels, len(LABELS)))
    present = np.bincount(labels, minlength=len(LABELS))
    result["classes"] = {
        label: {"n": int(present[i]), "precision": float(precision[i]), "recall": float(recall[i]), "f1": float(f1[i])}
        for i, label in enumerate(LABELS) if present[i]
    }
    result["balanced_accuracy"] = float(recall[present > 0].mean())
    return result


def slices(probabilities: np.ndarray, faces: Faces) -> list[dict]:
    """Seven-class accuracy of scenes by what may make a face hard: size, roll, darkness, detection."""
    p, labels = seven(probabilities, faces.labels)
    sides = faces.boxes[:, 2:].max(1)
    roll = np.degrees(np.abs(faces.angles))
    light = np.array([_brightness(image, box) for image, box in zip(faces.images, faces.boxes, strict=True)])
    groups = [
        ("side 40 to 80 px", sides < 80), ("side 80 to 160 px", (sides >= 80) & (sides < 160)),
        ("side 160 px and more", sides >= 160),
        ("roll under 10 degrees", roll < 10), ("roll 10 degrees and more", roll >= 10),
        ("darkest quarter of faces", light <= np.quantile(light, 0.25)),
        ("brightest quarter of faces", light >= np.quantile(light, 0.75)),
        ("found by the detector", faces.found), ("not found (labelled box used)", ~faces.found),
    ]
    return [{"group": name, "n": int(mask.sum()), "accuracy": metrics.accuracy(p[mask], labels[mask])}
            for name, mask in groups if mask.sum() >= 10]


def _brightness(image: np.ndarray, box) -> float:
    x, y, width, height = (int(v) for v in box)
    face = image[max(0, y) : max(1, y + height), max(0, x) : max(1, x + width)]
    return float(face.mean()) if face.size else 0.0


def tables(results: dict, times: dict[str, float], sizes: dict[str, int]) -> str:
    """The comparison as Markdown; `results[model][set]` from `measure`. What is no file of its own has no size and no time."""
    lines = [
        "| model | FER+ test, 8 | agreed, 8 | 7 | macro-F1 | ECE | scenes, 7 | macro-F1 | ECE | whole path | file | ms |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, sets in results.items():
        fer, web = sets["ferplus-test"], sets["scenes"]
        cells = [
            _percent(fer["eight"]["accuracy"]), _percent(fer["agreed"]["accuracy"]), _percent(fer["seven"]["accuracy"]),
            f"{fer['eight']['macro_f1']:.3f}", f"{fer['eight']['ece']:.3f}",
            _percent(web["seven"]["accuracy"]), f"{web['seven']['macro_f1']:.3f}", f"{web['seven']['ece']:.3f}",
            _percent(web["whole_path_accuracy"]),
            *((f"{sizes[name] / 1e6:.2f} MB", f"{times[name]:.2f}") if name in sizes else ("", "")),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"
