"""MobileNet 1.0 as Keras builds it, with HSEmotion's 256 features and class layer (`mobilenet_7.h5`).

Own definition of arXiv 1704.04861; module names are the Keras layer names. Keras pads stride-2 convolutions on the
right and the bottom only, which is why the padding is a step of its own.
"""

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn import functional

# Output channels and stride of the 13 depthwise-separable blocks.
BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1),
    (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip

ACTIVATIONS = {"linear": nn.Identity, "relu": nn.ReLU}


@dataclass(frozen=True)
class Settings:
    """What the Keras file's configuration says and its weights do not."""

    epsilon: float = 1e-3
    relu_ceiling: float = 6.0
    features_activation: str = "relu"


def _pad_after(x: Tensor) -> Tensor:
    return functional.pad(x, (0, 1, 0, 1))


class KerasMobileNet(nn.Module):
    """1×3×224×224, RGB less the mean per channel → 1×`outputs` logits (the published softmax is left out)."""

    def __init__(self, outputs: int, settings: Settings = Settings()):
        super().__init__()
        self.ceiling = settings.relu_ceiling
        self.conv1 = nn.Conv2d(3, 32, 3, 2, bias=False)
        self.conv1_bn = nn.BatchNorm2d(32, eps=settings.epsilon)
        channels = 32
        for i, (width, stride) in enumerate(BLOCKS, start=1):
            padding = 1 if stride == 1 else 0
            depthwise = nn.Conv2d(channels, channels, 3, stride, padding, groups=channels, bias=False)
            self.add_module(f"conv_dw_{i}", depthwise)
            self.add_module(f"conv_dw_{i}_bn", nn.BatchNorm2d(channels, eps=settings.epsilon))
            self.add_module(f"conv_pw_{i}", nn.Conv2d(channels, width, 1, bias=False))
            self.add_module(f"conv_pw_{i}_bn", nn.BatchNorm2d(width, eps=settings.epsilon))
            channels = width
        self.feats = nn.Linear(channels, 256)
        self.feats_activation = ACTIVATIONS[settings.features_activation]()
        self.emotion_preds = nn.Linear(256, outputs)

    def _block(self, name: str, x: Tensor) -> Tensor:
        x = getattr(self, f"{name}_bn")(getattr(self, name)(x))
        return x.clamp(0.0, self.ceiling)

    def forward(self, x: Tensor) -> Tensor:
        x = self._block("conv1", _pad_after(x))
        for i, (_, stride) in enumerate(BLOCKS, start=1):
            x = self._block(f"conv_dw_{i}", x if stride == 1 else _pad_after(x))
            x = self._block(f"conv_pw_{i}", x)
        return self.emotion_preds(self.feats_activation(self.feats(x.mean((2, 3)))))
