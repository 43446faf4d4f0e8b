"""A manifest through the emotiond program, as a user runs it: `analyze` on a photo, and the daemon on the same photo."""

import json
import os
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PHOTO = ROOT / "tests/data/astronaut.png"


def _lines(library: Path, *arguments: str | Path) -> list[dict]:
    built = [ROOT / "target" / kind / "emotiond" for kind in ("debug", "release")]
    found = [path for path in built if path.is_file()]
    if not found:
        pytest.skip("emotiond is not built: cargo build")
    done = subprocess.run(
        [max(found, key=lambda path: path.stat().st_mtime), *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=300, env=os.environ | {"LD_LIBRARY_PATH": str(library.parent)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def analysed(manifest: Path, library: Path) -> dict:
    """What `emotiond analyze` says of the one face in the photo."""
    (picture,) = _lines(library, "analyze", "--json", "--model", manifest, PHOTO)
    (face,) = picture["faces"]
    return face


def watched(manifest: Path, library: Path, folder: Path) -> list[dict]:
    """The summaries of `emotiond run`, which takes the photo for a few seconds of a camera."""
    configuration = folder / "emotiond.toml"
    configuration.write_text(
        f'site = "home"\n[summary]\nwindow = "5s"\n[models]\nemotion = {json.dumps(str(manifest))}\n'
        f"directory = {json.dumps(str(ROOT / 'models'))}\n"
    )
    return _lines(library, "run", "--config", configuration, "--source", f"replay:{PHOTO}", "--publish", "stdout")


def check(manifest: Path, library: Path, folder: Path, labels: tuple[str, ...], affect: bool) -> None:
    """Both ways give a distribution over the network's classes, the daemon the one that `analyze` gives."""
    face = analysed(manifest, library)
    assert abs(sum(face["expression"].values()) - 1) < 0.01 and set(labels) <= set(face["expression"])
    assert (face.get("valence") is not None) == affect
    summary = watched(manifest, library, folder)[1]  # the first begins with the fade-in of a new face
    said = summary["expression"]["distribution"]
    assert summary["faces"]["people"] == 1 and abs(sum(said.values()) - 1) < 0.01
    assert max(said, key=said.get) == max(face["expression"], key=face["expression"].get)
    assert (summary["valence"] is not None) == affect
