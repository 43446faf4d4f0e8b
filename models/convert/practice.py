"""Short training on drawn faces, so that the proof has networks with a purpose.

A random network amplifies any disturbance from layer to layer; a trained one has learned to suppress what its answer
does not depend on. Only on the second does the distance of int8 from float say something about the conversion.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from . import calibration
from .architectures import ARCHITECTURES
from .published import Published

# EfficientNet learns slowest; a network with the body of a trained one has little left to learn.
_STEPS, _STEPS_EFFICIENTNET, _STEPS_LENT = 120, 200, 20
_FACES, _BATCH, _RATE = 768, 12, 2e-3
# What is drawn lies in the middle. Training looks at that alone, at full scale and at a third of the cost, and at whole
# pictures at the end; networks whose last layer counts on 112 pixels always see all.
_MIDDLE, _MIDDLE_DOWN, _MIDDLE_SHARE = 0.58, 0.575, 0.85
_FIXED_SIZE = 112
# The batch norms that close a residual branch begin small, so that a deep network learns within a hundred steps.
_RESIDUAL_END = ("bn3", "conv3_1x1.bn", "layers.2.layers.1", "project.bn")
_RESIDUAL_WEIGHT = 0.3


def targets(traits: list[calibration.Traits], classes: int) -> tuple[Tensor, Tensor]:
    """A class (smile or not, eyes wide or narrow, light or dark) and valence-arousal for what was drawn."""
    kinds = [4 * (t.smile > 0.5) + 2 * (t.eyes_open > 0.5) + (t.light > 0.5) for t in traits]
    affect = [(2 * t.smile - 1, 2 * t.eyes_open - 1) for t in traits]
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
    steps = steps or _steps(network, body)
    faces = calibration.drawn_with_traits(_FACES, seed=5)
    pictures = _tensor([face for face, _ in faces], network)
    kinds, affect = targets([traits for _, traits in faces], len(network.labels))
    optimizer = torch.optim.AdamW(module.parameters(), _RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATE, total_steps=steps, pct_start=0.2)
    order = torch.randperm(_FACES)
    module.to(memory_format=torch.channels_last).train()
    for step in range(steps):
        chosen = order[torch.arange(step * _BATCH, (step + 1) * _BATCH) % _FACES]
        batch = pictures[chosen]
        outputs = module(batch if step >= _MIDDLE_SHARE * steps else _middle(batch))
        loss = functional.cross_entropy(outputs[:, : len(network.labels)], kinds[chosen])
        if network.affect:
            loss = loss + functional.mse_loss(outputs[:, len(network.labels) :], affect[chosen])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(module.parameters(), 5.0)
        optimizer.step()
        schedule.step()
    _settle(module, pictures[:128])
    return module.to(memory_format=torch.contiguous_format).eval()


def _steps(network: Published, body: nn.Module | None) -> int:
    if body is not None:
        return _STEPS_LENT
    return _STEPS_EFFICIENTNET if network.architecture.startswith("efficientnet") else _STEPS


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


def _middle(batch: Tensor) -> Tensor:
    size = batch.shape[-1]
    if size == _FIXED_SIZE:
        return batch
    side = int(size * _MIDDLE / 32) * 32
    top, left = int(size * _MIDDLE_DOWN - side / 2), (size - side) // 2
    return batch[:, :, top : top + side, left : left + side]


def _settle(module: nn.Module, pictures: Tensor) -> None:
    """Batch norm statistics of the final weights on whole pictures."""
    for layer in module.modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm1d)):
            layer.reset_running_stats()
            layer.momentum = None  # average over all batches
    with torch.no_grad():
        for batch in pictures.split(16):
            module(batch)
