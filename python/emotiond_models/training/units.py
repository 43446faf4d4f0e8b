"""The action-unit head: a linear read-out of the finished trunk, fitted to the teacher's scores."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .augment import centre
from .data import TRAINED_ON
from .metrics import auc
from .network import EmotionNet
from .teacher import UNITS, full_scale, units_of

DECAY = 1e-4


@torch.no_grad()
def _features(net: EmotionNet, images: torch.Tensor, size: int) -> torch.Tensor:
    """Normalized trunk features, each face as it is and mirrored: `[2, n, channels]`."""
    parts = []
    for batch in images.split(64):
        x = centre(batch, size).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            pair = torch.stack([net.features(x).float(), net.features(x.flip(3)).float()])
        parts.append(net.norm(pair.flatten(0, 1)).unflatten(0, pair.shape[:2]))
    return torch.cat(parts, 1)


def fit(net: EmotionNet, work: Path, size: int, steps: int = 400) -> dict:
    """Set `net.units`; returns each unit's agreement with the teacher on faces held out from training."""
    net.eval()
    features, targets, held_out, scale = [], [], [], []
    for name in TRAINED_ON:
        stored, taught = np.load(work / f"{name}.npz"), np.load(work / f"{name}-units.npz")
        index = taught["index"]
        features.append(_features(net, torch.from_numpy(stored["image"][index]), size))
        targets.append(units_of(taught["blendshapes"]))
        held_out.append(stored["split"][index] != 0)
    scale = full_scale(np.concatenate([t[~h] for t, h in zip(targets, held_out, strict=True)]))
    target = torch.from_numpy(np.clip(np.concatenate(targets) / scale, 0, 1)).float()
    features, held = torch.cat(features, 1), np.concatenate(held_out)
    train = torch.from_numpy(~held)
    head = nn.Linear(features.shape[-1], len(UNITS))
    nn.init.zeros_(head.weight)
    optimizer = torch.optim.Adam(head.parameters(), 0.003)
    x, y = features[:, train].flatten(0, 1), target[train].repeat(2, 1)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 0.003 * (1 - step / steps)
        some = torch.randint(0, len(x), (2048,))
        loss = F.binary_cross_entropy_with_logits(head(x[some]), y[some]) + DECAY * head.weight.square().sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    net.units = head
    with torch.no_grad():
        scores = head(features[0, torch.from_numpy(held)]).sigmoid().numpy()
    truth = target.numpy()[held]
    return {
        unit: {"n": int(held.sum()), "correlation": float(np.corrcoef(scores[:, i], truth[:, i])[0, 1]),
               "auc": auc(scores[:, i], truth[:, i] > 0.5), "mean_error": float(np.abs(scores - truth)[:, i].mean()),
               "full_scale": float(scale[i])}
        for i, unit in enumerate(UNITS)
    }
