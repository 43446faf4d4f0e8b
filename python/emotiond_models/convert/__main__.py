"""`python -m emotiond_models.convert FILE`: convert one published file."""

import argparse
import logging
import sys
import warnings
from pathlib import Path

from . import ConversionError, calibration
from .published import NETWORKS

log = logging.getLogger("convert")
_HELD_OUT = 32
MODELS = Path("/usr/share/emotiond/models")  # of `make install` and of the packages


def _count(text: str) -> int:
    """At least one: of none there are no ranges."""
    if (count := int(text)) < 1:
        raise ValueError
    return count


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emotiond_models.convert", description=__doc__)
    parser.add_argument("file", type=Path, help="the published .pt, .pth, .onnx or .h5 file")
    parser.add_argument("--network", choices=NETWORKS, help="which network it is, if its name does not say so")
    parser.add_argument("--calibrate", type=Path, metavar="FOLDER", help="face crops to calibrate on")
    parser.add_argument("--pictures", type=_count, default=200, metavar="N", help="how many of them to use (200)")
    parser.add_argument(
        "--embedding", action="store_true", help="one more output, for networks that read sequences (docs/manifest.md)"
    )
    parser.add_argument("--out", type=Path, default=Path("converted"), help="folder to write to (%(default)s)")
    parser.add_argument(
        "--install", type=Path, nargs="?", const=MODELS, metavar="FOLDER",
        help="then copy files and manifests to where emotiond finds them (%(const)s)",
    )  # fmt: skip
    return parser.parse_args()


def _pictures(arguments: argparse.Namespace) -> tuple[list, list, str]:
    """Pictures to calibrate on, others to compare on, and what the manifest says of the calibration."""
    total = arguments.pictures + _HELD_OUT
    if arguments.calibrate:
        pictures = calibration.from_folder(arguments.calibrate, total)
    else:
        pictures = calibration.drawn(total)
    kept = _HELD_OUT if len(pictures) == total else min(_HELD_OUT, len(pictures) // 5)
    if not kept:
        raise ConversionError(f"{arguments.calibrate} holds {len(pictures)} pictures: at least 5 are needed")
    calibrating, held_out = pictures[:-kept], pictures[-kept:]
    if len(pictures) < total:
        log.warning(
            "WARNING: %s holds %d pictures, %d were asked for: %d of them are kept aside for the comparison.",
            arguments.calibrate, len(pictures), total, kept,
        )  # fmt: skip
    if arguments.calibrate:
        return calibrating, held_out, f"calibrated on {len(calibrating)} pictures of {arguments.calibrate.name}"
    log.warning(
        "WARNING: no --calibrate FOLDER, so the integer ranges come from drawn faces. Good enough to try the "
        "conversion; for use, convert again with a few hundred real face crops."
    )
    return calibrating, held_out, "calibrated on drawn faces (not for use)"


def main() -> int:
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    log.setLevel(logging.INFO)
    warnings.filterwarnings("ignore", module="torch|litert_torch|timm")
    arguments = _arguments()
    from . import conversion  # after the arguments: a wrong one should not wait for PyTorch

    try:
        network = conversion.identify(arguments.file, arguments.network)
        pictures = _pictures(arguments)
        results = conversion.convert(arguments.file, network, *pictures, arguments.out, arguments.embedding)
        for result in results:
            _report(result)
        for manifest in conversion.install(results, arguments.install) if arguments.install else ():
            log.info('installed; in the configuration: [models] emotion = "%s"', manifest.stem)
    except ConversionError as error:
        log.error("error: %s", error)
        return 1
    return 0


def _report(result) -> None:
    log.info("%s (%d KiB) and %s", result.model, result.model.stat().st_size // 1024, result.manifest.name)
    log.info("  %s against float, %s", result.kind, result.difference)
    if result.how:
        log.info("  %s", result.how)
    if result.difference.large:
        log.warning("WARNING: that is far. Calibrate on more and better pictures, or take the other file.")


if __name__ == "__main__":
    sys.exit(main())
