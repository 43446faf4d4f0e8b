"""The action units, read from the map that the trunk has before its last stride: 8 x 8 at an input of 128 pixels.

The mean over a face that the expressions are read from forgets where things are. On crops that lie alike a mouth corner
has its place, so a 1 x 1 convolution makes the map thin and a dense layer reads every place of it. The head is fitted on
a finished network, whose trunk and expressions stay as they are, and put into its int8 file (`graft.py`).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from .augment import augment, centre
from .contract import UNITS
from .network import ConvNorm, EmotionNet
from .train import MIXED, FaceSet

BELOW = 23  # layers of the trunk before the last depthwise convolution with a stride
THIN = 32  # channels after the 1 x 1 convolution
VIEWS, STRENGTH = 1, 0.3  # augmented views of each face beside itself as it is
EPOCHS, BATCH, RATE, DECAY, DROPOUT = 8, 128, 2e-3, 1e-2, 0.2


class UnitHead(nn.Module):
    """Maps `[n, channels, side, side]` to logits `[n, len(UNITS)]`."""

    def __init__(self, channels: int, side: int):
        super().__init__()
        self.thin = ConvNorm(channels, THIN, 1)
        self.dropout = nn.Dropout(DROPOUT)
        self.dense = nn.Linear(side * side * THIN, len(UNITS))

    def hidden(self, maps: torch.Tensor) -> torch.Tensor:
        """What the dense layer reads, in TensorFlow Lite's order: row, column, channel."""
        return self.thin(maps).permute(0, 2, 3, 1).flatten(1)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        return self.dense(self.dropout(self.hidden(maps)))

    @torch.no_grad()
    def span(self, seen: "Views") -> tuple[float, float]:
        """The least and the greatest logit over these maps."""
        logits = [self(maps) for maps, _ in seen.batches(np.arange(len(seen.maps)))]
        return min(float(x.min()) for x in logits), max(float(x.max()) for x in logits)

    @torch.no_grad()
    def folded(self) -> dict[str, np.ndarray]:
        """Weights and biases for the file: `thin` `[out, in]`, `dense` `[out, row * column * channel]`."""
        plain = nn.utils.fusion.fuse_conv_bn_eval(self.eval().thin.conv, self.thin.norm)
        return {"thin": plain.weight.flatten(1).numpy(), "thin_bias": plain.bias.numpy(),
                "dense": self.dense.weight.numpy(), "dense_bias": self.dense.bias.numpy()}


@dataclass
class Views:
    """Maps `[n, side, side, channels]` in half precision, and what the teacher says of each, 0 to 1."""

    maps: np.ndarray
    units: np.ndarray

    def batches(self, index: np.ndarray) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        for start in range(0, len(index) - BATCH + 1, BATCH):
            some = np.sort(index[start : start + BATCH])
            yield torch.from_numpy(self.maps[some]).float().permute(0, 3, 1, 2), torch.from_numpy(self.units[some])


@torch.no_grad()
def views(net: EmotionNet, sets: list[FaceSet], size: int, seed: int = 1) -> Views:
    """Every face of `sets` that the teacher looked at and that may be trained on, as it is and `VIEWS` times augmented;
    `net` is folded. Some 50 KB of memory a view."""
    rng = torch.Generator().manual_seed(seed)
    below, maps, units = net.trunk[:BELOW].to(memory_format=torch.channels_last), [], []
    for faces in sets:
        index = np.flatnonzero(~faces.units[:, 0].isnan().numpy())
        for view in range(VIEWS + 1):
            for some in np.array_split(index, max(1, len(index) // BATCH)):
                pictures = faces.image[torch.from_numpy(some)]
                x = augment(pictures, size, rng, STRENGTH) if view else centre(pictures, size)
                with torch.autocast("cpu", torch.bfloat16, enabled=MIXED):
                    there = below(x.contiguous(memory_format=torch.channels_last))
                maps.append(there.permute(0, 2, 3, 1).half().numpy())
                units.append(faces.units[some].numpy())
            print(f"action units: {faces.name}, {len(index)} faces, view {view + 1} of {VIEWS + 1}", flush=True)
    return Views(np.concatenate(maps), np.concatenate(units))


def fitted(seen: Views, epochs: int = EPOCHS, seed: int = 1) -> UnitHead:
    """A head that agrees with the teacher on these maps, as far as it can."""
    torch.manual_seed(seed)
    rng, head = np.random.default_rng(seed), UnitHead(seen.maps.shape[3], seen.maps.shape[1])
    steps = epochs * (len(seen.maps) // BATCH)
    optimizer = torch.optim.AdamW(head.parameters(), lr=RATE, weight_decay=DECAY)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, steps)
    for epoch in range(epochs):
        losses = []
        for maps, wanted in seen.batches(rng.permutation(len(seen.maps))):
            loss = F.binary_cross_entropy_with_logits(head(maps), wanted)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            rate.step()
            losses.append(float(loss.detach()))
        print(f"action units: epoch {epoch + 1} of {epochs}, cross-entropy {np.mean(losses):.4f}", flush=True)
    return head.eval()

