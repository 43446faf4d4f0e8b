"""The steps of the command line, in the order in which they are run."""

import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch

from ..c_library import CRunner, interleaved_times
from ..flatbuffer import layers
from ..quantization import export_float, over_whole_range, quantize
from ..runtime import PythonRunner
from . import calibration, contempt, data, description, ensemble, evaluation, narrow, peers, teacher, unit_head, units
from .augment import centre
from .contract import LABELS, UNITS
from .export import ForExport
from .faces import load
from .graft import graft, regraft_row
from .model import Model, to_tensor
from .network import EmotionNet, folded, read_tfjs
from .rounding import learn_rounding
from .sources import c_library, member
from .start import SAFE_LOAD, Exported, pretrained, trained
from .train import KEPT_BACK, SMALL_SIZE, FaceSet, Recipe, Trainer

NAME, VERSION = "emotiond-mtl", "1.3.0"
AS_USED = f"{NAME} int8, both ways"
TASK = "teacher/face_landmarker_v2_with_blendshapes.task"
TAUGHT = (16000, 1000)  # faces of each set that the teacher looks at: training, held out
ROUNDING_VIEWS = 12_800  # of faces, while the network learns to be rounded
CALIBRATION = 160  # faces of each set that give the activations' ranges
PEER_SCALES = (0.8, 0.9, 1.0, 1.15)  # of emotiond-face's box


def _name(size: int) -> str:
    """Of the network with this input: that for small faces stands beside the other, whose name it has."""
    return f"{NAME}-small" if size == SMALL_SIZE else NAME


def _to_round(work: Path, size: int) -> Path:
    return work / f"{_name(size)}-to-round.tflite"


def prepare(data_dir: Path, work: Path) -> None:
    data.prepare(data_dir, work)
    for name in data.TRAINED_ON:
        teacher.teach(work, data_dir / TASK, name, data.Pictures(data_dir, name), *TAUGHT)


def _face_sets(work: Path) -> list[FaceSet]:
    return [FaceSet.load(work, name) for name in data.TRAINED_ON]


def train(work: Path, recipe: Recipe, resume: bool, polish: bool, start: Path | None, with_validation: bool = False) -> None:
    torch.set_num_threads(1)  # before anything is computed: workers are forked
    sets = _face_sets(work)
    if with_validation:  # ExpW's stays as it is: its faces share pictures
        next(faces for faces in sets if faces.name == "ferplus").learn_from_validation()
    if recipe.taught:
        for faces in sets:
            said = ensemble.path(work, faces.name)
            if not said.is_file():
                raise SystemExit(f"{said} is missing: run `label` with the checkpoints that shall teach, or leave --taught out")
            faces.taught = torch.from_numpy(np.load(said))
    checkpoint = work / "checkpoint.pt"
    goes_on = resume or polish and not start
    net = trained(checkpoint)[0] if goes_on else _first(work, sets, recipe, start)
    trainer = Trainer(recipe, sets, work, net)
    if goes_on:
        trainer.resume(checkpoint, polish)
    trainer.run()


def _first(work: Path, sets: list[FaceSet], recipe: Recipe, start: Path | None) -> EmotionNet:
    torch.manual_seed(recipe.seed)
    folder = "package/models/faceres-deep"
    backbone = read_tfjs(member(work, "human-models", f"{folder}.json"), member(work, "human-models", f"{folder}.bin"))
    some = torch.cat([centre(s.image[s.labelled(0)[:192]], recipe.stages[0][1]) for s in sets])
    try:
        return pretrained(backbone, some, Exported(**layers(start.read_bytes())) if start else None)
    except (KeyError, ValueError) as error:
        if not start:
            raise
        raise SystemExit(f"{start}: not a network that this package has exported ({error})") from error


def narrowed(work: Path) -> None:
    """Take from WORK/checkpoint.pt the channels that matter least; the wide one stays as checkpoint-wide.pt."""
    checkpoint, wide = work / "checkpoint.pt", work / "checkpoint-wide.pt"
    net, size = trained(checkpoint)
    if net.widths() == narrow.WIDTHS:
        raise SystemExit(f"{checkpoint} is narrow already: nothing to do")
    sets = _face_sets(work)
    narrow.shorten(net, sets, size)
    state = torch.load(checkpoint, weights_only=SAFE_LOAD)
    del state["optimizer"]  # its moments are of the wide network
    torch.save({**state, "net": net.state_dict(), "average": net.state_dict()}, checkpoint.with_suffix(".new"))
    checkpoint.replace(wide)
    checkpoint.with_suffix(".new").replace(checkpoint)


