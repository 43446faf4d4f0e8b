#!/usr/bin/env python3
"""Do the shipped networks give the same numbers on x86_64 and on arm64 (under qemu-user), from the same inputs?

    arm64_networks.py RUN_MODEL_X86_64 RUN_MODEL_ARM64 [MODEL...]      (scripts/cross-arm64 builds and runs them)

TensorFlow Lite alone, without emotiond: an integer output may be one quantization step off, a float output 1e-4 of the
tensor's largest value.
"""

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from arm64 import CORES, PATIENCE, ROOT, emulated, pictures
from PIL import Image

# What is cut out of every picture, in its widths and heights: all of it for the detectors, else about the face.
CUTS = {"face_detector": ((0, 0, 1, 1),), "emotion": ((0.28, 0.08, 0.6, 0.4), (0.2, 0, 0.7, 0.5))}
FLOAT = 1e-4


def inputs(manifest: dict, model: Path, folder: Path) -> bytes:
    """Every picture, cut, as the model's input tensor."""
    details = Interpreter(str(model)).get_input_details()[0]
    wanted = manifest["input"]
    tensors = []
    for path in sorted(folder.iterdir()):
        photo = Image.open(path).convert("L" if wanted["color"] == "gray" else "RGB")
        for cut in CUTS[manifest["kind"]]:
            box = [round(share * photo.size[i % 2]) for i, share in enumerate(cut)]
            pixels = np.asarray(photo.crop(box).resize((wanted["width"], wanted["height"])), np.float32)
            x = (pixels - np.float32(wanted["mean"])) / np.float32(wanted["std"])
            if details["dtype"] == np.int8:
                scale, zero = details["quantization"]
                x = np.clip(np.round(x / scale) + zero, -128, 127).astype(np.int8)
            tensors.append(x.tobytes())
    return b"".join(tensors)


def run(command: list[str]) -> list[np.ndarray]:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed: {done.stderr}")
    return [np.array(line.split(), np.float64) for line in done.stdout.splitlines()]


def main() -> int:
    here, there = (str(Path(program).resolve()) for program in sys.argv[1:3])
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "pictures").mkdir()
        pictures(folder / "pictures")
        for path in sorted((ROOT / "models").glob("*.toml")):
            if sys.argv[3:] and path.stem not in sys.argv[3:]:
                continue
            manifest = tomllib.loads(path.read_text())
            model = path.parent / manifest["file"]
            (folder / "inputs").write_bytes(inputs(manifest, model, folder / "pictures"))
            command = [str(model), str(folder / "inputs")]
            ours = run([here, *command])
            integer = [o["dtype"] == np.int8 for o in Interpreter(str(model)).get_output_details()]
            for core, board in CORES.items():
                theirs = run([*emulated(core, there), *command])
                if not ours or [y.shape for y in ours] != [y.shape for y in theirs]:
                    sys.exit(f"{manifest['name']}: {len(ours)} outputs on x86_64, {len(theirs)} on {core}")
                steps, share = 0.0, 0.0
                for i, (a, b) in enumerate(zip(ours, theirs)):
                    apart = np.abs(a - b).max()
                    if integer[i % len(integer)]:
                        steps = max(steps, apart)
                    else:
                        share = max(share, apart / np.abs(a).max())
                failed |= not (steps <= 1 and share <= FLOAT)
                found = f"{steps:.0f} steps" if any(integer) else f"{share:.1e} of the largest value"
                runs = len(ours) // len(integer)
                print(f"{manifest['name']}, {core} ({board}), {runs} inputs: at most {found} apart", flush=True)
    print("beyond the bound" if failed else "all of it within the bound")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
