"""Contempt, told on pictures that have no label for it.

ExpW knows no contempt. A network that learns from it and from FER+ learns to tell the two sets apart, by colour and
sharpness, and gives every face of the one the same small odds of contempt. Yet the same faces in grey and as small as
FER+'s have odds that spread as FER+'s do, and what stands out among them looks scornful. So the network is its own
teacher: the row of the expressions' dense layer that says contempt is fitted anew to what it says of ExpW's faces when
they look like FER+'s, and to FER+ itself. Trunk and other rows stay as they are (`graft.regraft_row`).
"""

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from .augment import centre
from .contract import LABELS
from .network import EmotionNet
from .train import MIXED, FaceSet

CONTEMPT = LABELS.index("contempt")
OTHERS = [i for i in range(len(LABELS)) if i != CONTEMPT]
SMALL = 48  # pixels: the side of FER+'s pictures
GREY = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
BELIEVED = (-8.0, 1.0)  # log-odds of the teacher outside these are cut
VOTES = 0.3  # share of the raters in FER+'s targets; the rest is what the network says already
FERPLUS_WEIGHT = 3.0
DECAY = 1e-4
ROUNDING = 6 / 255  # one int8 step of a mean over values of ReLU6
TAUGHT = 13_000  # faces of ExpW, which are looked at twice
BATCH = 128


def odds(logits: torch.Tensor) -> torch.Tensor:
    """Log-odds of contempt against all others, `[n]`."""
    return logits[:, CONTEMPT] - logits[:, OTHERS].logsumexp(1)


def like_ferplus(x: torch.Tensor) -> torch.Tensor:
    """Faces `[n, 3, size, size]` in grey and no sharper than FER+'s."""
    small = F.interpolate((x * GREY).sum(1, keepdim=True), size=(SMALL, SMALL), mode="area")
    return F.interpolate(small, size=x.shape[2:], mode="bilinear", align_corners=False).expand(-1, 3, -1, -1)


@dataclass
class Looks:
    """What the row reads of each face (`features` `[n, channels]`), the log-sum of the other classes' exponentials
    (`others`), the probability of contempt that it shall have (`wanted`), and how much the face counts (`weight`)."""

    features: torch.Tensor
    others: torch.Tensor
    wanted: torch.Tensor
    weight: torch.Tensor

    def __add__(self, more: "Looks") -> "Looks":
        pairs = zip(vars(self).values(), vars(more).values(), strict=True)
        return Looks(*(torch.cat(pair) for pair in pairs))


@torch.no_grad()
def _looked_at(net: EmotionNet, faces: FaceSet, index: np.ndarray, size: int, change=None) -> tuple[torch.Tensor, torch.Tensor]:
    """Features and logits of these faces."""
    features = []
    for some in np.array_split(index, max(1, len(index) // BATCH)):
        x = centre(faces.image[torch.from_numpy(some)], size)
        x = (change(x) if change else x).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=MIXED):
            features.append(net.features(x).float())
    read = torch.cat(features)
    return read, net.expression(read)


def seen(net: EmotionNet, sets: list[FaceSet], size: int) -> Looks:
    """The training faces of both sets; `net` is folded.

    FER+'s pictures are as they were found, ExpW's were gathered by class: there contempt is raised from its share among
    FER+'s votes to one in eight, as the other classes are in training.
    """
    by_name = {faces.name: faces for faces in sets}
    ferplus, expw = by_name["ferplus"], by_name["expw"]
    index = ferplus.labelled(0)
    features, logits = _looked_at(net, ferplus, index, size)
    votes = ferplus.target[torch.from_numpy(index)][:, CONTEMPT]
    wanted = VOTES * votes + (1 - VOTES) * odds(logits).clamp(*BELIEVED).sigmoid()
    parts = [Looks(features, logits[:, OTHERS].logsumexp(1), wanted, torch.full((len(index),), FERPLUS_WEIGHT / len(index)))]
    raised = float(torch.tensor(1 / len(LABELS)).logit() - votes.mean().logit())
    print(f"contempt: FER+, {len(index)} faces, {float(votes.mean()):.4f} of the votes; raised by {raised:.2f}", flush=True)

    index = np.sort(np.random.default_rng(3).permutation(expw.labelled(0))[:TAUGHT])
    features, logits = _looked_at(net, expw, index, size)
    _, taught = _looked_at(net, expw, index, size, like_ferplus)
    wanted = (odds(taught).clamp(*BELIEVED) + raised).sigmoid()
    parts.append(Looks(features, logits[:, OTHERS].logsumexp(1), wanted, torch.full((len(index),), 1 / len(index))))
    print(f"contempt: ExpW, {len(index)} faces, wanted {float(wanted.mean()):.4f}", flush=True)
    return parts[0] + parts[1]


def fitted(faces: Looks) -> tuple[np.ndarray, float]:
    """Weights `[channels]` and bias of the row with the least cross-entropy over these faces."""
    # What moves less than an int8 step of the features is lost in the file: it must not count here either.
    mean, deviation = faces.features.mean(0), (faces.features.var(0) + ROUNDING**2).sqrt()
    x = (faces.features - mean) / deviation
    weight, bias = torch.zeros(x.shape[1], requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.LBFGS([weight, bias], max_iter=300, history_size=20, line_search_fn="strong_wolfe")

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        each = F.binary_cross_entropy_with_logits(x @ weight + bias - faces.others, faces.wanted, reduction="none")
        total = (faces.weight * each).sum() + DECAY * weight.square().sum()
        total.backward()
        return total

    optimizer.step(loss)
    plain = weight.detach() / deviation
    return plain.numpy(), float(bias.detach() - plain @ mean)
