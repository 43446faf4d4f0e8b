"""The action-unit head that reads a map: it learns where things are, and goes into a file that keeps all else."""

import numpy as np
import pytest

from emotiond_models.flatbuffer import operators, packed, read_model

from .needs import needed

torch = needed("torch")

from emotiond_models.training.contract import LABELS, UNITS  # noqa: E402
from emotiond_models.training.graft import graft  # noqa: E402
from emotiond_models.training.unit_head import THIN, UnitHead, Views, fitted  # noqa: E402

from .grafted import said, units_read  # noqa: E402

SIDE, CHANNELS = 8, 384  # of the shipped network's map
LOGITS = (-9.0, 9.0)


@pytest.fixture
def content(shipped) -> bytes:
    return shipped.with_suffix(".tflite").read_bytes()


def head() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    return {"thin": rng.normal(0, 0.05, (THIN, CHANNELS)).astype(np.float32),
            "thin_bias": rng.normal(1, 0.5, THIN).astype(np.float32),
            "dense": rng.normal(0, 0.03, (len(UNITS), SIDE * SIDE * THIN)).astype(np.float32),
            "dense_bias": rng.normal(0, 1, len(UNITS)).astype(np.float32)}


def test_a_graft_computes_the_head_and_leaves_expressions_as_they_are_to_the_byte(content):
    new, weights = graft(content, head(), LOGITS), head()
    for seed in range(3):
        x = np.random.default_rng(seed).uniform(-1, 1, (1, 128, 128, 3)).astype(np.float32)
        before, after = said(content, x), said(new, x)
        assert np.array_equal(before[0], after[0])
        hidden = np.clip(units_read(content, x) @ weights["thin"].T + weights["thin_bias"], 0, 6)
        wanted = weights["dense"] @ hidden.reshape(-1) + weights["dense_bias"]
        assert np.abs(wanted).max() < 9 and wanted.std() > 0.5, "the logits say something and are not cut off"
        assert np.abs(after[1] - wanted).max() < 0.25, "within three steps of the output and the rounding of weights"


def test_a_second_graft_replaces_the_first(content):
    once = graft(content, head(), LOGITS)
    twice = graft(once, head(), LOGITS)
    assert operators(twice)[0] == operators(once)[0]
    assert abs(len(twice) - len(once)) < 4000, "the weights of the first are gone"
    x = np.zeros((1, 128, 128, 3), np.float32)
    assert np.array_equal(said(once, x)[1], said(twice, x)[1])


def test_a_head_for_another_map_is_refused(content):
    wrong = head() | {"thin": np.zeros((THIN, 7), np.float32)}
    with pytest.raises(ValueError, match="does not fit a map of 8 x 8 x 384"):
        graft(content, wrong, LOGITS)


def test_a_file_without_such_a_head_is_refused(content):
    model = read_model(content)
    graph = model.subgraphs[0]
    graph.operators = graph.operators[:5]
    with pytest.raises(ValueError, match="not an int8 file of this package"):
        graft(packed(model), head(), LOGITS)


def test_the_head_learns_what_stands_in_one_place_and_folds_without_a_change():
    rng = np.random.default_rng(1)
    maps = rng.random((1280, 4, 4, 6)).astype(np.float16)
    wanted = np.repeat(maps[:, 1, 2, 3:4].astype(np.float32) > 0.5, len(UNITS), 1).astype(np.float32)
    learned = fitted(Views(maps, wanted), epochs=30)
    fresh = rng.random((400, 4, 4, 6)).astype(np.float32)
    with torch.no_grad():
        logits = learned(torch.from_numpy(fresh).permute(0, 3, 1, 2)).numpy()
    truth = fresh[:, 1, 2, 3] > 0.5
    assert ((logits[:, 0] > 0) == truth).mean() > 0.85
    plain = learned.folded()
    hidden = np.clip(fresh @ plain["thin"].T + plain["thin_bias"], 0, 6).reshape(len(fresh), -1)
    assert np.allclose(hidden @ plain["dense"].T + plain["dense_bias"], logits, atol=1e-3)
