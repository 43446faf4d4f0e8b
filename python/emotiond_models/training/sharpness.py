"""Adaptive sharpness-aware minimization (ASAM, Kwon et al. 2021): a step by the gradient at the worst point nearby.

What it finds is flat: it depends less on single noisy labels, and less on how weights are rounded.
"""

from collections.abc import Callable

import torch
from torch import nn

FLOOR = 0.01  # added to a weight's size: one at zero can move too


def gradient_nearby(net: nn.Module, near: nn.Module, loss_of: Callable[[nn.Module], torch.Tensor], radius: float) -> torch.Tensor:
    """Leave in `net`'s parameters the gradient at the point of greatest loss within `radius`; returns the loss at `net`.

    `near` is a copy of `net` to move about, because other workers step on `net`'s weights meanwhile. The distance is
    measured in units of each weight's own size. Biases and normalization stay.
    """
    near.load_state_dict(net.state_dict())
    near.zero_grad(set_to_none=True)
    loss = loss_of(near)
    loss.backward()
    moved = [p for p in near.parameters() if p.grad is not None and p.ndim > 1]
    with torch.no_grad():
        for mine, theirs in zip(net.buffers(), near.buffers(), strict=True):
            mine.copy_(theirs)
        sizes = [p.abs() + FLOOR for p in moved]
        steep = torch.stack([(size * p.grad).norm() for size, p in zip(sizes, moved, strict=True)]).norm() + 1e-12
        for size, p in zip(sizes, moved, strict=True):
            p.addcmul_(size * size, p.grad, value=float(radius / steep))
    near.zero_grad(set_to_none=True)
    norms = [m for m in near.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    paces = [m.momentum for m in norms]
    for m in norms:
        m.momentum = 0.0  # the statistics belong to the point left, and are overwritten there
    loss_of(near).backward()
    for m, pace in zip(norms, paces, strict=True):
        m.momentum = pace
    for mine, theirs in zip(net.parameters(), near.parameters(), strict=True):
        mine.grad = theirs.grad
    return loss
