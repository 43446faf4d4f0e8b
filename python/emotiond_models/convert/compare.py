"""How far the int8 file is from the network it was made from."""

from dataclasses import dataclass

import numpy as np

from ..runtime import Runner, softmax
from .description import place


@dataclass(frozen=True)
class Difference:
    """Float against int8 over a set of pictures; scores are the logits, before the softmax."""

    pictures: int
    cosine: float  # mean cosine of the score vectors
    cosine_centred: float  # the same after subtracting the mean over the pictures: only what the picture changes
    score: float  # largest difference of a score
    probability: float  # largest difference of a probability
    probability_mean: float  # mean over the pictures of the largest difference
    agreement: float  # share of pictures with the same first class
    affect: float | None  # largest difference of valence or arousal

    @property
    def large(self) -> bool:
        """Too far for use; docs/hsemotion.md says the same limits."""
        return self.cosine_centred < 0.99 or self.agreement < 0.9

    def __str__(self) -> str:
        affect = "" if self.affect is None else f", valence-arousal ≤ {self.affect:.3f}"
        return (
            f"{self.pictures} pictures: cosine {self.cosine:.4f} (centred {self.cosine_centred:.4f}), "
            f"scores ≤ {self.score:.3f}, probabilities ≤ {self.probability:.3f} (mean {self.probability_mean:.3f}), "
            f"same first class {self.agreement:.0%}{affect}"
        )


def cosine(a: np.ndarray, b: np.ndarray) -> float:
    lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(np.mean((a * b).sum(1) / np.maximum(lengths, 1e-12)))


def outputs_of(runner: Runner, inputs: list[np.ndarray], classes: int) -> tuple[np.ndarray, np.ndarray | None]:
    """Scores, and valence-arousal if there are any, of every input."""
    results = [runner(x) for x in inputs]
    at = place(runner.shapes, classes)
    scores = np.concatenate([result[at] for result in results])
    if len(runner.shapes) == 1:
        return scores, None
    at = place(runner.shapes, 2)
    affect = np.concatenate([result[at] for result in results])
    return scores, affect


def difference(reference, candidate) -> Difference:
    """Compare what `outputs_of` gave for two runners on the same inputs."""
    (scores, affect), (other_scores, other_affect) = reference, candidate
    probabilities = np.abs(softmax(scores) - softmax(other_scores)).max(1)
    return Difference(
        pictures=len(scores),
        cosine=cosine(scores, other_scores),
        cosine_centred=cosine(scores - scores.mean(0), other_scores - scores.mean(0)),
        score=float(np.abs(scores - other_scores).max()),
        probability=float(probabilities.max()),
        probability_mean=float(probabilities.mean()),
        agreement=float((scores.argmax(1) == other_scores.argmax(1)).mean()),
        affect=None if affect is None else float(np.abs(affect - other_affect).max()),
    )
