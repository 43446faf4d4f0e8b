"""One temperature and one prior for all that a network meets, fitted on faces that it has not learned from.

FER+'s pictures come as they were found and ten people looked at each; ExpW's were gathered by class and one person looked.
A room is neither, so both sets count the same. A face is looked at both ways, as emotiond does.
"""

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


def fit(sets: list[tuple[np.ndarray, np.ndarray]]) -> tuple[float, np.ndarray]:
    """Temperature and prior (`[8]`, sum 1) of the least cross-entropy, the mean over `sets` of logits and labels.

    A set without any face of a class is judged without that class: its labels did not know it.
    """
    bias = torch.zeros(len(LABELS), requires_grad=True)
    log_temperature = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([bias, log_temperature], max_iter=200, line_search_fn="strong_wolfe")
    given = [(torch.from_numpy(z).float(), torch.from_numpy(y), _unknown(y)) for z, y in sets]

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = REGULARIZATION * (bias - bias.mean()).square().sum()
        for logits, labels, unknown in given:
            shown = (logits / log_temperature.exp() + bias).softmax(-1).mean(1).masked_fill(unknown, 0)
            shown = shown / shown.sum(1, keepdim=True)
            total = total + F.nll_loss(shown.clamp(min=1e-9).log(), labels) / len(given)
        total.backward()
        return total

    optimizer.step(loss)
    prior = (-bias).softmax(0)
    return float(log_temperature.exp()), prior.detach().numpy()


def _unknown(labels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.bincount(labels, minlength=len(LABELS)) == 0)
