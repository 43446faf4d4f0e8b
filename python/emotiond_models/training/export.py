"""The finished network in the form that is exported."""

import torch
from torch import nn

from .network import EmotionNet, equalize, folded


class ForExport(nn.Module):
    """NHWC in; expression logits and, where there is a head, action-unit logits out.

    `faces` float32 `[n, 3, size, size]` in -1..1 gives the ranges to equalize channels by.
    """

    def __init__(self, net: EmotionNet, faces: torch.Tensor):
        super().__init__()
        self.net = folded(net.to(memory_format=torch.contiguous_format))
        equalize(self.net, faces)

    def forward(self, x: torch.Tensor):
        features = self.net.features(x.permute(0, 3, 1, 2))
        expression = self.net.expression(features)
        return expression if self.net.units is None else (expression, self.net.units(features))
