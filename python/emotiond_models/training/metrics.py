"""What the card reports, from probabilities and labels; numpy only."""

import numpy as np


def accuracy(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return float((probabilities.argmax(1) == labels).mean())


def confusion(predicted: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Counts; rows are true labels."""
    return np.bincount(labels * classes + predicted, minlength=classes**2).reshape(classes, classes)


def class_scores(counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Precision, recall and F1 of each class; 0 where undefined."""
    hits = np.diag(counts).astype(float)
    recall = hits / np.maximum(counts.sum(1), 1)
    precision = hits / np.maximum(counts.sum(0), 1)
    f1 = 2 * hits / np.maximum(counts.sum(0) + counts.sum(1), 1)
    return precision, recall, f1


def macro_f1(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Mean F1 over the classes that occur in `labels`."""
    counts = confusion(probabilities.argmax(1), labels, probabilities.shape[1])
    return float(class_scores(counts)[2][np.unique(labels)].mean())


def reliability(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15):
    """Share of samples, mean confidence and accuracy in equal bins of the top probability."""
    confidence = probabilities.max(1)
    hit = probabilities.argmax(1) == labels
    which = np.minimum((confidence * bins).astype(int), bins - 1)
    count = np.bincount(which, minlength=bins)
    filled = np.maximum(count, 1)
    return (
        count / len(labels),
        np.bincount(which, confidence, bins) / filled,
        np.bincount(which, hit, bins) / filled,
    )


def expected_calibration_error(probabilities: np.ndarray, labels: np.ndarray, bins: int = 15) -> float:
    share, confidence, hit = reliability(probabilities, labels, bins)
    return float((share * np.abs(confidence - hit)).sum())


def summary(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    return {
        "n": len(labels),
        "accuracy": accuracy(probabilities, labels),
        "macro_f1": macro_f1(probabilities, labels),
        "ece": expected_calibration_error(probabilities, labels),
    }


def auc(scores: np.ndarray, positive: np.ndarray) -> float:
    """Area under the ROC curve by ranks, ties shared; NaN without both kinds."""
    positive = positive.astype(bool)
    n1, n0 = positive.sum(), (~positive).sum()
    if not n1 or not n0:
        return float("nan")
    order = np.argsort(scores, kind="stable")
    _, inverse, counts = np.unique(scores[order], return_inverse=True, return_counts=True)
    ranks = np.empty(len(scores))
    ranks[order] = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    return float((ranks[positive].sum() - n1 * (n1 + 1) / 2) / (n1 * n0))
