"""`python -m emotiond_models.training STEP --data DIR --work DIR`; models/README.md has the whole sequence."""

import argparse
import json
from pathlib import Path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m emotiond_models.training", description="Make emotiond's emotion network.")
    steps = parser.add_subparsers(dest="step", required=True)
    for name, about in (
        ("prepare", "cut the training faces as the runtime does, and ask the action-unit teacher"),
        ("train", "train the network"),
        ("label", "ask several finished networks about each training face, for `train --taught`"),
        ("narrow", "take the channels that matter least from the trained network, for `train --polish` to mend"),
        ("export", "write the float TensorFlow Lite files and how well the action units agree with their teacher"),
        ("quantize", "write the int8 file and its manifest"),
        ("units", "fit the action-unit head of the int8 file, which changes nothing else in it, and measure it"),
        ("contempt", "fit the contempt row of the int8 file, which changes nothing else in it"),
        ("evaluate", "measure one manifest's model"),
        ("scenes", "score what `emotiond analyze --json` printed for the labelled scenes"),
        ("compare", "measure ours and the peers, write the card's tables and figures"),
    ):
        step = steps.add_parser(name, help=about, description=about)
        step.add_argument("--data", type=Path, help="folder with ferplus.npz, expw_faces.tar, expw_scenes.tar, teacher/")
        step.add_argument("--work", type=Path, required=name != "scenes", help="folder for everything made on the way")
        if name in ("quantize", "units", "contempt", "compare"):
            step.add_argument("--models", type=Path, required=True, help="folder of the int8 model and the figures")
        if name == "train":
            step.add_argument("--epochs", type=float, default=8.0)
            step.add_argument("--minutes", type=float, help="train for this long instead")
            step.add_argument("--workers", type=int, default=2)
            step.add_argument("--seed", type=int, default=1)
            step.add_argument("--start", type=Path, metavar="FILE.tflite",
                              help="begin with the weights of this exported file, not with the pretrained trunk")
            goes_on = step.add_mutually_exclusive_group()
            goes_on.add_argument("--resume", action="store_true", help="go on from WORK/checkpoint.pt")
            goes_on.add_argument("--polish", action="store_true",
                                 help="a second run from its averaged weights, at the final size")
            goes_on.add_argument("--refine", action="store_true",
                                 help="with --start: carry a finished network over to these crops and labels")
            goes_on.add_argument("--small", action="store_true",
                                 help="with --start: a network with a smaller input, for small faces, that learns what `label` "
                                      "wrote of that one finished network alone")
            step.add_argument("--taught", type=float, default=0.0, metavar="SHARE",
                              help="share of what `label` wrote in the targets, 0 to 1")
            step.add_argument("--with-validation", action="store_true",
                              help="learn from FER+'s validation pictures as well, but for every sixth: when all is chosen")
        if name == "label":
            step.add_argument("networks", nargs="+", type=Path,
                              help="checkpoint.pt of several work folders, or exported .tflite files")
        if name == "evaluate":
            step.add_argument("--model", type=Path, required=True, help="the manifest")
            step.add_argument("--both-ways", action="store_true", help="look at each face and at its mirror image, as emotiond does")
            step.add_argument("sets", nargs="+", help="ferplus-valid, ferplus-test, expw-valid, scenes")
        if name == "scenes":
            step.add_argument("analysis", type=Path, help="the file of JSON lines")
        if name == "compare":
            step.add_argument("--reference", type=Path, help="a TensorFlow Lite file of EfficientNet-B0 at 224 px, to time")
    given = parser.parse_args()
    if given.step not in ("train", "label", "narrow", "export", "units", "contempt") and given.data is None:
        parser.error(f"{given.step} needs --data")
    if given.step == "train" and not 0 <= given.taught <= 1:
        parser.error(f"--taught is a share from 0 to 1, not {given.taught}")
    if given.step == "train" and given.small and not given.start:
        parser.error("--small goes on from a finished network: give it with --start")
    if given.step == "train" and given.resume and given.start:
        parser.error("--resume goes on from the checkpoint, --start from a file: give one of them")

    from . import steps as do
    from .train import Recipe

    if given.step == "prepare":
        do.prepare(given.data, given.work)
    elif given.step == "train":
        make = Recipe.polish if given.polish else Recipe.refine if given.refine else Recipe.small if given.small else Recipe
        recipe = make(epochs=given.epochs, minutes=given.minutes, workers=given.workers, seed=given.seed,
                      taught=given.taught)
        do.train(given.work, recipe, given.resume, given.polish, given.start, given.with_validation)
    elif given.step == "label":
        do.label(given.work, given.networks)
    elif given.step == "narrow":
        do.narrowed(given.work)
    elif given.step == "export":
        do.export(given.work)
    elif given.step == "quantize":
        do.quantized(given.data, given.work, given.models)
    elif given.step == "units":
        do.read_units(given.work, given.models)
    elif given.step == "contempt":
        do.tell_contempt(given.work, given.models)
    elif given.step == "evaluate":
        print(json.dumps(do.evaluate(given.data, given.work, given.model, given.sets, given.both_ways), indent=1))
    elif given.step == "scenes":
        from .whole_path import score

        print(json.dumps(score(given.data, given.analysis), indent=1))
    elif given.step == "compare":
        do.compare(given.data, given.work, given.models, given.reference)


if __name__ == "__main__":
    main()
