#!/usr/bin/env python3
"""Counts what every stage of a frame costs on a Raspberry Pi's cores, in executed arm64 instructions under QEMU.

    cost.py COUNT.so STAGES EMOTIOND [--write]        (scripts/pi-cost builds and runs them)

Prints million instructions for Cortex-A53 and Cortex-A76 and compares them with the table in docs/numbers.md: exits 1 if a
row is more than 2 % and 0.02 million away, or if a row is missing on either side. --write puts the counted ones there.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TABLE = ROOT / "docs/numbers.md"
CORES = ("cortex-a53", "cortex-a76")
SYSROOT = "/usr/aarch64-linux-gnu"
LIBRARY = ROOT / "third_party/tflite/lib/aarch64"
HEADER = "| million arm64 instructions | Cortex-A53, A72 | Cortex-A76 |"
TOLERANCE, LEAST = 0.02, 0.02  # a share, and million instructions, below which a difference says nothing
FRAMES = (10, 30)  # of two runs of the daemon, whose difference leaves out start and end
PATIENCE = 1200  # seconds for one command


def counted(plugin: Path, core: str, out: Path, command: list[str]) -> tuple[str, list[int], int]:
    """What a command prints, how many instructions each mark stands at, and how many there were in all."""
    out.unlink(missing_ok=True)
    emulator = ["qemu-aarch64", "-cpu", core, "-L", SYSROOT, "-E", f"LD_LIBRARY_PATH={SYSROOT}/lib:{LIBRARY}"]
    emulator += ["-plugin", f"{plugin},out={out}", *command]
    done = subprocess.run(emulator, capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} on {core} failed with {done.returncode}: {done.stderr}")
    lines = [line.split() for line in out.read_text().splitlines()]
    marks = [int(value) for word, value in lines if word == "mark"]
    return done.stdout, marks, next(int(value) for word, value in lines if word == "total")


def stages(plugin: Path, core: str, out: Path, program: str, folder: Path) -> dict[str, float]:
    """Million instructions of each stage, once."""
    photo, frame = ROOT / "tests/data/astronaut.png", folder / "frame.jpg"
    said, marks, _ = counted(plugin, core, out, [program, str(ROOT / "models"), str(photo), str(frame)])
    names = [line.split(" ", 1) for line in said.splitlines()]
    if len(marks) != 2 * len(names):
        sys.exit(f"{len(marks)} marks for {len(names)} stages: does another part ask for the thread's time?")
    return {
        name: (end - start) / int(rounds) / 1e6
        for (rounds, name), start, end in zip(names, marks[::2], marks[1::2], strict=True)
    }


def daemon(plugin: Path, core: str, out: Path, program: str, folder: Path) -> float:
    """Million instructions of the whole program, all threads, for each frame of a recording at full speed."""
    totals = []
    configuration = folder / "emotiond.toml"
    # As many frames as are analysed: the others would cost next to nothing.
    configuration.write_text('site = "home"\n[camera]\nrate = 5.0\nreplay_fps = 5.0\n')
    for frames in FRAMES:
        recording = folder / f"{frames}.mjpeg"
        recording.write_bytes((folder / "frame.jpg").read_bytes() * frames)
        command = [program, "run", "--config", str(configuration)]
        command += ["--source", f"replay:{recording}", "--publish", "stdout"]
        totals.append(counted(plugin, core, out, command)[2])
    return (totals[1] - totals[0]) / (FRAMES[1] - FRAMES[0]) / 1e6


def recorded() -> dict[str, list[float]]:
    """The committed table."""
    _, found, after = TABLE.read_text().partition(HEADER)
    rows = re.match(r"\n\|[-|]+\|\n((?:\|.*\|\n)*)", after) if found else None
    if not rows:
        return {}
    cells = (line.strip("|\n").split("|") for line in rows[1].splitlines())
    return {name.strip(): [float(value) for value in values] for name, *values in cells}


def main() -> int:
    plugin, program, emotiond = (str(Path(path).resolve()) for path in sys.argv[1:4])
    table: dict[str, list[float]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for core in CORES:
            rows = stages(plugin, core, folder / "out", program, folder)
            rows["the daemon, a frame of a recording, MJPG, one face"] = daemon(
                plugin, core, folder / "out", emotiond, folder
            )
            for stage, value in rows.items():
                table.setdefault(stage, []).append(value)
    text = "".join(f"| {stage} | {a53:.2f} | {a76:.2f} |\n" for stage, (a53, a76) in table.items())
    print(f"{HEADER}\n|---|---|---|\n{text}", end="")
    have = recorded()
    if "--write" in sys.argv:
        page = TABLE.read_text()
        old = "".join(f"| {stage} | {a53:.2f} | {a76:.2f} |\n" for stage, (a53, a76) in have.items())
        TABLE.write_text(page.replace(f"{HEADER}\n|---|---|---|\n{old}", f"{HEADER}\n|---|---|---|\n{text}"))
        return 0
    wrong = [stage for stage in table.keys() ^ have.keys()]
    for stage in table.keys() & have.keys():
        for now, before in zip(table[stage], have[stage], strict=True):
            if abs(now - before) > max(TOLERANCE * before, LEAST):
                wrong.append(f"{stage}: {now:.2f}, {before:.2f} in docs/numbers.md")
    print("\n".join(["differs from docs/numbers.md:", *sorted(wrong)]) if wrong else "as in docs/numbers.md, within 2 %")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
