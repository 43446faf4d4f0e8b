"""The manifest (TOML) that tells emotiond how to feed and read a model file; docs/manifest.md explains each key."""

import hashlib
import json
import math
from pathlib import Path

_LINE = 110  # columns, beyond which a list takes a line for each of its values


def write(model: Path, about: dict, input_: dict, crop: dict, heads: list[dict], comment: str = "",
          embedding: dict | None = None) -> Path:
    """Write the manifest of an emotion model beside it, named alike; returns its path.

    `about` holds what else stands at the top (name, version, licence, source, training_data), `input_`, `crop` and each
    of `heads` the tables of these names. A head's `output` is the number of the tensor, as the C library lists them.
    """
    tables = {"input": input_, "crop": crop} | ({"embedding": embedding} if embedding else {})
    return _write(model, "emotion", about, tables, heads, comment)


def write_sequence(model: Path, about: dict, sequence: dict, head: dict, comment: str = "") -> Path:
    """The same for a network that reads sequences: its table `[sequence]` and its one head."""
    return _write(model, "sequence", about, {"sequence": sequence}, [head], comment)


def _write(model: Path, kind: str, about: dict, tables: dict, heads: list[dict], comment: str) -> Path:
    file = {"file": model.name, "sha256": hashlib.sha256(model.read_bytes()).hexdigest()}
    first = {"name": about["name"], "version": about.get("version"), "kind": kind}
    lines = [f"# {line}" for line in comment.splitlines()]
    lines += _pairs({"manifest": 1, **{k: v for k, v in first.items() if v is not None}, **file,
                     **{key: value for key, value in about.items() if key not in first}})
    for name, table in tables.items():
        lines += _table(f"[{name}]", name, table)
    for head in heads:
        lines += _table("[[head]]", "head", head)
    path = model.with_suffix(".toml")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def digest_of(content: bytes, manifest: dict, path: Path) -> None:
    """Raises `ValueError` if the model file's `content` is not what `manifest`, read from `path`, was written for."""
    found = hashlib.sha256(content).hexdigest()
    if found != manifest["sha256"]:
        raise ValueError(f"{manifest['file']} has SHA-256 {found}, but {path} says {manifest['sha256']}")


def _table(header: str, name: str, values: dict) -> list[str]:
    """A table and, after it, those within it."""
    lines = ["", header, *_pairs({key: value for key, value in values.items() if not isinstance(value, dict)})]
    for key, value in values.items():
        if isinstance(value, dict):
            lines += [f"[{name}.{key}]", *_pairs(value)]
    return lines


def _pairs(values: dict) -> list[str]:
    lines = []
    for key, value in values.items():
        line = f"{key} = {_value(value)}"
        if len(line) > _LINE and isinstance(value, (list, tuple)):
            line = "\n".join([f"{key} = [", *(f"    {_value(item)}," for item in value), "]"])
        lines.append(line)
    return lines


def _value(value) -> str:
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"a manifest holds finite numbers, not {value}")
    return json.dumps(value, ensure_ascii=False)
