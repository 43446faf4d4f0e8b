"""Changes to a network that leave its float result as it is and make its integer result better or possible."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class SplitHead(nn.Module):
    """One last layer cut in two, so that class scores (about -10..10) and valence-arousal (-1..1) do not share one
    integer scale: of a shared one, valence would get a handful of steps."""

    def __init__(self, layer: nn.Linear, classes: int):
        super().__init__()
        self.expression = _rows(layer, slice(None, classes))
        self.affect = _rows(layer, slice(classes, None))

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.expression(x), self.affect(x)


def _replace(network: nn.Module, path: str, layer: nn.Module) -> None:
    """`Module.set_submodule`, which PyTorch 1.13 has not: Debian 12's runs the tests."""
    parent, _, name = path.rpartition(".")
    setattr(network.get_submodule(parent), name, layer)


def _rows(layer: nn.Linear, rows: slice) -> nn.Linear:
    weight, bias = layer.weight[rows], layer.bias[rows]
    part = nn.Linear(layer.in_features, weight.shape[0])
    with torch.no_grad():
        part.weight.copy_(weight)
        part.bias.copy_(bias)
    return part


def split_head(network: nn.Module, path: str, classes: int) -> None:
    """Replace the linear layer at `path`, the network's last, by its two halves."""
    _replace(network, path, SplitHead(network.get_submodule(path), classes))


def relu_form(x: Tensor, slope: Tensor) -> Tensor:
    """PReLU as a·x + (1-a)·relu(x): the quantizer knows multiplication, addition and ReLU but not PReLU."""
    return x * slope + functional.relu(x) * (1.0 - slope)


class ReluForm(nn.Module):
    """`relu_form` as a layer, from a PReLU on N×C×H×W."""

    def __init__(self, layer: nn.PReLU):
        super().__init__()
        self.register_buffer("slope", layer.weight.detach().reshape(1, -1, 1, 1).clone())

    def forward(self, x: Tensor) -> Tensor:
        return relu_form(x, self.slope)


def replace_prelu(network: nn.Module) -> None:
    """Put every PReLU into a form that the quantizer knows."""
    for path, layer in list(network.named_modules()):
        if isinstance(layer, nn.PReLU):
            _replace(network, path, ReluForm(layer))


def softmax_flat(x: Tensor, dim: int, _half_to_float: bool = False) -> Tensor:
    """Softmax over the last of two dimensions: the converter turns the four of N×C×H×W around, and takes apart a
    softmax that is not over the last one then; there is no int8 division."""
    if x.dim() <= 2:
        return NotImplemented  # for `make_fx`: nothing to rewrite
    moved = x.transpose(dim, -1)
    return moved.flatten(0, -2).softmax(-1).view(moved.shape).transpose(dim, -1)


class LinearAttention(nn.Module):
    """timm's `LinearSelfAttention` (MobileViT v2) with the channels last.

    The same sums in another layout: the TensorFlow Lite converter turns the channels of N×C×P×N tensors around on one
    side of the broadcast product only, and then refuses it.
    """

    def __init__(self, layer: nn.Module):
        super().__init__()
        self.width = layer.embed_dim
        self.mix = _linear(layer.qkv_proj)
        self.out = _linear(layer.out_proj)

    def forward(self, x: Tensor, x_prev: None = None) -> Tensor:
        query, key, value = self.mix(x.permute(0, 2, 3, 1)).split([1, self.width, self.width], dim=-1)
        # Over the last dimension: anywhere else the converter takes softmax apart, and there is no int8 division.
        scores = query.transpose(2, 3).softmax(dim=-1).transpose(2, 3)
        context = (key * scores).sum(dim=2, keepdim=True)
        return self.out(functional.relu(value) * context).permute(0, 3, 1, 2)


def _linear(layer: nn.Conv2d) -> nn.Linear:
    """A convolution of 1×1 as a linear layer on the last dimension."""
    linear = nn.Linear(layer.in_channels, layer.out_channels, layer.bias is not None)
    with torch.no_grad():
        linear.weight.copy_(layer.weight.flatten(1))
        if layer.bias is not None:
            linear.bias.copy_(layer.bias)
    return linear


def replace_linear_attention(network: nn.Module) -> None:
    """Put every linear self-attention into a layout that the converter takes."""
    for path, layer in list(network.named_modules()):
        if type(layer).__name__ == "LinearSelfAttention":
            _replace(network, path, LinearAttention(layer))


class ChannelsLast(nn.Module):
    """Takes 1×H×W×3, as emotiond feeds pictures, and returns a tuple of outputs."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(x.permute(0, 3, 1, 2))
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
