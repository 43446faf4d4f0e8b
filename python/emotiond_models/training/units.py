"""How well action units agree with their teacher on faces held out from training: a network's, and an exported file's."""

from pathlib import Path

import numpy as np
import torch

from ..runtime import PythonRunner, sigmoid
from .augment import centre, place, to_input
from .contract import CROP_MIRRORED_SCALE, CROP_SCALE, LABELS
from .data import TRAINED_ON
from .metrics import auc
from .network import EmotionNet, folded
from .teacher import UNITS, scale_of, units_of
from .train import MIXED


@torch.no_grad()
def said(net: EmotionNet, images: torch.Tensor, size: int) -> np.ndarray:
    """Activations `[n, len(UNITS)]` of prepared faces, one look each."""
    net = folded(net).to(memory_format=torch.channels_last)
    parts = []
    for batch in images.split(64):
        x = centre(batch, size).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=MIXED):
            parts.append(net(x)[:, len(LABELS) :].float())
    return sigmoid(torch.cat(parts).numpy())


def held_out(work: Path) -> tuple[list[torch.Tensor], np.ndarray]:
    """The held-out faces of each set that the teacher looked at, and what it says of all of them, 0 to 1."""
    scale, images, truth = scale_of(work), [], []
    for name in TRAINED_ON:
        stored, taught = np.load(work / f"{name}.npz"), np.load(work / f"{name}-units.npz")
        held = stored["split"][taught["index"]] != 0
        images.append(torch.from_numpy(stored["image"][taught["index"][held]]))
        truth.append(np.clip(units_of(taught["blendshapes"][held]) / scale, 0, 1))
    return images, np.concatenate(truth)


def agreement(net: EmotionNet, work: Path, size: int) -> dict:
    """Of each unit, over faces held out from training."""
    images, truth = held_out(work)
    return _compared(np.concatenate([said(net, some, size) for some in images]), truth, scale_of(work))


def agreement_of_file(file: Path, work: Path, size: int) -> dict[str, dict]:
    """The same of an int8 file, for one look at each face and for the mean with its mirror image, as emotiond looks."""
    images, truth = held_out(work)
    runner, one, both = PythonRunner(file), [], []
    output = [shape[-1] for shape in runner.shapes].index(len(UNITS))
    for some in images:
        closer = torch.full((len(some),), CROP_MIRRORED_SCALE / CROP_SCALE)
        mirrored = place(to_input(some), size, scale=closer, flip=-torch.ones(len(some))).expand(-1, 3, -1, -1)
        for pair in zip(*(x.permute(0, 2, 3, 1).numpy() for x in (centre(some, size), mirrored)), strict=True):
            looks = [sigmoid(runner(x[None])[output][0]) for x in pair]
            one.append(looks[0])
            both.append(np.mean(looks, 0))
    scale = scale_of(work)
    return {name: _compared(np.stack(scores), truth, scale) for name, scores in (("one_look", one), ("both_ways", both))}


def _compared(scores: np.ndarray, truth: np.ndarray, scale: np.ndarray) -> dict:
    return {
        unit: {"n": len(truth), "correlation": float(np.corrcoef(scores[:, i], truth[:, i])[0, 1]),
               "auc": auc(scores[:, i], truth[:, i] > 0.5), "mean_error": float(np.abs(scores - truth)[:, i].mean()),
               "full_scale": float(scale[i])}
        for i, unit in enumerate(UNITS)
    }
