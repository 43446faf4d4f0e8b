"""`python -m models.convert FILE`: convert one published file."""

import argparse
import logging
import sys
import warnings
from pathlib import Path

from . import ConversionError, calibration
from .published import NETWORKS

log = logging.getLogger("convert")
_HELD_OUT = 32


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m models.convert", description=__doc__)
    parser.add_argument("file", type=Path, help="the published .pt, .pth, .onnx or .h5 file")
    parser.add_argument("--network", choices=NETWORKS, help="which network it is, if its name does not say so")
    parser.add_argument("--calibration", type=Path, metavar="FOLDER", help="face crops to calibrate on")
    parser.add_argument("--pictures", type=int, default=200, metavar="N", help="how many of them to use (200)")
    parser.add_argument("--out", type=Path, default=Path("models/converted"), help="folder to write to (%(default)s)")
    return parser.parse_args()


def main() -> int:
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    log.setLevel(logging.INFO)
    warnings.filterwarnings("ignore", module="torch|litert_torch|timm")
    arguments = _arguments()
    from . import convert  # after the arguments: a wrong one should not wait for PyTorch

    try:
        network = convert.identify(arguments.file, arguments.network)
        total = arguments.pictures + _HELD_OUT
        if arguments.calibration:
            pictures = calibration.from_folder(arguments.calibration, total)
            described = f"{arguments.calibration.name}, {max(1, len(pictures) - _HELD_OUT)} pictures"
        else:
            log.warning(
                "WARNING: no --calibration FOLDER, so the integer ranges come from drawn faces. Good enough to try the "
                "conversion; for use, convert again with a few hundred real face crops."
            )
            pictures = calibration.drawn(total)
            described = "drawn faces (not for use)"
        held_out = pictures[-min(_HELD_OUT, len(pictures)) :]
        calibrating = pictures[: -len(held_out)] or held_out
        result = convert.convert(arguments.file, network, calibrating, held_out, described, arguments.out)
    except ConversionError as error:
        log.error("error: %s", error)
        return 1
    log.info("%s (%d KiB) and %s", result.model, result.model.stat().st_size // 1024, result.manifest.name)
    log.info("int8 against float, %s", result.difference)
    if result.floating:
        log.info("left in floating point: %s", ", ".join(f"{n} {name}" for name, n in result.floating.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
