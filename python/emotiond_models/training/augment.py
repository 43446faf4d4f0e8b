"""Augmentation of a whole batch at once, on tensors: what a camera in a room does to a face."""

import math
from functools import cache

import torch
import torch.nn.functional as F

from .contract import PIXEL_MEAN, PIXEL_STD
from .data import CACHE_MARGIN


def to_input(images: torch.Tensor) -> torch.Tensor:
    """uint8 `[n, h, w]` or `[n, h, w, 3]` to float `[n, 1 or 3, h, w]` in -1..1."""
    if images.ndim == 3:
        images = images[..., None]
    return (images.permute(0, 3, 1, 2).float() - PIXEL_MEAN) / PIXEL_STD


def centre(images: torch.Tensor, size: int) -> torch.Tensor:
    """The network's crop of cached squares, without augmentation."""
    return place(to_input(images), size).expand(-1, 3, -1, -1)


def place(x: torch.Tensor, size: int, scale=None, angle=None, shift=None, flip=None) -> torch.Tensor:
    """Cut the crop out of the cached square; the arguments (one a picture) move it about."""
    n = len(x)
    scale = torch.ones(n) if scale is None else scale
    angle = torch.zeros(n) if angle is None else angle
    shift = torch.zeros(n, 2) if shift is None else shift
    flip = torch.ones(n) if flip is None else flip
    cos, sin = torch.cos(angle) * scale / CACHE_MARGIN, torch.sin(angle) * scale / CACHE_MARGIN
    theta = torch.stack([
        torch.stack([cos * flip, -sin, shift[:, 0]], 1),
        torch.stack([sin * flip, cos, shift[:, 1]], 1),
    ], 1)
    grid = F.affine_grid(theta, (n, x.shape[1], size, size), align_corners=False)
    return F.grid_sample(x, grid, padding_mode="border", align_corners=False)


SMALL = ((3, 5), (5, 8), (8, 12))  # sides of crops, in eights of pixels, that faces are reduced to


def augment(images: torch.Tensor, size: int, rng: torch.Generator, strength: float = 1.0) -> torch.Tensor:
    n = len(images)

    def uniform(low, high, *shape):
        return torch.rand(*(shape or (n,)), generator=rng) * (high - low) + low

    x = place(
        to_input(images), size,
        scale=torch.exp(uniform(-0.17, 0.17) * strength),
        angle=uniform(-0.25, 0.25) * strength,
        shift=uniform(-0.08, 0.08, n, 2) * strength,
        flip=torch.where(torch.rand(n, generator=rng) < 0.5, -1.0, 1.0),
    )
    # Light: contrast about the picture's own mean, brightness, a light from one side, a colour cast.
    mean = x.mean((1, 2, 3), keepdim=True)
    gain = torch.exp(uniform(-0.4, 0.4) * strength)[:, None, None, None]
    ramp = torch.linspace(-0.2, 0.2, size) * uniform(-1, 1)[:, None] * strength
    offset = mean * (1 - gain) + uniform(-0.25, 0.25)[:, None, None, None] * strength
    x = torch.addcmul(offset + ramp[:, None, None], x, gain)
    if x.shape[1] == 1:
        x = x.expand(-1, 3, -1, -1)
    x = x + uniform(-0.1, 0.1, n, 3)[:, :, None, None] * strength

    def some(p):
        return torch.nonzero(torch.rand(n, generator=rng) < p * strength)[:, 0]

    chosen = some(0.2)
    grey = torch.tensor([0.299, 0.587, 0.114])[None, :, None, None]
    x[chosen] = (x[chosen] * grey).sum(1, keepdim=True).expand(-1, 3, -1, -1)
    # A small or distant face, often in a compressed stream; a noisy sensor.
    for low, high in SMALL:
        chosen = some(0.35)
        low = 8 * int(torch.randint(low, high + 1, (1,), generator=rng))
        small = F.interpolate(x[chosen], size=(low, low), mode="area")
        if torch.rand(1, generator=rng) < 0.6:
            small = jpeg_like(small, float(uniform(0.03, 0.25, 1)))
        x[chosen] = F.interpolate(small, size=(size, size), mode="bilinear", align_corners=False)
    chosen = some(0.3)
    x[chosen] = jpeg_like(x[chosen], float(uniform(0.03, 0.25, 1)))
    chosen = some(0.3)
    x[chosen] += torch.randn(x[chosen].shape, generator=rng) * uniform(0, 0.1, len(chosen), 1, 1, 1)
    # A hand, a cup, hair: one rectangle in one flat colour.
    chosen = some(0.25)
    flat = uniform(-1, 1, len(chosen), 3)[:, :, None, None]
    x[chosen] = torch.where(rectangles(len(chosen), size, rng), flat, x[chosen])
    return x.clamp_(-1, 1)


def rectangles(n: int, size: int, rng: torch.Generator) -> torch.Tensor:
    sides = (torch.rand(n, 2, generator=rng) * 0.35 + 0.1) * size
    start = torch.rand(n, 2, generator=rng) * (size - sides)
    at = torch.arange(size)
    inside = (at >= start[..., None]) & (at < (start + sides)[..., None])
    return (inside[:, 0, :, None] & inside[:, 1, None, :])[:, None]


@cache
def _dct() -> torch.Tensor:
    k = torch.arange(8.0)
    matrix = torch.cos(math.pi / 8 * (k[None] + 0.5) * k[:, None]) / 2
    matrix[0] /= math.sqrt(2)
    return matrix


def jpeg_like(x: torch.Tensor, step: float) -> torch.Tensor:
    """Round 8x8 cosine coefficients, coarser the higher the frequency, as JPEG does."""
    n, c, height, width = x.shape
    dct = _dct()
    blocks = x.reshape(n, c, height // 8, 8, width // 8, 8).transpose(3, 4)
    k = torch.arange(8)
    steps = step * (1 + 0.5 * (k[:, None] + k[None]))
    coefficients = torch.round((dct @ blocks @ dct.T) / steps) * steps
    return (dct.T @ coefficients @ dct).transpose(3, 4).reshape(n, c, height, width)
