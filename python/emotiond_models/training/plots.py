"""The card's figures, from measured numbers only."""

from pathlib import Path

import matplotlib
import numpy as np

from .contract import LABELS
from .metrics import confusion, expected_calibration_error, reliability

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402

INK, ACCENT = "#30363d", "#1f6feb"


def confusion_matrix(probabilities: np.ndarray, labels: np.ndarray, title: str, path: Path) -> None:
    counts = confusion(probabilities.argmax(1), labels, len(LABELS))
    used = np.flatnonzero(counts.sum(1))
    shares = counts[used] / counts[used].sum(1, keepdims=True)
    figure, axes = pyplot.subplots(figsize=(6, 5.2))
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, row in enumerate(shares):
        for j, share in enumerate(row):
            axes.text(j, i, f"{100 * share:.0f}", ha="center", va="center", fontsize=9,
                      color="white" if share > 0.5 else INK)
    axes.set_xticks(range(len(LABELS)), LABELS, rotation=40, ha="right")
    axes.set_yticks(range(len(used)), [f"{LABELS[i]} ({counts[i].sum()})" for i in used])
    axes.set_xlabel("predicted")
    axes.set_ylabel("labelled (faces)")
    axes.set_title(f"{title}, % of each row", fontsize=11)
    _save(figure, path)


def reliability_diagram(series: dict[str, tuple[np.ndarray, np.ndarray]], path: Path) -> None:
    """`series` maps a name to probabilities and labels."""
    figure, axes = pyplot.subplots(figsize=(5, 4.6))
    axes.plot([0, 1], [0, 1], color="#bbbbbb", linewidth=1)
    for name, (probabilities, labels) in series.items():
        share, confidence, hit = reliability(probabilities, labels)
        filled = share > 0.002
        error = expected_calibration_error(probabilities, labels)
        axes.plot(confidence[filled], hit[filled], marker="o", markersize=4, label=f"{name}, ECE {error:.3f}")
    axes.set_xlabel("probability given to the first class")
    axes.set_ylabel("share of these that are right")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.legend(fontsize=8)
    _save(figure, path)


def training_curves(log: list[dict], path: Path) -> None:
    figure, (left, right) = pyplot.subplots(1, 2, figsize=(9, 3.6))
    epochs = [row["epoch"] for row in log]
    left.plot(epochs, [row["loss"] for row in log], color=INK)
    left.set_xlabel("epoch")
    left.set_ylabel("training loss")
    for name, label in (("ferplus", "FER+ validation"), ("expw", "ExpW validation")):
        right.plot(epochs, [100 * row[name]["accuracy"] for row in log], marker="o", markersize=3, label=label)
    for before, after in zip(log, log[1:], strict=False):
        if before["size"] != after["size"]:
            for axes in (left, right):
                axes.axvline(before["epoch"], color="#bbbbbb", linewidth=1)
            right.text(before["epoch"], right.get_ylim()[0], f" {after['size']} px", fontsize=8, va="bottom")
    right.set_xlabel("epoch")
    right.set_ylabel("accuracy, %")
    right.legend(fontsize=8)
    _save(figure, path)


def _save(figure, path: Path) -> None:
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
