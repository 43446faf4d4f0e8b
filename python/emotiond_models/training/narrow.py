"""Fewer channels: a network of eight expressions needs less width than one that tells thousands of people apart.

The time saved goes into larger pictures. Which channels go is decided by how much the loss would change
without each, to first order (Molchanov et al. 2019); a channel is taken out of the convolution that makes
it, of the depthwise one after that, and of what reads it. Training afterwards mends what is left.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import nn
from torch.optim.swa_utils import update_bn

from .augment import augment
from .network import EmotionNet
from .train import MIXED, FaceSet

# Of the stem and the blocks; multiples of 16, as kernels take them. The first layers see the largest maps and the last
# ones hold the most weights, and both have channels that hardly matter.
WIDTHS = (24, 48, 96, 112, 224, 224, 448, 448, 448, 416, 416, 384, 640, 512)
BATCHES, SHARE = 40, 32  # that channels are judged by, and faces of each set in one


def shorten(net: EmotionNet, sets: list[FaceSet], size: int, widths: Sequence[int] = WIDTHS, seed: int = 1) -> None:
    """Take the channels away that matter least to how `net` reads training faces, and measure its statistics anew."""
    rng = torch.Generator().manual_seed(seed)

    def batch() -> tuple[torch.Tensor, torch.Tensor]:
        faces, targets = [], []
        for s in sets:
            use = torch.from_numpy(s.labelled(0))
            index = use[torch.randint(0, len(use), (SHARE,), generator=rng)]
            faces.append(augment(s.image[index], size, rng, 0.3))
            targets.append(s.target[index])
        return torch.cat(faces).contiguous(memory_format=torch.channels_last), torch.cat(targets)

    net.to(memory_format=torch.channels_last).eval()
    batches = [batch() for _ in range(BATCHES)]
    with torch.autocast("cpu", torch.bfloat16, enabled=MIXED):
        narrow(net, widths, importance(net, (F.cross_entropy(net(x).float()[:, : net.expressions], target) for x, target in batches)))
        update_bn(batches, net)


def importance(net: EmotionNet, losses: Iterator[torch.Tensor]) -> list[torch.Tensor]:
    """For the stem and each block, the mean squared change of the loss if a channel were constantly zero.

    `losses` yields the loss of one batch after the other, computed by `net`.
    """
    gates = [layer.norm for layer in (*net.trunk[1::2], net.trunk[-1])]
    sums = [torch.zeros(len(gate.weight)) for gate in gates]
    for loss in losses:
        net.zero_grad(set_to_none=True)
        loss.backward()
        for total, gate in zip(sums, gates, strict=True):
            # A gate's output is weight * normalized + bias: both gone, the channel is gone.
            total += (gate.weight * gate.weight.grad + gate.bias * gate.bias.grad).detach() ** 2
    net.zero_grad(set_to_none=True)
    return sums


@torch.no_grad()
def narrow(net: EmotionNet, widths: Sequence[int], worth: list[torch.Tensor]) -> None:
    """Keep the `widths[i]` channels of the greatest `worth[i]`; statistics of normalization are then stale."""
    trunk = net.trunk
    for i, (width, value) in enumerate(zip(widths, worth, strict=True)):
        if width > len(value):
            raise ValueError(f"the stem or block {i} has {len(value)} channels, not {width}")
        keep = value.topk(width).indices.sort().values
        _outputs(trunk[2 * i], keep)
        if 2 * i + 2 < len(trunk):
            depthwise, reader = trunk[2 * i + 1], trunk[2 * i + 2].conv
            _outputs(depthwise, keep)
            depthwise.conv.in_channels = depthwise.conv.groups = width
            reader.weight = nn.Parameter(reader.weight[:, keep].contiguous())
            reader.in_channels = width
        else:
            _only(net.norm, keep)
            for head in net.heads():
                head.weight = nn.Parameter(head.weight[:, keep].contiguous())
                head.in_features = width


def _outputs(layer: nn.Module, keep: torch.Tensor) -> None:
    layer.conv.weight = nn.Parameter(layer.conv.weight[keep].contiguous())
    layer.conv.out_channels = len(keep)
    _only(layer.norm, keep)


def _only(norm: nn.Module, keep: torch.Tensor) -> None:
    norm.weight, norm.bias = nn.Parameter(norm.weight[keep]), nn.Parameter(norm.bias[keep])
    norm.running_mean, norm.running_var = norm.running_mean[keep], norm.running_var[keep]
    norm.num_features = len(keep)
