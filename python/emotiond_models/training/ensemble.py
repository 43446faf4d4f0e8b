"""Labels from several finished networks: what they say together of each training face is better than what one learns alone.

One rater's labels (ExpW) are noisy, and ten raters' are few. The mean of networks that were trained apart, each asked
for the face and its mirror image, is a better target (Hinton, Vinyals and Dean 2015) and costs the student nothing.
"""

from pathlib import Path

import numpy as np
import torch

from .contract import LABELS
from .network import EmotionNet
from .train import FaceSet, predict


def agree(faces: FaceSet, networks: list[tuple[EmotionNet, int]]) -> np.ndarray:
    """Probabilities `[n, 8]`, float32, of the mean of all logits; for pictures that are never trained on, zeros.

    `networks` are finished networks, each with its input size.
    """
    index = np.sort(np.concatenate([faces.labelled(0), faces.labelled(1)]))
    logits = np.zeros((len(index), len(LABELS)), np.float32)
    for net, size in networks:
        for mirrored in (False, True):
            logits += predict(net, faces, index, size, mirrored)[:, : len(LABELS)]
    out = np.zeros((len(faces.split), len(LABELS)), np.float32)
    out[index] = torch.from_numpy(logits / (2 * len(networks))).softmax(1).numpy()
    return out


def path(work: Path, name: str) -> Path:
    return work / f"{name}-ensemble.npy"
