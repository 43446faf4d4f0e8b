#!/usr/bin/env python3
"""Does emotiond read the same off a picture on x86_64 and on arm64 (under qemu-user)? `scripts/cross-arm64` runs it.

    arm64.py EMOTIOND_X86_64 EMOTIOND_ARM64

Every shipped model on pictures made here from tests/data/astronaut.png, compared by what `analyze --json` prints.
What may differ follows from each model's file and manifest, not from its weights:

- an integer output may be one quantization step off. By a step, a softmax moves the log-odds of a class by at most two over the temperature (this score one up, all others one down),
  a sigmoid by one;
- a float output that is a probability: 1/256, the step of an 8-bit one;
- valence and arousal read out of the expressions: what their coefficients make of the differences there;
- boxes and scores: 0.5 pixel and 0.01, less than a step of the detector's int8 is worth in a picture of 640 × 480.

Then the whole daemon on the photo (`run --publish stdout`), summary by summary, and `check`.
"""

import json
import math
import os
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from PIL import Image, ImageEnhance, ImageOps

ROOT = Path(__file__).resolve().parents[2]
# The boards that emotiond is for; the second has the dot-product instructions, for which XNNPACK has other kernels.
CORES = {"cortex-a72": "Raspberry Pi 4", "cortex-a76": "Raspberry Pi 5"}
# Debian's libraries for cross compilation, and no others: where arm64 is dpkg's second architecture too, their loader
# would find that one's C library, which is of another release, and the first thread that a program starts would hang.
SYSROOT = "/usr/aarch64-linux-gnu"
PATIENCE = 900  # seconds for one command; the longest, `run`, took 93 on a busy machine
PRINTED = 0.5e-4 * 1.01  # half of the last printed digit, and floating point's own
BOX, SCORE = 0.5, 0.01
FIGURE = 0.01  # by which a float in a summary may differ; everything else has to be the same


def pictures(folder: Path) -> None:
    photo = Image.open(ROOT / "tests/data/astronaut.png").convert("RGB")
    made = {
        "plain": photo,
        "mirrored": ImageOps.mirror(photo),
        "turned": photo.rotate(12, Image.Resampling.BICUBIC),
        "half": photo.resize((256, 256), Image.Resampling.LANCZOS),
        "large": photo.resize((800, 800), Image.Resampling.BICUBIC),
        "near": photo.crop((140, 20, 320, 240)),
        "dark": ImageEnhance.Brightness(photo).enhance(0.35),
        "grey": ImageOps.grayscale(photo).convert("RGB"),
    }
    pair = Image.new("RGB", (640, 480), (90, 100, 110))
    pair.paste(photo.resize((300, 300)), (10, 100))
    pair.paste(ImageOps.mirror(photo).resize((240, 240)), (380, 40))
    made["two"] = pair
    for name, picture in made.items():
        picture.save(folder / f"{name}.png")
    photo.save(folder / "jpeg.jpg", quality=60)


def emulated(core: str, program: str) -> list[str]:
    return ["qemu-aarch64-static", "-cpu", core, "-L", SYSROOT, "-E", f"LD_LIBRARY_PATH={SYSROOT}/lib", program]


def analyze(program: list[str], configuration: Path, model: str, folder: Path) -> dict[str, list[dict]]:
    """The faces of every picture."""
    command = [*program, "analyze", "--config", str(configuration), "--model", model, "--json", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=PATIENCE)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed with {done.returncode}")
    return {Path(line["path"]).name: line["faces"] for line in map(json.loads, done.stdout.splitlines())}


def log_odds(p: float) -> float:
    p = min(max(p, 1e-9), 1 - 1e-9)
    return math.log(p / (1 - p))


def apart(a: float, b: float) -> float:
    """Least difference of the log-odds that two printed probabilities allow."""
    low, high = min(a, b) + PRINTED, max(a, b) - PRINTED
    return max(0.0, log_odds(high) - log_odds(low))


class Heads:
    """What one model's heads may differ by: a quantization step."""

    def __init__(self, name: str):
        self.manifest = tomllib.loads((ROOT / "models" / f"{name}.toml").read_text())
        interpreter = Interpreter(str(ROOT / "models" / self.manifest["file"]))
        # In the C API's order, which is the file's and the manifest's.
        self.outputs = interpreter.get_output_details()

    def step(self, head: dict) -> float:
        """A quantization step of a head's tensor; 0 if it is float."""
        output = head["output"]
        details = self.outputs[output] if isinstance(output, int) else next(
            o for o in self.outputs if o["name"] == output
        )
        return float(details["quantization"][0])

    def exceeded(self, head: dict, here: dict, there: dict) -> tuple[float, float]:
        """The largest difference of a head's numbers, and the largest as a share of what is allowed."""
        if head["kind"] == "valence_arousal":
            return self._affect(head, here, there)
        ours, theirs = here[head["kind"]], there[head["kind"]]
        difference = max(abs(ours[label] - theirs[label]) for label in ours)
        step = self.step(head)
        if step == 0:
            return difference, max(0.0, difference - 2 * PRINTED) * 256
        match head.get("activation", "none"):
            case "softmax":
                allowed = 2 * step / head.get("temperature", 1.0)
            case "sigmoid":
                allowed = step
            case _:
                return difference, max(0.0, difference - 2 * PRINTED) / step
        return difference, max(apart(ours[label], theirs[label]) for label in ours) / allowed

    def _affect(self, head: dict, here: dict, there: dict) -> tuple[float, float]:
        worst = share = 0.0
        for i, name in enumerate(("valence", "arousal")):
            difference = abs(here[name] - there[name])
            allowed = self.step(head) if "output" in head else 0.0
            for kind, table in (("expression", "circumplex"), ("action_units", "action_units")):
                for label, values in head.get(table, {}).items():
                    change = abs(here[kind][label] - there[kind][label]) + 2 * PRINTED
                    allowed += abs(values[i]) * change
            worst = max(worst, difference)
            share = max(share, max(0.0, difference - 2 * PRINTED) / allowed)
        return worst, share


