"""Pictures that tell the quantizer how large the network's activations get."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from ..quantization import over_whole_range
from . import ConversionError
from .published import Published

_SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".webp"}


def from_folder(folder: Path, limit: int, seed: int = 0) -> list[Image.Image]:
    """Up to `limit` pictures of `folder` and the folders in it, drawn at random: face crops, cut like the network's."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in _SUFFIXES)
    if not paths:
        raise ConversionError(f"{folder} holds no picture ({', '.join(sorted(_SUFFIXES))})")
    chosen = np.random.default_rng(seed).permutation(len(paths))[:limit]
    return [_open(paths[i]) for i in sorted(chosen)]


def _open(path: Path) -> Image.Image:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except OSError as error:
        raise ConversionError(f"cannot read the picture {path}: {error}") from error


def drawn(count: int, side: int = 224, seed: int = 0) -> list[Image.Image]:
    """Schematic faces under varying light: enough to try the conversion, not enough to ship its result."""
    return [picture for picture, _ in drawn_with_traits(count, side, seed)]


@dataclass(frozen=True)
class Traits:
    """Of a drawn face, 0..1 each: how light the skin is, how warm the background's colour, how light the hair."""

    skin: float
    background: float
    hair: float


def drawn_with_traits(count: int, side: int = 224, seed: int = 0) -> list[tuple[Image.Image, Traits]]:
    """The faces of `drawn` and what was drawn."""
    random = np.random.default_rng(seed)
    return [_draw(random, side) for _ in range(count)]


def _draw(random: np.random.Generator, side: int) -> tuple[Image.Image, Traits]:
    background = random.integers(40, 216, 3)
    picture = Image.new("RGB", (side, side), tuple(background))
    pen = ImageDraw.Draw(picture)
    light = random.uniform(0.4, 1.05)
    skin = np.array([232, 190, 160]) * light
    dark = tuple((skin * random.uniform(0.1, 0.5)).astype(int))
    hair = tuple(random.integers(0, 140, 3))
    x, y = side * (0.5 + random.normal(0, 0.04, 2))
    width, height = side * random.uniform(0.3, 0.42), side * random.uniform(0.4, 0.52)

    def ellipse(cx, cy, rx, ry, fill):
        pen.ellipse([x + cx * width - rx * width, y + cy * height - ry * height,
                     x + cx * width + rx * width, y + cy * height + ry * height], fill=fill)  # fmt: skip

    ellipse(0, -0.25, 1.15, 1.0, hair)
    ellipse(0, 0, 1, 1, tuple(skin.clip(0, 255).astype(int)))
    openness = random.uniform(0.02, 0.12)
    for eye in (-0.4, 0.4):
        ellipse(eye, -0.2, 0.18, openness, (240, 240, 235))
        ellipse(eye, -0.2, 0.08, min(openness, 0.09), (30, 20, 15))
        brow = -0.4 + random.normal(0, 0.04)
        pen.line([x + (eye - 0.2) * width, y + (brow + random.normal(0, 0.04)) * height,
                  x + (eye + 0.2) * width, y + brow * height], fill=dark, width=side // 40)  # fmt: skip
    ellipse(0, 0.12, 0.1, 0.14, tuple((skin * 0.85).clip(0, 255).astype(int)))
    bend = random.uniform(-0.15, 0.25)
    for t in np.linspace(-1, 1, 15):
        ellipse(0.4 * t, 0.5 + bend * (0.5 - t * t), 0.06, random.uniform(0.02, 0.1), (150, 50, 50))
    picture = picture.filter(ImageFilter.GaussianBlur(random.uniform(0, side / 80)))
    shade = 1 + random.uniform(-0.3, 0.3) * np.linspace(-1, 1, side)[None, :, None]
    noisy = np.asarray(picture, np.float32) * shade + random.normal(0, random.uniform(2, 8), (side, side, 3))
    warmth = (int(background[0]) - int(background[2])) / 350 + 0.5
    traits = Traits((light - 0.4) / 0.65, warmth, float(np.mean(hair)) / 139)
    return Image.fromarray(noisy.clip(0, 255).astype(np.uint8)), traits


def prepare(picture: Image.Image, network: Published) -> np.ndarray:
    """One picture as the network's input: 1×size×size×3, float32, colour order, mean and deviation as published."""
    resized = picture.resize((network.size, network.size), Image.Resampling.BILINEAR)
    pixels = np.asarray(resized, np.float32)
    if network.color == "bgr":
        pixels = pixels[..., ::-1]
    return ((pixels - np.float32(network.mean)) / np.float32(network.std))[None]


def samples(pictures: list[Image.Image], network: Published) -> list[np.ndarray]:
    """The pictures as inputs that hold every pixel value."""
    extremes = (np.float32([[0], [255]]) - np.float32(network.mean)) / np.float32(network.std)
    return over_whole_range([prepare(picture, network) for picture in pictures], *extremes)
