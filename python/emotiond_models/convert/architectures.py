"""The networks behind the published files, built empty, and which of their layers is the last."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from .ddamfn import Ddamfn
from .keras_mobilenet import KerasMobileNet
from .mobilefacenet import MobileFaceNet


def _timm(name: str) -> Callable[[int], nn.Module]:
    def build(outputs: int) -> nn.Module:
        import timm  # only for these networks

        return timm.create_model(name, pretrained=False, num_classes=outputs)

    return build


@dataclass(frozen=True)
class Architecture:
    """`build(outputs)` makes the network; `head` is the path of its last linear layer."""

    build: Callable[[int], nn.Module]
    head: str


ARCHITECTURES = {
    "efficientnet_b0": Architecture(_timm("tf_efficientnet_b0.ns_jft_in1k"), "classifier"),
    "efficientnet_b2": Architecture(_timm("tf_efficientnet_b2.ns_jft_in1k"), "classifier"),
    "mobilevitv2_150": Architecture(_timm("mobilevitv2_150.cvnets_in1k"), "head.fc"),
    "mobilefacenet": Architecture(MobileFaceNet, "fc"),
    "ddamfn": Architecture(Ddamfn, "fc"),
    "keras_mobilenet": Architecture(KerasMobileNet, "emotion_preds"),
}


def folded_parameters(network: nn.Module) -> int:
    """Number of parameters once 2-D batch norms are folded into the convolutions before them, as ONNX export does."""
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    return sum(p.numel() for p in network.parameters()) - sum(norm.weight.numel() for norm in norms)
