"""One temperature and one prior for all that a network meets, fitted on faces that it has not learned from.

FER+'s pictures come as they were found and count as they are. ExpW's were gathered by class: there every class counts the
same, so that its shares, which are nobody's, do not become a prior. ExpW counts four times as much as FER+, whose close-ups in
grey are further from what a camera shows. A face is looked at both ways, as emotiond does.
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .contract import LABELS
from .evaluation import outputs
from .faces import Faces
from .model import Model

REGULARIZATION = 0.005  # of the squared logarithms of the prior: a set with five faces of contempt must not decide on it


def logits_both_ways(model: Model, faces: Faces) -> np.ndarray:
    """Expression logits `[n, 2, 8]`: of each face and of its mirror image."""
    looks = [[model.head("expression", values) for values in outputs(model, faces, mirrored=m)[1]] for m in (False, True)]
    return np.stack([np.stack(look) for look in looks], 1)


@dataclass
class Judged:
    """Logits `[n, 2, 8]` of faces both ways with their labels; `weight` of the set, and whether each class of it counts the
    same. A set without any face of a class is judged without that class: its labels did not know it."""

    logits: np.ndarray
    labels: np.ndarray
    weight: float = 1.0
    even: bool = False

    def loss(self, bias: torch.Tensor, temperature: torch.Tensor) -> torch.Tensor:
        counts = torch.from_numpy(np.bincount(self.labels, minlength=len(LABELS)))
        labels = torch.from_numpy(self.labels)
        shown = (torch.from_numpy(self.logits).float() / temperature + bias).softmax(-1).mean(1)
        shown = shown.masked_fill(counts == 0, 0)
        shown = shown / shown.sum(1, keepdim=True)
        return F.nll_loss(shown.clamp(min=1e-9).log(), labels, 1 / counts.clamp(min=1) if self.even else None)


def fit(sets: list[Judged]) -> tuple[float, np.ndarray]:
    """Temperature and prior (`[8]`, sum 1) of the least cross-entropy over `sets`."""
    bias = torch.zeros(len(LABELS), requires_grad=True)
    log_temperature = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([bias, log_temperature], max_iter=200, line_search_fn="strong_wolfe")
    weights = sum(judged.weight for judged in sets)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = REGULARIZATION * (bias - bias.mean()).square().sum()
        for judged in sets:
            total = total + judged.weight / weights * judged.loss(bias, log_temperature.exp())
        total.backward()
        return total

    optimizer.step(loss)
    prior = (-bias).softmax(0)
    return float(log_temperature.detach().exp()), prior.detach().numpy()
