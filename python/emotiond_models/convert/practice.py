"""Short training on drawn faces, so that the proof has networks with a purpose.

A random network amplifies any disturbance from layer to layer; a trained one has learned to suppress what its answer
does not depend on. Only on the second does the distance of int8 from float say something about the conversion.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from . import calibration
from .architectures import ARCHITECTURES
from .published import Published

# A network with the body of a trained one has little left to learn.
_STEPS, _STEPS_LENT = 120, 20
_FACES, _BATCH, _RATE, _SETTLED = 768, 12, 3e-3, 64
# What is to be learned does not depend on the scale, so small pictures do, where the network takes other sizes.
_SIDE, _FIXED_SIZE = 96, 112
# The batch norms that close a residual branch begin small, so that a deep network learns within a hundred steps.
_RESIDUAL_END = ("bn3", "conv3_1x1.bn", "layers.2.layers.1", "project.bn")
_RESIDUAL_WEIGHT = 0.3


def targets(traits: list[calibration.Traits], classes: int) -> tuple[Tensor, Tensor]:
    """For what was drawn, a class (skin light, background warm, hair light or not) and two numbers within -1..1."""
    kinds = [4 * (t.skin > 0.5) + 2 * (t.background > 0.5) + (t.hair > 0.5) for t in traits]
    affect = [(2 * t.skin - 1, 2 * t.background - 1) for t in traits]
    return torch.tensor(kinds).clamp(max=classes - 1), torch.tensor(affect)


def trained(network: Published, steps: int | None = None, body: nn.Module | None = None, seed: int = 0) -> nn.Module:
    """A network of the published architecture, from random weights, after training on drawn faces.

    With `body`, of the same architecture, it begins with all of that but the last layer.
    """
    torch.manual_seed(seed)
    module = _random(network)
    if body is not None:
        head = ARCHITECTURES[network.architecture].head
        lent = {name: tensor for name, tensor in body.state_dict().items() if not name.startswith(head + ".")}
        module.load_state_dict(lent, strict=False)
    steps = steps or (_STEPS if body is None else _STEPS_LENT)
    faces = calibration.drawn_with_traits(_FACES, seed=5)
    small = network if network.size == _FIXED_SIZE else replace(network, size=_SIDE)
    pictures = _tensor([face for face, _ in faces], small)
    kinds, affect = targets([traits for _, traits in faces], len(network.labels))
    optimizer = torch.optim.AdamW(module.parameters(), _RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.2)
    order = torch.randperm(_FACES)
    module.to(memory_format=torch.channels_last).train()
    for step in range(steps):
        chosen = order[torch.arange(step * _BATCH, (step + 1) * _BATCH) % _FACES]
        outputs = module(pictures[chosen])
        loss = functional.cross_entropy(outputs[:, : len(network.labels)], kinds[chosen])
        if network.affect:
            loss = loss + functional.mse_loss(outputs[:, len(network.labels) :], affect[chosen])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    _settle(module, _tensor([face for face, _ in faces[:_SETTLED]], network))
    return module.to(memory_format=torch.contiguous_format).eval()


def _random(network: Published) -> nn.Module:
    architecture = ARCHITECTURES[network.architecture]
    module = architecture.build(network.outputs)
    if network.architecture.startswith("efficientnet"):
        module.get_submodule(architecture.head).reset_parameters()  # timm's scores start in the tens
    for path, layer in module.named_modules():
        if isinstance(layer, nn.BatchNorm2d) and path.endswith(_RESIDUAL_END):
            nn.init.constant_(layer.weight, _RESIDUAL_WEIGHT)
        if isinstance(layer, nn.PReLU):
            layer.weight.data[0] = 1.2  # a slope above 1 is rare but possible
    return module


def _tensor(pictures: list, network: Published) -> Tensor:
    inputs = np.concatenate([calibration.prepare(picture, network) for picture in pictures])
    return torch.from_numpy(inputs).permute(0, 3, 1, 2)


def _settle(module: nn.Module, pictures: Tensor) -> None:
    """Batch norm statistics of the final weights on pictures of full size."""
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm1d)):
            layer.reset_running_stats()
            layer.momentum = None  # average over all batches
    with torch.no_grad():
        for batch in pictures.split(16):
            module(batch)
