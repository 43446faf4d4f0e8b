#!/usr/bin/env python3
"""Counts what one run of any TensorFlow Lite file costs on a Raspberry Pi's cores, in executed arm64 instructions.

    file.py COUNT.so INVOKE MODEL.tflite …        (`scripts/pi-cost MODEL.tflite …` builds and runs them)

Prints million instructions for Cortex-A53 and Cortex-A76: one thread, XNNPACK, the C library that emotiond links.
"""

import sys
import tempfile
from pathlib import Path

from cost import CORES, counted


def cost(plugin: Path, program: str, model: Path, core: str, out: Path) -> float:
    """Million instructions of one run."""
    said, marks, _ = counted(plugin, core, out, [program, str(model.resolve())])
    if len(marks) != 2:
        sys.exit(f"{model}: {len(marks)} marks, two were expected")
    return (marks[1] - marks[0]) / int(said) / 1e6


def main() -> int:
    plugin, program, *models = sys.argv[1:]
    print("| million arm64 instructions | Cortex-A53, A72 | Cortex-A76 |\n|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for model in map(Path, models):
            found = [cost(Path(plugin).resolve(), str(Path(program).resolve()), model, core, Path(folder) / "out") for core in CORES]
            print(f"| {model.name} | {found[0]:.2f} | {found[1]:.2f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
