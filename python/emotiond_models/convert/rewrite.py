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


def prelu_form(x: Tensor, slope: Tensor) -> Tensor:
    """PReLU as the exporter writes it, which does not know PyTorch's own operation: `passes.with_prelu` finds it again."""
    return functional.relu(x) - slope * functional.relu(x * -1.0)


def softmax_flat(x: Tensor, dim: int, _half_to_float: bool = False) -> Tensor:
    """Softmax over the last of two dimensions: the converter turns the four of N×C×H×W around, and takes apart a
    softmax that is not over the last one then; there is no int8 division."""
    if x.dim() <= 2:
        return NotImplemented  # for `make_fx`: nothing to rewrite
    moved = x.transpose(dim, -1)
    return moved.flatten(0, -2).softmax(-1).view(moved.shape).transpose(dim, -1)


class Normed(nn.Module):
    """Layer norm over all of a picture, without the scale and shift that the layer after it has taken over."""

    def __init__(self, eps: float):
        super().__init__()
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        away = x - x.mean((1, 2, 3), keepdim=True)
        return away * (away * away).mean((1, 2, 3), keepdim=True).add(self.eps).rsqrt()


class LinearAttention(nn.Module):
    """timm's `LinearSelfAttention` (MobileViT v2) on N×P×N×C, the channels last, for normed input.

    Query, key and value are layers of their own, so that the value's ReLU becomes a part of its layer.
    """

    def __init__(self, layer: nn.Module, norm: nn.Module):
        super().__init__()
        mix, width = _after(norm, _linear(layer.qkv_proj)), layer.embed_dim
        self.query, self.key = _rows(mix, slice(0, 1)), _rows(mix, slice(1, 1 + width))
        self.value, self.out = _rows(mix, slice(1 + width, None)), _linear(layer.out_proj)

    def forward(self, x: Tensor) -> Tensor:
        # Over the last dimension: anywhere else the converter takes softmax apart, and there is no int8 division.
        scores = self.query(x).transpose(2, 3).softmax(dim=-1)
        return self.out(functional.relu(self.value(x)) * (scores @ self.key(x)))


class PatchesLast(nn.Module):
    """timm's `MobileVitV2Block` with the channels last between the two convolutions at its ends.

    The same sums in another layout: what the converter makes of N×C×P×N tensors turns them around before and after every
    layer.
    """

    def __init__(self, block: nn.Module):
        super().__init__()
        self.patch, self.local, self.widen = block.patch_size, block.conv_kxk, block.conv_1x1
        self.attention, self.mixer, self.norms = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        for layer in block.transformer:
            self.attention.append(LinearAttention(layer.attn, layer.norm1))
            self.norms.append(Normed(layer.norm1.eps))
            first = _after(layer.norm2, _linear(layer.mlp.fc1))
            self.mixer.append(nn.Sequential(Normed(layer.norm2.eps), first, layer.mlp.act, _linear(layer.mlp.fc2)))
        self.last = Normed(block.norm.eps)
        project = block.conv_proj
        self.project, self.norm = _after(block.norm, _linear(project.conv)), project.bn

    def forward(self, x: Tensor) -> Tensor:
        count, _, height, width = x.shape
        tall, wide = self.patch
        rows, columns = -(-height // tall), -(-width // wide)
        if (rows * tall, columns * wide) != (height, width):
            x = functional.interpolate(x, (rows * tall, columns * wide), mode="bilinear", align_corners=True)
        x = self.widen(self.local(x)).permute(0, 2, 3, 1)
        channels = x.shape[-1]
        x = x.reshape(count, rows, tall, columns, wide * channels).permute(0, 2, 1, 3, 4)
        x = x.reshape(count, tall, rows * columns, wide, channels).permute(0, 1, 3, 2, 4)
        x = x.reshape(count, tall * wide, rows * columns, channels)
        for norm, attention, mixer in zip(self.norms, self.attention, self.mixer):
            x = x + attention(norm(x))
            x = x + mixer(x)
        x = self.project(self.last(x))
        channels = x.shape[-1]
        x = x.reshape(count, tall, wide, rows * columns, channels).permute(0, 1, 3, 2, 4)
        x = x.reshape(count, tall, rows, columns, wide * channels).permute(0, 2, 1, 3, 4)
        return self.norm(x.reshape(count, rows * tall, columns * wide, channels).permute(0, 3, 1, 2))


def _after(norm: nn.Module, linear: nn.Linear) -> nn.Linear:
    """The layer that takes over the scale and shift of the norm before it."""
    taken = nn.Linear(linear.in_features, linear.out_features)
    with torch.no_grad():
        taken.weight.copy_(linear.weight * norm.weight)
        taken.bias.copy_(linear.weight @ norm.bias + (0 if linear.bias is None else linear.bias))
    return taken


def _linear(layer: nn.Conv2d) -> nn.Linear:
    """A convolution of 1×1 as a linear layer on the last dimension."""
    linear = nn.Linear(layer.in_channels, layer.out_channels, layer.bias is not None)
    with torch.no_grad():
        linear.weight.copy_(layer.weight.flatten(1))
        if layer.bias is not None:
            linear.bias.copy_(layer.bias)
    return linear


def replace_patches(network: nn.Module) -> None:
    """Put every block of MobileViT v2 into a layout that the converter takes as it is."""
    for path, layer in list(network.named_modules()):
        if type(layer).__name__ == "MobileVitV2Block":
            _replace(network, path, PatchesLast(layer))


class ChannelsLast(nn.Module):
    """Takes 1×H×W×3, as emotiond feeds pictures, and returns a tuple of outputs."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(x.permute(0, 3, 1, 2))
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
