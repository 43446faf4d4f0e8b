"""The file beside the manifest is the one described, and sees what the program's test expects of it."""

import hashlib
import json
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("ai_edge_litert")

from emotiond_models.detector import golden, sets  # noqa: E402
from emotiond_models.detector.decode import STRIDES  # noqa: E402
from emotiond_models.detector.manifest import PART_SCORE  # noqa: E402
from emotiond_models.detector.runtime import Detector, Sure, around  # noqa: E402

ROOT = Path(__file__).parents[3]
MANIFEST = tomllib.loads((ROOT / "models/emotiond-face.toml").read_text())
FILE = ROOT / "models" / MANIFEST["file"]


@pytest.fixture(scope="module")
def detector():
    return Detector(FILE)


def test_the_manifest_describes_the_file(detector):
    assert hashlib.sha256(FILE.read_bytes()).hexdigest() == MANIFEST["sha256"]
    assert (detector.width, detector.height) == (MANIFEST["input"]["width"], MANIFEST["input"]["height"])
    assert MANIFEST["detector"]["strides"] == list(STRIDES)
    for stride, output, name in zip(STRIDES, detector.runner.outputs, MANIFEST["detector"]["outputs"], strict=True):
        assert output["name"] == name and output["dtype"] == np.int8
        assert output["shape"].tolist() == [1, detector.height // stride, detector.width // stride, 16]


def test_the_photo_holds_the_face_that_the_program_expects(detector):
    expected = (ROOT / "tests/data/astronaut.emotiond-face.jsonl").read_text().splitlines()
    found = golden.lines(detector, ROOT / "tests/data/astronaut.png").splitlines()
    assert len(expected) == len(found) == 2
    for want, have in zip(map(json.loads, expected), map(json.loads, found)):
        assert len(want["faces"]) == len(have["faces"]) == 1
        want, have = want["faces"][0], have["faces"][0]
        assert have["score"] == pytest.approx(want["score"], abs=0.02)
        assert np.allclose(have["box"], want["box"], atol=2) and np.allclose(have["keypoints"], want["keypoints"], atol=2)


def test_lettering_is_nobody(detector):
    for seed in range(1, 41):
        assert detector.detect(sets.lettering(seed)) == []


def test_a_ring_beside_a_face_is_no_face_at_a_closer_look(detector):
    manifest = tomllib.loads((ROOT / "models/emotiond-face-part.toml").read_text())
    content = (ROOT / "models" / manifest["file"]).read_bytes()
    assert hashlib.sha256(content).hexdigest() == manifest["sha256"]
    assert manifest["detector"]["min_score"] == PART_SCORE
    sure = Sure(detector, Detector(content))
    face = Image.open(ROOT / "tests/data/astronaut.png").convert("RGB").crop((120, 20, 340, 240)).resize((150, 150))
    mistaken = 0
    for seed in range(1, 41):
        picture = Image.fromarray(sets.lettering(seed))
        picture.paste(face, (min(490, picture.width - 150), min(210, picture.height - 150)))
        picture = np.asarray(picture)
        mistaken += len(detector.detect(picture)) > 1
        assert len(sure.detect(picture)) == 1, seed
    assert mistaken > 0, "nothing is asked of the closer look"


def test_a_part_lies_in_the_picture_with_the_face_in_it():
    assert around((200, 100, 40, 50), 640, 480) == (165, 70, 110, 110)
    assert around((-10, 460, 40, 50), 640, 480) == (0, 370, 110, 110)
    assert around((0, 0, 400, 400), 640, 480) == (0, 0, 640, 480)
