"""`emotiond evaluate` against scikit-learn and NumPy, where scikit-learn and a built emotiond are there."""

import csv
import io
import json
import subprocess

import numpy as np
import pytest

from .needs import needed

Image = needed("PIL.Image")
metrics = needed("sklearn.metrics")

# As the annotations have them; "other" is the eighth.
CLASSES = ["neutral", "anger", "disgust", "fear", "happiness", "sadness", "surprise"]
OURS = [*CLASSES, "contempt"]


@pytest.fixture(scope="module")
def emotiond(request):
    root = request.config.rootpath.parent
    found = [path for kind in ("release", "debug") if (path := root / f"target/{kind}/emotiond").is_file()]
    if not found:
        pytest.skip("there is no built emotiond: cargo build")
    return lambda *arguments: subprocess.run(
        [max(found, key=lambda path: path.stat().st_mtime), *map(str, arguments)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


@pytest.fixture(scope="module")
def clip(request, tmp_path_factory):
    """A portrait that is blurred, darkened, turned, and not there for a while."""
    folder = tmp_path_factory.mktemp("clip")
    photo = Image.open(request.config.rootpath.parent / "tests/data/astronaut.png").convert("RGB")
    for number in range(1, 31):
        frame = photo.rotate(3 * np.sin(number)).resize((40 + 15 * number, 40 + 15 * number)).resize((512, 512))
        if 12 <= number < 16:
            frame = Image.new("RGB", (512, 512), (128, 128, 128))
        frame.save(folder / f"{number:05}.png")
    return folder


@pytest.fixture(scope="module")
def said(emotiond, clip):
    """Class, valence and arousal, and action units of each frame; without a face those of the frame before."""
    rows = csv.DictReader(io.StringIO(emotiond("analyze", "--clip", clip, "--format", "csv")))
    faces = {}
    for row in rows:
        if row["success"] == "1":
            faces.setdefault(int(row["frame"]), []).append(row)
    frames, last = [], (0, (0.0, 0.0), {})
    for number in range(1, 31):
        if number in faces:
            row = max(faces[number], key=lambda row: float(row["FaceRectWidth"]) * float(row["FaceRectHeight"]))
            label = max(OURS, key=lambda name: float(row[name]))
            units = {key[:-2]: int(value) for key, value in row.items() if key.endswith("_c")}
            last = (OURS.index(label), (float(row["valence"]), float(row["arousal"])), units)
        frames.append(last)
    return frames


def test_macro_f1(emotiond, clip, said, tmp_path):
    annotated = np.random.default_rng(1).choice([4, 4, 4, 0, 3, 7, -1], 30)
    path = tmp_path / "expression.txt"
    path.write_text("Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n" + "\n".join(map(str, annotated)))
    found = json.loads(emotiond("evaluate", "--json", "--annotations", path, clip))
    kept = annotated >= 0
    expected = metrics.f1_score(annotated[kept], np.array([frame[0] for frame in said])[kept], labels=range(8),
                                average="macro", zero_division=0)
    assert (found["frames"], found["expression"]["macro_f1"]) == (kept.sum(), pytest.approx(expected, abs=1e-9))


def test_concordance(emotiond, clip, said, tmp_path):
    annotated = np.random.default_rng(2).uniform(-1, 1, (30, 2)).round(3)
    path = tmp_path / "affect.txt"
    path.write_text("valence,arousal\n" + "\n".join(f"{v},{a}" for v, a in annotated))
    found = json.loads(emotiond("evaluate", "--json", "--annotations", path, clip))
    for axis, name in enumerate(("valence", "arousal")):
        x, y = np.array([frame[1][axis] for frame in said]), annotated[:, axis]
        expected = 2 * np.cov(x, y, bias=True)[0, 1] / (x.var() + y.var() + (x.mean() - y.mean()) ** 2)
        # The columns have four decimals.
        assert found[name]["ccc"] == pytest.approx(expected, abs=1e-3)


def test_f1_of_action_units(emotiond, clip, said, tmp_path):
    names = ["AU1", "AU6", "AU7", "AU12", "AU25"]
    annotated = np.random.default_rng(3).choice([0, 1, 1, -1], (30, len(names)))
    path = tmp_path / "units.txt"
    path.write_text(",".join(names) + "\n" + "\n".join(",".join(map(str, row)) for row in annotated))
    found = json.loads(emotiond("evaluate", "--json", "--annotations", path, clip))["action_units"]
    assert found["units"]["AU6"] is None and found["known"] == 4
    for column, name in enumerate(names):
        if name == "AU6":
            continue
        kept = annotated[:, column] >= 0
        active = np.array([frame[2][f"AU{int(name[2:]):02}"] for frame in said])
        expected = metrics.f1_score(annotated[kept, column], active[kept], zero_division=0)
        assert found["units"][name]["f1"] == pytest.approx(expected, abs=1e-9), name
