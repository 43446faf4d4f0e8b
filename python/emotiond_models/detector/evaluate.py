"""Recall and false alarms of a detector on the sets for report."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from . import sets
from .decode import Detection, ious

MIN_IOU = 0.3  # a labelled face is found if a detection overlaps it by more
CLOSE_WIDTH = 150  # of 480 pixels: a close-up counts as found if a detection is at least as wide
ROWS = 200  # pictures of lettering
SCORES = (0.5, 0.7)

Detect = Callable[[np.ndarray, float], list[Detection]]


class Sets:
    """The pictures, read once. `clip` is a video in which nobody is, but letters that look like faces to some networks."""

    def __init__(self, data: Path, clip: Path | None):
        self.scenes = sets.scenes(data)
        self.close_ups = sets.close_ups(data)
        self.clip = sets.clip(clip) if clip else []
        self.lettering = [sets.lettering(seed) for seed in range(1, ROWS + 1)]


def figures(detect: Detect, pictures: Sets, scores=SCORES) -> dict[float, dict[str, float]]:
    """For each least score: recall on scenes (all, and those with an even and an odd index) and close-ups, detections
    without a label, and detections in the clip and the drawn rows.
    """
    low = min(scores)
    in_scenes = [(boxes, detect(image, low)) for _, image, boxes in pictures.scenes]
    close = [detect(image, low) for image in pictures.close_ups]
    clip = [detect(image, low) for image in pictures.clip]
    rows = [detect(image, low) for image in pictures.lettering]
    out = {}
    for score in scores:
        hits, halves, extra = [], [], 0
        for i, (boxes, found) in enumerate(in_scenes):
            kept = np.array([d.box for d in found if d.score >= score]).reshape(-1, 4)
            over = ious(boxes, kept) > MIN_IOU
            hits += over.any(1).tolist()
            halves += [i % 2] * len(boxes)
            extra += int((~over.any(0)).sum())
        hits, halves = np.array(hits), np.array(halves)
        out[score] = {
            "scenes": hits.mean(), "scenes_even": hits[halves == 0].mean(), "scenes_odd": hits[halves == 1].mean(),
            "faces": len(hits), "unlabelled": extra,
            "close_ups": np.mean([any(d.score >= score and d.box[2] >= CLOSE_WIDTH for d in found) for found in close]),
            "clip": sum(d.score >= score for found in clip for d in found),
            "lettering": sum(d.score >= score for found in rows for d in found),
        }
    return out


def line(name: str, score: float, row: dict[str, float]) -> str:
    return (f"| {name} | {score} | {row['scenes']:.3f} ({row['scenes_even']:.3f}, {row['scenes_odd']:.3f}) | "
            f"{row['close_ups']:.3f} | {row['unlabelled']} | {row['clip']} | {row['lettering']} |")


HEADER = ("| network | least score | scenes (even, odd) | close-ups | without a label | clip | lettering |\n"
          "|---|---|---|---|---|---|---|")