def label(work: Path, files: list[Path]) -> None:
    """What several networks, of checkpoints or exported files, say of each training face, for `train --taught`."""
    sets = _face_sets(work)
    networks = [_finished(file, work, sets) for file in files]
    for faces in sets:
        np.save(ensemble.path(work, faces.name), ensemble.agree(faces, networks))


def _finished(file: Path, work: Path, sets: list[FaceSet]) -> tuple[EmotionNet, int]:
    if file.suffix != ".tflite":
        return trained(file)
    small = file.stem == _name(SMALL_SIZE)
    recipe = Recipe.small() if small else Recipe.polish()
    return _first(work, sets, recipe, file).eval(), recipe.stages[0][1]


def export(work: Path) -> None:
    """Write two float files into the work folder, and how well the action units agree with their teacher.

    The first is the network as trained; the second has learned to be rounded and is what `quantized` rounds.
    """
    torch.manual_seed(1)
    net, size = trained(work / "checkpoint.pt")
    (work / "units.json").write_text(json.dumps(units.agreement(net, work, size), indent=1))
    faces = torch.from_numpy(_calibration(work, size)).permute(0, 3, 1, 2)
    model = ForExport(net, faces)
    float_file = work / f"{_name(size)}-float.tflite"
    export_float(model, size, float_file)
    _describe(float_file, size)
    sets = _face_sets(work)
    learn_rounding(model.net, [s.image[torch.from_numpy(s.split == 0)] for s in sets], faces, ROUNDING_VIEWS)
    export_float(model, size, _to_round(work, size))


def _calibration(work: Path, size: int) -> np.ndarray:
    """Training faces of both sets as the network takes them: float32 `[n, size, size, 3]`."""
    faces = []
    for name in data.TRAINED_ON:
        stored = np.load(work / f"{name}.npz")
        index = np.random.default_rng(5).permutation(np.flatnonzero(stored["split"] == 0))[:CALIBRATION]
        faces.append(centre(torch.from_numpy(stored["image"][np.sort(index)]), size).permute(0, 2, 3, 1).numpy())
    return np.concatenate(faces)


def quantized(data_dir: Path, work: Path, models: Path) -> None:
    """The int8 file and its manifest, with a temperature and a prior fitted on held-out ExpW and on those of FER+'s
    validation pictures that no run learns from."""
    size = trained(work / "checkpoint.pt")[1]
    path = models / f"{_name(size)}.tflite"
    faces = [face[None] for face in _calibration(work, size)]
    quantize(_to_round(work, size), over_whole_range(faces, -1, 1), path)
    _describe(path, size)
    validation = load("ferplus-valid", data_dir, work)
    validation = validation.only(np.arange(len(validation.labels)) % KEPT_BACK == 0)
    web = load("expw-valid", data_dir, work)
    for file in (work / f"{_name(size)}-float.tflite", path):
        model = Model(file.with_suffix(".toml"))
        said = [calibration.Judged(calibration.logits_both_ways(model, faces), faces.labels, weight, even)
                for faces, weight, even in ((validation, 1.0, False), (web, 4.0, True))]
        _describe(file, size, *calibration.fit(said))


def read_units(work: Path, models: Path) -> None:
    """Fit the action-unit head on the finished int8 file in `models`, put it in there, and measure it.

    Expressions stay as they are, to the byte. `units.json` in WORK says how well it agrees with the teacher.
    """
    torch.set_num_threads(1)
    path, sets = models / f"{_name(trained(work / 'checkpoint.pt')[1])}.tflite", _face_sets(work)
    given = Model(path.with_suffix(".toml"))
    size, expression = given.size, given.heads["expression"]
    net, _ = _finished(path, work, sets)
    seen = unit_head.views(folded(net), sets, size)
    head = unit_head.fitted(seen)
    path.write_bytes(graft(path.read_bytes(), head.folded(), head.span(seen)))
    _describe(path, size, expression["temperature"], np.array(expression["prior"]))
    found = units.agreement_of_file(path, work, size)
    (work / "units.json").write_text(json.dumps(found, indent=1))
    for looks, each in found.items():
        print(f"{looks}: mean AUC {np.mean([unit['auc'] for unit in each.values()]):.4f}")


def tell_contempt(work: Path, models: Path) -> None:
    """Fit the row of contempt on the finished int8 file in `models` and put it in there.

    The other rows, the action units, temperature and prior stay as they are.
    """
    torch.set_num_threads(1)
    path, sets = models / f"{NAME}.tflite", _face_sets(work)
    given = Model(path.with_suffix(".toml"))
    size, expression = given.size, given.heads["expression"]
    net, _ = _finished(path, work, sets)
    row = contempt.fitted(contempt.seen(folded(net).to(memory_format=torch.channels_last), sets, size))
    path.write_bytes(regraft_row(path.read_bytes(), contempt.CONTEMPT, *row))
    _describe(path, size, expression["temperature"], np.array(expression["prior"]))


