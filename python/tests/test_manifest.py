"""The manifests that are written, and whether model, manifest and card that are shipped agree."""

import hashlib
import tomllib

import pytest

from emotiond_models import manifest
from emotiond_models.convert import ConversionError
from emotiond_models.convert import description as converted
from emotiond_models.convert.published import EIGHT
from emotiond_models.training import contract
from emotiond_models.training import description as trained


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "m.tflite"
    path.write_bytes(b"bytes")
    return path


def test_shipped_manifest_describes_the_shipped_file(shipped):
    content = shipped.with_suffix(".tflite").read_bytes()
    manifest.digest_of(content, tomllib.loads(shipped.read_text()), shipped)
    assert len(content) <= 5_000_000


def test_card_states_the_shipped_digest(shipped):
    assert tomllib.loads(shipped.read_text())["sha256"] in (shipped.parent / "README.md").read_text()


def test_shipped_manifest_is_what_training_writes(shipped, tmp_path):
    stored = tomllib.loads(shipped.read_text())
    model = tmp_path / stored["file"]
    model.write_bytes(shipped.with_suffix(".tflite").read_bytes())
    heads = {head["kind"]: head for head in stored["head"]}
    outputs = {kind: heads[kind]["output"] for kind in ("expression", "action_units")}
    path = trained.write(
        model, stored["version"], stored["input"]["width"], outputs, heads["expression"]["temperature"],
        heads["expression"].get("prior"),
    )
    assert tomllib.loads(path.read_text()) == stored


def test_without_action_units_there_is_no_head_of_them(model):
    stored = tomllib.loads(trained.write(model, "1", 64, {"expression": 0}, 1.2345).read_text())
    assert [head["kind"] for head in stored["head"]] == ["expression", "valence_arousal"]
    assert stored["head"][0]["temperature"] == 1.234 and tuple(stored["head"][0]["labels"]) == contract.LABELS


def test_manifest_of_a_converted_network_says_where_the_heads_are(model, tiny_network, tmp_path):
    source = tmp_path / "tiny.pt"
    source.write_bytes(b"weights")
    path = converted.write(tiny_network, model, source, [(1, 2), (1, 8)], "calibrated on drawn faces")
    stored = tomllib.loads(path.read_text())
    heads = {head["kind"]: head for head in stored["head"]}
    assert heads["expression"]["output"] == 1 and heads["valence_arousal"]["output"] == 0
    assert heads["expression"]["labels"] == list(EIGHT)
    assert stored["input"]["width"] == 32 and stored["input"]["mean"][0] == 123.675
    assert stored["file"] == model.name and len(stored["sha256"]) == 64
    assert hashlib.sha256(b"weights").hexdigest() in path.read_text().splitlines()[0]


@pytest.mark.parametrize("shapes", [[(1, 7), (1, 2)], [(1, 8), (1, 8)]])
def test_scores_that_are_not_there_once_are_refused(shapes):
    with pytest.raises(ConversionError, match="expected one output of 8 values"):
        converted.place(shapes, 8)


def test_any_text_and_only_finite_numbers_can_be_written(model):
    said = 'a "quoted" back\\slash, ä, and\na second line'
    parts = ({"width": 1}, {"scale": 1.0}, [])
    path = manifest.write(model, {"name": "m", "licence": said}, *parts, comment="one\ntwo")
    stored = tomllib.loads(path.read_text(encoding="utf-8"))
    assert stored["licence"] == said and "version" not in stored
    with pytest.raises(ValueError, match="finite"):
        manifest.write(model, {"name": "m"}, {"mean": [float("nan")]}, *parts[1:])


def test_another_file_than_the_manifests_is_refused(model):
    stored = tomllib.loads(manifest.write(model, {"name": "m"}, {}, {}, []).read_text())
    manifest.digest_of(b"bytes", stored, model)
    with pytest.raises(ValueError, match="m.tflite has SHA-256"):
        manifest.digest_of(b"other", stored, model)
