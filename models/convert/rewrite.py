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


def _rows(layer: nn.Linear, rows: slice) -> nn.Linear:
    weight, bias = layer.weight[rows], layer.bias[rows]
    part = nn.Linear(layer.in_features, weight.shape[0])
    with torch.no_grad():
        part.weight.copy_(weight)
        part.bias.copy_(bias)
    return part


def split_head(network: nn.Module, path: str, classes: int) -> None:
    """Replace the linear layer at `path`, the network's last, by its two halves."""
    network.set_submodule(path, SplitHead(network.get_submodule(path), classes))


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
            network.set_submodule(path, ReluForm(layer))


class ChannelsLast(nn.Module):
    """Takes 1×H×W×3, as emotiond feeds pictures, and returns a tuple of outputs."""

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        outputs = self.network(x.permute(0, 3, 1, 2))
        return (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