def compare(ours: dict, theirs: dict, heads: Heads | None) -> tuple[int, dict[str, list[float]]]:
    """The number of faces, and for every kind of number [largest difference, largest share of the allowed one]."""
    if ours.keys() != theirs.keys() or any(len(ours[k]) != len(theirs[k]) for k in ours):
        counts = {k: (len(ours[k]), len(theirs.get(k, []))) for k in ours}
        sys.exit(f"not the same faces were found (x86_64, arm64): {counts}")
    found: dict[str, list[float]] = {}

    def note(kind: str, difference: float, share: float) -> None:
        have = found.setdefault(kind, [0.0, 0.0])
        found[kind] = [max(have[0], difference), max(have[1], share)]

    pairs = [pair for picture in ours for pair in zip(ours[picture], theirs[picture])]
    for here, there in pairs:
        box = max(abs(a - b) for a, b in zip(here["box"], there["box"]))
        note("box, pixels", box, max(0.0, box - 0.1) / BOX)
        score = abs(here["score"] - there["score"])
        note("score", score, score / SCORE)
        for head in heads.manifest["head"] if heads else ():
            note(head["kind"], *heads.exceeded(head, here, there))
    return len(pairs), found


def summaries(program: list[str], configuration: Path) -> list[dict]:
    """What the daemon says of the photo, shown for half a minute, less the run's id and its time."""
    command = [*program, "run", "--config", str(configuration), "--source", "replay:tests/data/astronaut.png"]
    command += ["--publish", "stdout", "--window", "10s"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=PATIENCE)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed with {done.returncode}")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    for summary in found:
        del summary["boot"], summary["window"]["start"], summary["window"]["end"]
    return found


def furthest(a: object, b: object, where: str = "") -> tuple[float, str]:
    """The largest difference of two floats at the same place, and the place; infinite for any other difference."""
    if isinstance(a, float) and isinstance(b, float):
        return abs(a - b), where
    if isinstance(a, dict) and isinstance(b, dict) and a.keys() == b.keys():
        return max((furthest(a[key], b[key], f"{where}.{key}") for key in a), default=(0.0, where))
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        return max((furthest(x, y, f"{where}[{i}]") for i, (x, y) in enumerate(zip(a, b))), default=(0.0, where))
    return (0.0 if a == b else math.inf), where


def check(program: list[str], configuration: Path) -> dict[str, str]:
    """`ok`, `warning` or `failed` for each thing that `check` tries."""
    command = [*program, "check", "--config", str(configuration)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, timeout=PATIENCE)
    # Lines that begin with a space say what to do about the one before.
    lines = [line.split()[:2] for line in done.stdout.splitlines() if not line.startswith(" ")]
    if done.returncode not in (0, 69) or not lines:
        sys.exit(f"{' '.join(command)} failed with {done.returncode}")
    # QEMU's user mode has neither Landlock nor a filter of system calls to give, and is slow.
    return {thing: state for state, thing in lines if thing not in ("sandbox", "models") or state == "failed"}


def main() -> int:
    here, there = (str(Path(program).resolve()) for program in sys.argv[1:3])
    os.chdir(ROOT)
    models = [path.stem for path in sorted((ROOT / "models").glob("*.toml")) if 'kind = "emotion"' in path.read_text()]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        (folder / "pictures").mkdir()
        pictures(folder / "pictures")
        # A frame a second is enough, and five take twice as long under QEMU.
        daemon = folder / "daemon.toml"
        daemon.write_text(
            'site = "home"\n[camera]\nrate = 1.0\nsource = "replay:tests/data/astronaut.png"\n'
        )
        said, checked = summaries([here], daemon), check([here], daemon)
        if not said or not any(summary.get("expression") for summary in said):
            sys.exit("the daemon read no emotion on x86_64: nothing would be compared")
        for core, board in CORES.items():
            print(f"{core} ({board}) under qemu-user, against x86_64:")
            for model in models:
                arguments = (daemon, model, folder / "pictures")
                ours = analyze([here], *arguments)
                theirs = analyze(emulated(core, there), *arguments)
                faces, found = compare(ours, theirs, Heads(model))
                if not faces:
                    sys.exit("no face was found in any picture: nothing was compared")
                print(f"  {model}, {faces} faces:")
                for kind, (difference, share) in found.items():
                    failed |= not np.isfinite(share) or share > 1
                    print(f"    {kind}: at most {difference:.4f} apart, {share:.0%} of what is allowed")
            difference, where = furthest(said, summaries(emulated(core, there), daemon))
            failed |= difference > FIGURE
            print(f"  run, {len(said)} summaries: at most {difference:.3f} apart{f' ({where})' if difference else ''}")
            states = check(emulated(core, there), daemon)
            failed |= states != checked
            print(f"  check: {states}" + ("" if states == checked else f", but on x86_64 {checked}"), flush=True)
    print("beyond the bound" if failed else "all of it within the bound")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
