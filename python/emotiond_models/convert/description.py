"""What the manifest of a converted network says."""

import hashlib
from pathlib import Path

from .. import manifest
from . import ConversionError
from .published import Published


def write(network: Published, model: Path, source: Path, shapes: list[tuple[int, ...]], calibration: str,
          embedding: dict | None = None) -> Path:
    """The manifest beside `model`, made from `source`; `shapes` are the model's output shapes in the file's order."""
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    heads = [{"kind": "expression", "output": place(shapes, len(network.labels)), "labels": network.labels,
              "activation": "softmax"}]
    if network.affect:
        heads.append({"kind": "valence_arousal", "output": place(shapes, 2), "activation": "none"})
    return manifest.write(
        model,
        {"name": model.stem, "version": digest[:12], "licence": network.licence, "source": network.source,
         "training_data": network.training_data},
        {"width": network.size, "height": network.size, "color": network.color, "mean": network.mean,
         "std": network.std},
        {"align": network.crop.align, "scale": network.crop.scale, "offset": network.crop.offset},
        heads,
        f"Made from {source.name} (SHA-256 {digest}) by emotiond_models.convert; {calibration}.",
        embedding,
    )


def place(shapes: list[tuple[int, ...]], width: int) -> int:
    """The number of the one output that is `width` values wide."""
    found = [i for i, shape in enumerate(shapes) if shape[-1] == width]
    if len(found) != 1:
        raise ConversionError(f"expected one output of {width} values, the model has {len(found)}: {shapes}")
    return found[0]
