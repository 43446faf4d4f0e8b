"""The exported file as a PyTorch function, int8 as it simulates it, and the choice of what stays in float."""

import numpy as np
import pytest

from .needs import needed

torch = needed("torch")
needed("ai_edge_quantizer")

from emotiond_models.convert import calibration, choose, compare, conversion, passes, simulated  # noqa: E402
from emotiond_models.convert.graph import OP, Graph  # noqa: E402
from emotiond_models.flatbuffer import operators  # noqa: E402
from emotiond_models.runtime import PythonRunner  # noqa: E402


@pytest.fixture
def graph(float_file):
    return Graph(passes.with_prelu(float_file.read_bytes()))


def pictures(network, count, seed=0):
    return calibration.samples(calibration.drawn(count, side=32, seed=seed), network)


def batch(network, count, seed=0):
    return torch.from_numpy(np.concatenate(pictures(network, count, seed)))


def test_the_graph_computes_what_the_file_does(graph, float_file, tiny_network):
    x = batch(tiny_network, 4)
    runner = PythonRunner(float_file)
    for picture, *found in zip(x, *graph.run(x), strict=True):
        for there, here in zip(runner(picture[None].numpy()), found, strict=True):
            assert np.allclose(there, here.numpy(), atol=1e-5)


def test_simulated_integers_are_the_files(graph, tiny_network, tmp_path):
    chosen = conversion.as_int8(graph, pictures(tiny_network, 40), tmp_path / "int8.tflite")
    x = batch(tiny_network, 8, seed=3)
    with torch.no_grad():
        here = simulated.Simulated(graph, chosen.plan)(x)
    runner = PythonRunner(tmp_path / "int8.tflite")
    there = [np.concatenate(column) for column in zip(*(runner(picture[None].numpy()) for picture in x))]
    assert choose.nearness(there, [y.numpy() for y in here]) > 0.999
    assert set(operators((tmp_path / "int8.tflite").read_bytes())[1]) == {"PRELU", "MEAN", "DEQUANTIZE", "FULLY_CONNECTED"}


def test_what_is_near_enough_stays_int8(graph, tiny_network):
    chosen = choose.choose(graph, batch(tiny_network, 32), batch(tiny_network, 8, seed=5))
    kinds = {graph.steps[at].kind for at in chosen.plan.floating}
    assert kinds == {OP.PRELU, OP.MEAN, OP.FULLY_CONNECTED} and chosen.share < 0.01 and chosen.tried[-1][1] > choose.BOUND


def test_operators_go_to_float_until_it_is(graph, tiny_network, monkeypatch):
    monkeypatch.setattr(choose, "BOUND", 0.9985)
    # With ranges that cut everything off at a fifth nothing but float is near.
    narrow = lambda *_: {t: (low / 5, high / 5) for t, (low, high) in observed(*_).items()}  # noqa: E731
    observed = choose.observed
    monkeypatch.setattr(choose, "observed", narrow)
    chosen = choose.choose(graph, batch(tiny_network, 32), batch(tiny_network, 8, seed=5))
    found = [cosine for _, cosine in chosen.tried]
    assert chosen.share > 0 and found[-1] > found[0]


def test_fitted_ranges_cut_off_what_is_rare():
    values = torch.cat([torch.randn(16384, generator=torch.Generator().manual_seed(0)), torch.tensor([60.0])])
    low, high = simulated._fitted(values, float(values.min()), 60.0)
    error = lambda pair: float((simulated.on_grid(values, *pair) - values).square().mean())  # noqa: E731
    assert high <= 60 and error((low, high)) <= error((float(values.min()), 60.0))


def test_noise_is_found_where_it_is(graph, tiny_network):
    x = batch(tiny_network, 6)
    ranges = simulated.observed(graph, [x], False)
    always = {at for at, step in enumerate(graph.steps) if step.kind == OP.PRELU}
    convolution = next(step.output for step in graph.steps if step.kind == OP.CONV_2D)
    quiet = choose.rounding_noise(graph, simulated.Plan(ranges, always), x)
    low, high = ranges[convolution]
    loud = choose.rounding_noise(graph, simulated.Plan(ranges | {convolution: (low * 40, high * 40)}, always), x)
    assert loud[convolution] > 50 * quiet[convolution]
    assert all(loud[tensor] == pytest.approx(quiet[tensor]) for tensor in quiet if tensor != convolution)
