"""Scores what `emotiond analyze --json` printed for the labelled scenes: detect, crop and classify together."""

import json
from pathlib import Path

import numpy as np

from .contract import LABELS
from .faces import MIN_IOU, iou, marked_scenes
from .metrics import accuracy, macro_f1

SEVEN = [i for i, label in enumerate(LABELS) if label != "contempt"]


def score(data: Path, analysis: Path) -> dict[str, float]:
    """`analysis` holds one JSON line a picture; labelled faces under 40 px are left out."""
    lines = [json.loads(line) for line in analysis.read_text().splitlines() if line.strip()]
    found = {Path(line["path"]).name: line["faces"] for line in lines}
    labels, probabilities, hits = [], [], []
    for picture, box, label in marked_scenes(data):
        if picture not in found:
            raise ValueError(f"{analysis} has no line for {picture}: give analyze the whole folder of scenes")
        best = max(found[picture], key=lambda face: iou(face["box"], box), default=None)
        hit = best is not None and iou(best["box"], box) > MIN_IOU and best.get("expression") is not None
        row = [best["expression"].get(LABELS[i], 0.0) if hit else 0.0 for i in SEVEN]
        hits.append(hit)
        labels.append(SEVEN.index(label))
        probabilities.append(row)
    p, y, hits = np.array(probabilities), np.array(labels), np.array(hits)
    right = (p.argmax(1) == y) & hits
    return {
        "faces": len(y),
        "detected_and_classified": float(hits.mean()),
        "accuracy_of_these": accuracy(p[hits], y[hits]),
        "macro_f1_of_these": macro_f1(p[hits], y[hits]),
        "whole_path_accuracy": float(right.mean()),
    }
