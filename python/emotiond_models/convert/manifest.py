"""The manifest that tells emotiond how to feed and read the converted file."""

import hashlib
import json
from pathlib import Path

from .published import Published


def render(network: Published, model: Path, source: Path, shapes: list[tuple[int, ...]], calibration: str) -> str:
    """The manifest's text; `shapes` are the model's output shapes in the file's order."""
    place = {shape[-1]: i for i, shape in enumerate(shapes)}
    source_digest = hashlib.sha256(source.read_bytes()).hexdigest()
    lines = [
        f"# Made from {source.name} (SHA-256 {source_digest}) by models/convert; {calibration}.",
        "manifest = 1",
        f"name = {_text(model.stem)}",
        f"version = {_text(source_digest[:12])}",
        'kind = "emotion"',
        f"file = {_text(model.name)}",
        f"sha256 = {_text(hashlib.sha256(model.read_bytes()).hexdigest())}",
        f"licence = {_text(network.licence)}",
        f"source = {_text(network.source)}",
        f"training_data = {_list(network.training_data)}",
        "",
        "[input]",
        f"width = {network.size}",
        f"height = {network.size}",
        f"color = {_text(network.color)}",
        f"mean = {_list(network.mean)}",
        f"std = {_list(network.std)}",
        "",
        "[crop]",
        f"align = {_text(network.crop.align)}",
        f"scale = {network.crop.scale}",
        f"offset = {_list(network.crop.offset)}",
        "",
        "[[head]]",
        'kind = "expression"',
        f"output = {place[len(network.labels)]}",
        f"labels = {_list(network.labels)}",
        'activation = "softmax"',
    ]
    if network.affect:
        lines += ["", "[[head]]", 'kind = "valence_arousal"', f"output = {place[2]}", 'activation = "none"']
    return "\n".join(lines) + "\n"


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def _list(values) -> str:
    return "[" + ", ".join(json.dumps(value, ensure_ascii=False) for value in values) + "]"
