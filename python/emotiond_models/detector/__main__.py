"""Commands that make and measure the detector; `--help` lists them, `models/emotiond-face.md` says in which order."""

import argparse
from pathlib import Path

from . import manifest

TEACHER = "detector/yunet_n_dynamic.onnx"
PUPIL = "detector/yunet_s_dynamic.onnx"
MODELS = Path(__file__).parents[3] / "models"


def pool(args: argparse.Namespace) -> None:
    from . import sets
    from .pictures import Painter, photographs
    from .targets import Teacher, pool

    folder = args.work / "pools"
    folder.mkdir(parents=True, exist_ok=True)
    teacher = Teacher(args.data / TEACHER)
    crops, grey = sets.expw(args.data, held_out=False), sets.ferplus(args.data, split=0)
    photos = photographs(args.photos)
    for seed in range(args.first, args.first + args.files):
        painter = Painter(crops, grey, photos, manifest.WIDTH, manifest.HEIGHT, seed)
        pool(folder / f"{seed:03d}.npz", teacher, painter, args.pictures)
        print(f"pool {seed}: {args.pictures} pictures", flush=True)


def train(args: argparse.Namespace) -> None:
    import torch

    from .train import train_patch, tune

    torch.set_num_threads(args.threads)
    torch.set_flush_denormal(True)
    pools, save = args.work / "pools", args.work / "detector.pt"
    if args.patch:
        train_patch(args.data / TEACHER, pools, save, args.minutes, args.minutes / 2)
    else:
        tune(args.data / PUPIL, pools, save, args.minutes)


def export(args: argparse.Namespace) -> None:
    from .network import read_onnx
    from .tflite import write
    from .train import Pools, int8_steps, restore

    net, steps = (read_onnx(args.data / PUPIL), None) if args.published else restore(args.work / "detector.pt")
    steps = steps or int8_steps(net, Pools(args.work / "pools", seed=1))
    manifest.save(args.models, write(net, steps, manifest.WIDTH, manifest.HEIGHT))


def evaluate(args: argparse.Namespace) -> None:
    from .evaluate import HEADER, Sets, figures, line, point_errors, references
    from .runtime import Detector, Float, Sure

    whole, part = Detector(args.model), args.model.with_stem(f"{args.model.stem}-part")
    detectors: dict = {"int8": whole}
    if part.exists():
        detectors["int8, sure"] = Sure(whole, Detector(part))
    if args.float:
        from .network import read_onnx
        from .train import restore

        net = read_onnx(args.float) if args.float.suffix == ".onnx" else restore(args.float)[0]
        detectors["float"] = Float(net, whole.width, whole.height)
    pictures = Sets(args.data, args.clip or args.data / "clips/no_face.mp4")
    print(HEADER)
    for name, detector in detectors.items():
        for score, row in figures(detector.detect, pictures, args.scores).items():
            print(line(name, score, row), flush=True)
    if args.points:
        from .targets import Teacher

        seen = references(Teacher(args.data / TEACHER), pictures)
        for name, detector in detectors.items():
            errors = point_errors(detector.detect, pictures, seen)
            each = ", ".join(f"{value:.3f}" for value in errors.mean(0))
            print(f"{name}: points of {len(errors)} faces are {errors.mean():.3f} of the distance between the eyes from those of "
                  f"YuNet-n at the picture's own size (each: {each})", flush=True)


def ranges(args: argparse.Namespace) -> None:
    from . import sets
    from .ranges import composed, hall, recall
    from .runtime import Detector

    room, near = Detector(args.model), Detector(args.model.with_stem(f"{args.model.stem}-near"))
    scenes = sets.scenes(args.data)
    print("| face, pixels | faces | near | room | hall |\n|---|---|---|---|---|")
    for side in args.sides:
        pictures = composed(scenes, side, args.pictures, seed=side)
        found = (recall(detect, pictures) for detect in (near.detect, room.detect, hall(room)))
        cells = " | ".join(f"{share:.2f}, {others:.1f}" for share, others in found)
        print(f"| {side} | {sum(len(boxes) for _, boxes in pictures)} | {cells} |", flush=True)


def golden(args: argparse.Namespace) -> None:
    from .golden import lines
    from .runtime import Detector

    detector = Detector(args.model)
    args.out.write_text("".join(lines(detector, picture, not args.plain) for picture in args.picture))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m emotiond_models.detector", description=__doc__)
    commands = parser.add_subparsers(required=True)

    def command(function, *options: str, text: str) -> argparse.ArgumentParser:
        made = commands.add_parser(function.__name__, help=text)
        made.set_defaults(function=function)
        if "data" in options:
            made.add_argument("--data", type=Path, required=True, help="folder of the data sets")
        if "work" in options:
            made.add_argument("--work", type=Path, required=True, help="folder for what is made on the way")
        if "model" in options:
            made.add_argument("--model", type=Path, default=MODELS / manifest.FILE, help="the .tflite")
        return made

    made = command(pool, "data", "work", text="draw pictures with targets to learn from")
    made.add_argument("--photos", type=Path, required=True, help="folder of photographs to put faces on")
    made.add_argument("--first", type=int, default=0, help="number and seed of the first file")
    made.add_argument("--files", type=int, default=12)
    made.add_argument("--pictures", type=int, default=1000, help="in each file")
    made = command(train, "data", "work", text="teach YuNet-s what YuNet-n sees at twice the size")
    made.add_argument("--minutes", type=float, default=10)
    made.add_argument("--threads", type=int, default=1)
    made.add_argument("--patch", action="store_true", help="the patch network instead, an experiment")
    made = command(export, "data", "work", text="round what was trained to int8 and write the .tflite and its manifest")
    made.add_argument("--published", action="store_true", help="the published weights instead")
    made.add_argument("--models", type=Path, default=MODELS)
    made = command(evaluate, "data", "model", text="recall and false alarms on the sets for report")
    made.add_argument("--clip", type=Path, help="video without a face (default: DATA/clips/no_face.mp4)")
    made.add_argument("--float", type=Path, help="an ONNX file or a checkpoint of train, measured in float beside the file")
    made.add_argument("--points", action="store_true", help="the five points as well")
    made.add_argument("--scores", type=float, nargs="+", default=[0.5, 0.6, 0.7])
    made = command(ranges, "data", "model", text="what near, room and hall find in pictures of 1280 x 720 composed of faces")
    made.add_argument("--sides", type=int, nargs="+", default=[12, 14, 16, 20, 24, 32, 48, 64, 96, 160])
    made.add_argument("--pictures", type=int, default=10, help="for each size")
    made = command(golden, "model", text="what the file sees in pictures, for the program's tests")
    made.add_argument("--picture", type=Path, nargs="+", required=True)
    made.add_argument("--plain", action="store_true", help="without their mirror images")
    made.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    args.function(args)


if __name__ == "__main__":
    main()
