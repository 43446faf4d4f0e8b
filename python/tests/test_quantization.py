"""A small network quantized, to files that both runtimes read alike."""

import numpy as np
import pytest

from .needs import needed

needed("ai_edge_quantizer")

from emotiond_models import quantization  # noqa: E402
from emotiond_models.c_library import CRunner  # noqa: E402
from emotiond_models.convert import calibration, compare  # noqa: E402
from emotiond_models.flatbuffer import operators, outside_buffers, read_model, schema  # noqa: E402
from emotiond_models.runtime import PythonRunner  # noqa: E402


@pytest.fixture(scope="module")
def inputs(tiny_network):
    return [calibration.prepare(picture, tiny_network) for picture in calibration.drawn(8, side=32, seed=9)]


@pytest.fixture(scope="module")
def int8(float_file, tiny_network, tmp_path_factory):
    path = tmp_path_factory.mktemp("tiny") / "int8.tflite"
    pictures = calibration.drawn(64, side=32)  # of 16, a held-out face is out of range
    quantization.quantize(float_file, calibration.samples(pictures, tiny_network), path)
    return path


@pytest.fixture(scope="module")
def expected(float_file, inputs):
    return compare.outputs_of(PythonRunner(float_file), inputs, 8)


def test_everything_is_integer(int8):
    _, floating = operators(int8.read_bytes())
    assert not floating and PythonRunner(int8).input_type == np.int8


def test_int8_follows_float(int8, inputs, expected):
    found = compare.difference(expected, compare.outputs_of(PythonRunner(int8), inputs, 8))
    assert found.cosine_centred > 0.99
    assert found.affect < 0.1 * np.abs(expected[1]).max()


def test_float_activations_stay_closer(float_file, inputs, expected, tmp_path):
    quantization.quantize(float_file, None, tmp_path / "weights.tflite")
    runner = PythonRunner(tmp_path / "weights.tflite")
    found = compare.difference(expected, compare.outputs_of(runner, inputs, 8))
    assert runner.input_type == np.float32 and found.score < 0.05


def test_every_pixel_value_is_in_range(int8, tiny_network):
    scale, zero = PythonRunner(int8).input_quantization
    for pixel in (0.0, 255.0):
        for mean, std in zip(tiny_network.mean, tiny_network.std, strict=True):
            steps = (pixel - mean) / std / scale + zero
            assert -128.6 <= steps <= 127.6


def test_the_whole_range_is_added_to_a_copy():
    given = [np.zeros((1, 2, 2, 3), np.float32), np.ones((1, 2, 2, 3), np.float32)]
    found = quantization.over_whole_range(given, -1, (2, 3, 4))
    assert found[0][0, 0].tolist() == [[-1, -1, -1], [2, 3, 4]] and not found[0][0, 1].any()
    assert not given[0].any() and found[1] is given[1]


def test_ranges_are_those_of_all_inputs_and_no_average(float_file, tiny_network):
    """The one input that goes furthest comes last, where an average would hardly move."""
    samples = [np.full((1, 32, 32, 3), value, np.float32) for value in (0.1, 0.1, 0.1, -2.0, 2.0)]
    from ai_edge_quantizer import recipe

    ranges = quantization._ranges(float_file, recipe.static_wi8_ai8(), samples)
    name = next(name for name in ranges if name.endswith(quantization.INPUT + ":0") or quantization.INPUT in name)
    assert float(np.min(ranges[name]["min"])) == -2 and float(np.max(ranges[name]["max"])) == 2


def test_weights_lie_inside_and_aligned(int8):
    content = int8.read_bytes()
    assert outside_buffers(read_model(content)) == []
    model = schema.Model.GetRootAs(content, 0)
    starts = []
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if buffer.DataLength():
            starts.append(buffer._tab.Vector(buffer._tab.Offset(4)))
    assert starts and all(start % 16 == 0 for start in starts)


@pytest.mark.parametrize("xnnpack", [False, True])
def test_c_library_agrees_within_a_step(int8, inputs, library, xnnpack):
    here = compare.outputs_of(PythonRunner(int8), inputs, 8)
    there = compare.outputs_of(CRunner(int8, library, xnnpack), inputs, 8)
    assert compare.difference(here, there).probability < 0.02
