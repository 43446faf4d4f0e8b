"""Networks that read sequences: the files that are written compute what the published code does, and say what they are."""

import sys
import tomllib

import numpy as np
import pytest

from emotiond_models.flatbuffer import layers, with_embedding
from emotiond_models.runtime import PythonRunner
from emotiond_models.sequence import __main__ as command
from emotiond_models.sequence import engagement, mimicry

from .needs import needed


@pytest.fixture
def random():
    return np.random.default_rng(7)


def test_engagement_is_what_the_published_code_computes(random):
    weights = engagement.drawn(values=6, hidden=16, classes=4, seed=1)
    steps = random.normal(0, 1, (engagement.STEPS, 6)).astype(np.float32)
    x = np.concatenate([np.repeat(steps.std(0)[None], len(steps), 0), steps], 1)[None].astype(np.float32)
    found = PythonRunner(engagement.write(weights))(x)[0][0]
    np.testing.assert_allclose(found, engagement.reference(weights, steps), atol=1e-5)
    assert abs(found.sum() - 1) < 1e-5
    # The order in which the two halves of a step stand matters.
    swapped = np.concatenate([x[..., 6:], x[..., :6]], -1)
    assert np.abs(PythonRunner(engagement.write(weights))(swapped)[0][0] - found).max() > 1e-3


def test_mimicry_is_what_the_formula_says(random):
    layers = mimicry.drawn(2)
    steps = random.uniform(0, 1, (30, 10)).astype(np.float32)
    x = np.concatenate([steps.mean(0), steps.std(0), steps.min(0), steps.max(0)])[None]
    logits = PythonRunner(mimicry.write(layers))(x)[0][0]
    np.testing.assert_allclose(1 / (1 + np.exp(-logits)), mimicry.reference(layers, steps), atol=1e-5)


def test_a_keras_file_is_converted_with_its_manifest(tmp_path, monkeypatch, random):
    h5py = needed("h5py")
    weights = engagement.drawn(values=1280, hidden=512, classes=2, seed=3)
    source = tmp_path / "engagement_single_attention.h5"
    with h5py.File(source, "w") as file:
        layers = {"e": weights.attention, "hidden_FC": weights.hidden, "dense": weights.classes}
        for name, (kernel, bias) in layers.items():
            file[f"{name}/{name}/kernel:0"], file[f"{name}/{name}/bias:0"] = kernel.T, bias
    monkeypatch.setattr(sys, "argv", ["sequence", "--out", str(tmp_path / "out"), "engagement", str(source)])
    assert command.main() == 0
    manifest = tomllib.loads((tmp_path / "out/engagement.toml").read_text())
    assert manifest["sequence"] == {"from": "embedding", "values": 1280, "rate": 10.0, "steps": 128,
                                    "layout": "deviation_and_steps", "attention": True}
    assert manifest["head"][0]["labels"] == ["distracted", "engaged"]
    steps = random.normal(0, 1, (128, 1280)).astype(np.float32)
    x = np.concatenate([np.repeat(steps.std(0)[None], 128, 0), steps], 1)[None]
    found = PythonRunner(tmp_path / "out/engagement.tflite")(x)[0][0]
    np.testing.assert_allclose(found, engagement.reference(weights, steps), atol=1e-4)

    with h5py.File(source, "w") as file:
        file["other/kernel:0"] = np.zeros((3, 3))
    assert command.main() == 1


def test_mimicry_comes_from_a_file_of_two_layers_and_from_no_other(tmp_path):
    layers = mimicry.drawn(4)
    source = tmp_path / "m.npz"
    np.savez(source, a=layers[0][0], b=layers[0][1], c=layers[1][0], d=layers[1][1])
    for found, expected in zip(mimicry.read(source), layers, strict=True):
        np.testing.assert_array_equal(found[0], expected[0])
    np.savez(source, a=layers[0][0])
    with pytest.raises(ValueError, match="expected one tensor"):
        mimicry.read(source)
    sequence, head = mimicry.tables(rate=5.0, seconds=12.0)
    assert (sequence["steps"], sequence["least"], len(sequence["scores"]), len(head["labels"])) == (60, 30, 10, 6)


def test_the_temporal_head_is_better_than_any_filter_on_drawn_sequences(request):
    needed("torch")
    from emotiond_models.sequence import temporal

    path = request.config.rootpath.parent / "models/emotiond-temporal.tflite"
    runner = PythonRunner(path)
    x, y = temporal.draw(2000, seed=123)
    said = np.array([runner(row[None])[0][0].argmax() for row in x])
    filters = [(temporal.smoothed(x, time).argmax(1) == y).mean() for time in (0, 0.25, 0.5, 1.0)]
    assert (said == y).mean() > max(filters) + 0.02, ((said == y).mean(), filters)


def test_what_goes_into_the_last_layer_becomes_an_output(request, float_file, random):
    content, place = with_embedding(float_file.read_bytes())
    before, after = PythonRunner(float_file), PythonRunner(content)
    x = random.uniform(-1, 1, before.input_shape).astype(np.float32)
    outputs = after(x)
    assert (len(outputs), place) == (len(before(x)) + 1, len(before(x)))
    for old, new in zip(before(x), outputs, strict=False):
        np.testing.assert_array_equal(old, new)
    # The last layer makes the outputs of it.
    embedding = outputs[place].reshape(-1)
    for made in outputs[:place]:
        fits = [(w, b) for w, b in layers(content)["dense"] if w.size == made.size * embedding.size and len(b) == made.size]
        again = [w.reshape(made.size, -1) @ embedding + b for w, b in fits]
        assert any(np.abs(values - made.reshape(-1)).max() < 0.1 for values in again), [len(fits), made.size]
    with pytest.raises(ValueError, match="not from one embedding"):
        with_embedding((request.config.rootpath.parent / "models/emotiond-face.tflite").read_bytes())
