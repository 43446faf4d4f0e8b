"""Recall and false alarms of a detector on the sets for report."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from . import sets
from .decode import Detection, candidates, ious, merge

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


EYES = 8  # pixels between the eyes, at least, for a face's points to be compared


def references(teacher, pictures: Sets) -> list[list[Detection]]:
    """What YuNet-n in float (`targets.Teacher`) sees in the scenes at their own size, scores of 0.7 and more."""
    found = []
    for _, image, _ in pictures.scenes:
        padded = np.pad(image, [(0, -image.shape[0] % 32), (0, -image.shape[1] % 32), (0, 0)])
        found.append(merge(*candidates(teacher.levels(padded), 0.7)))
    return found


def point_errors(detect: Detect, pictures: Sets, seen: list[list[Detection]]) -> np.ndarray:
    """For each reference face of a scene that a detection overlaps by half: the distances of its five points from the
    reference's, in distances between the reference's eyes; `[n, 5]`.
    """
    errors = []
    for (_, image, _), faces in zip(pictures.scenes, seen, strict=True):
        found = detect(image, 0.5)
        for face in faces if found else []:
            eyes = np.linalg.norm(face.points[0] - face.points[1])
            over = ious(face.box[None], np.array([d.box for d in found]))[0]
            if eyes >= EYES and over.max() > 0.5:
                errors.append(np.linalg.norm(found[over.argmax()].points - face.points, axis=1) / eyes)
    return np.array(errors)


def line(name: str, score: float, row: dict[str, float]) -> str:
    return (f"| {name} | {score} | {row['scenes']:.3f} ({row['scenes_even']:.3f}, {row['scenes_odd']:.3f}) | "
            f"{row['close_ups']:.3f} | {row['unlabelled']} | {row['clip']} | {row['lettering']} |")


HEADER = ("| network | least score | scenes (even, odd) | close-ups | without a label | clip | lettering |\n"
          "|---|---|---|---|---|---|---|")
