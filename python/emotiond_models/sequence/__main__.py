"""`python -m emotiond_models.sequence`: the networks that read sequences."""

import argparse
import hashlib
import sys
from pathlib import Path

from .. import manifest
from . import engagement, mimicry


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m emotiond_models.sequence", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("converted"), help="folder to write to (%(default)s)")
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("engagement", help="convert EmotiEffLib's engagement_single_attention.h5")
    one.add_argument("file", type=Path)
    one.add_argument("--rate", type=float, default=10.0, help="steps a second, as the videos had (%(default)s)")
    two = commands.add_parser("mimicry", help="convert a network for emotional mimicry intensity")
    two.add_argument("file", type=Path)
    two.add_argument("--rate", type=float, default=5.0, help="steps a second (%(default)s)")
    two.add_argument("--seconds", type=float, default=12.0, help="how far it looks back (%(default)s)")
    commands.add_parser("temporal", help="train the temporal expression head on drawn sequences")
    return parser.parse_args()


def _written(folder: Path, name: str, content: bytes, about: dict, tables: tuple[dict, dict], comment: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / f"{name}.tflite"
    model.write_bytes(content)
    path = manifest.write_sequence(model, {"name": name, **about}, *tables, comment)
    print(f"{model} ({len(content) // 1024} KiB) and {path.name}")


def main() -> int:
    arguments = _arguments()
    try:
        if arguments.command == "temporal":
            _temporal(arguments.out)
        else:
            _converted(arguments)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _converted(arguments: argparse.Namespace) -> None:
    digest = hashlib.sha256(arguments.file.read_bytes()).hexdigest()
    made = f"Made from {arguments.file.name} (SHA-256 {digest}) by emotiond_models.sequence."
    about = {"version": digest[:12], "licence": "as the file it was made from", "source": "https://github.com/sb-ai-lab/EmotiEffLib"}
    if arguments.command == "engagement":
        weights = engagement.read(arguments.file)
        tables = engagement.tables(weights.values, len(weights.classes[1]), arguments.rate)
        about["training_data"] = ["DAiSEE (research use)"]
        _written(arguments.out, "engagement", engagement.write(weights), about, tables, made)
    else:
        layers = mimicry.read(arguments.file)
        about["training_data"] = ["Hume-Vidmimic2 (research use)"]
        tables = mimicry.tables(arguments.rate, arguments.seconds)
        _written(arguments.out, "mimicry", mimicry.write(layers), about, tables, made)


def _temporal(folder: Path) -> None:
    from . import temporal  # needs PyTorch, the others do not

    network = temporal.train()
    for name, share in temporal.compare(network).items():
        print(f"{name}: {100 * share:.1f} % right on drawn sequences")
    about = {"version": "1", "licence": "MIT OR Apache-2.0", "source": "python -m emotiond_models.sequence temporal",
             "training_data": ["drawn sequences of probabilities (no picture, no face)"]}
    _written(folder, "emotiond-temporal", temporal.write(network), about, temporal.tables(),
             "Trained on drawn sequences by emotiond_models.sequence; nobody has measured it on faces.")


if __name__ == "__main__":
    sys.exit(main())