def _describe(path: Path, size: int, temperature: float = 1.0, prior: np.ndarray | None = None) -> None:
    counts = [shape[-1] for shape in PythonRunner(path).shapes]
    outputs = {"expression": counts.index(len(LABELS)), "action_units": counts.index(len(UNITS))}
    description.write(path, VERSION, size, outputs, temperature, prior)


def evaluate(data_dir: Path, work: Path, file: Path, names: list[str], both_ways: bool = False) -> dict:
    return {name: _measure(file, name, data_dir, work, both_ways)[0] for name in names}


def _measure(file: Path, name: str, data_dir: Path, work: Path, both_ways: bool) -> tuple[dict, np.ndarray]:
    faces, model = load(name, data_dir, work), Model(file)
    probabilities = evaluation.both_ways(model, faces) if both_ways else evaluation.outputs(model, faces)[0]
    return evaluation.measure(probabilities, faces), probabilities


def compare(data_dir: Path, work: Path, models: Path, reference: Path | None) -> None:
    """Ours and the peers on the same pictures: `results.json` and `tables.md` in WORK, figures in MODELS."""
    from . import plots

    figures = models / "figures"
    figures.mkdir(exist_ok=True)
    (work / "peers").mkdir(exist_ok=True)
    files = {
        "emotiond-mtl int8": models / f"{NAME}.toml",
        "emotiond-mtl float": work / f"{NAME}-float.toml",
        "mini-Xception (fer)": _tuned(peers.mini_xception, data_dir, work),
        "face-api": _tuned(peers.face_api, data_dir, work),
    }
    loaded = {name: Model(path) for name, path in files.items()}
    # As emotiond itself looks at a face, beside one look of each file.
    rows = {AS_USED: (files["emotiond-mtl int8"], True), "emotiond-mtl float, both ways": (files["emotiond-mtl float"], True),
            **{name: (path, False) for name, path in files.items()}}
    results, reliability, slices = {name: {} for name in rows}, {}, []
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        pending = {(name, which): pool.submit(_measure, path, which, data_dir, work, both_ways)
                   for name, (path, both_ways) in rows.items() for which in ("ferplus-test", "scenes")}
        for (name, which), answer in pending.items():
            results[name][which], probabilities = answer.result()
            if name == AS_USED:
                faces = load(which, data_dir, work)
                reliability[which] = (probabilities, faces.labels)
                plots.confusion_matrix(probabilities, faces.labels, which, figures / f"confusion-{which}.png")
                if which == "scenes":
                    slices = evaluation.slices(probabilities, faces)
    plots.reliability_diagram(reliability, figures / "reliability.png")
    plots.training_curves(json.loads((work / "log.json").read_text()), figures / "training.png")
    times, agreement = _in_the_c_library(loaded, c_library(work), reference)
    sizes = {name: model.size_bytes for name, model in loaded.items()}
    table = evaluation.tables(results, times, sizes)
    (work / "tables.md").write_text(table)
    report = {"results": results, "slices": slices, "milliseconds": times, "largest_difference_to_c_library": agreement}
    (work / "results.json").write_text(json.dumps(report, indent=1))
    print(table)
    print(json.dumps({"ms": times, "differs": agreement}, indent=1))


def _tuned(make, data_dir: Path, work: Path) -> Path:
    """A peer with the crop that suits it best on the validation sets, for fairness."""
    best, chosen = -1.0, PEER_SCALES[0]
    model = Model(make(work, work / "peers", chosen))
    for scale in PEER_SCALES:
        score = 0.0
        for name in ("ferplus-valid", "expw-valid"):
            faces = load(name, data_dir, work)
            faces = faces.only(np.arange(len(faces.labels)) % 8 == 0)
            score += evaluation.measure(evaluation.outputs(model, faces, scale)[0], faces)["seven"]["accuracy"]
        if score > best:
            best, chosen = score, scale
    print(f"{model.manifest['name']}: crop scale {chosen} of {PEER_SCALES}", flush=True)
    return make(work, work / "peers", chosen)


def _in_the_c_library(loaded: dict[str, Model], library: Path, reference: Path | None):
    """Times on one thread, all models in turn, and how far the C library's answers are from Python's."""
    running, differences = {}, {}
    picture = np.random.default_rng(0).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    for name, model in loaded.items():
        running[name] = CRunner(model.path, library)
        x = to_tensor(picture[: model.size, : model.size], model.manifest["input"])
        answers = zip(model.runner(x), running[name](x), strict=True)
        differences[name] = float(max(np.abs(ours - theirs).max() for ours, theirs in answers))
    if reference:
        running["EfficientNet-B0 224 float"] = CRunner(reference, library)
    return interleaved_times(running), differences
