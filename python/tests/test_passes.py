"""Changes to a float file leave what it computes, in the C library too."""

import numpy as np
import pytest

from .needs import needed

needed("ai_edge_litert")

from emotiond_models.c_library import CRunner  # noqa: E402
from emotiond_models.convert import calibration, compare, passes  # noqa: E402
from emotiond_models.flatbuffer import kind_of, operators, read_model, schema  # noqa: E402
from emotiond_models.runtime import PythonRunner  # noqa: E402


@pytest.fixture
def inputs(tiny_network):
    return [calibration.prepare(picture, tiny_network) for picture in calibration.drawn(8, side=32, seed=9)]


def test_prelu_becomes_one_operator(float_file, inputs, library):
    before, after = float_file.read_bytes(), passes.with_prelu(float_file.read_bytes())
    assert "PRELU" not in operators(before)[0]
    every, _ = operators(after)
    assert every["PRELU"] == 1 and not {"RELU", "SUB", "MUL"} & set(every)
    expected = compare.outputs_of(PythonRunner(before), inputs, 8)
    for runner in (PythonRunner(after), CRunner(after, library)):
        assert np.allclose(compare.outputs_of(runner, inputs, 8)[0], expected[0], atol=1e-5)


def test_every_channel_has_a_slope_even_where_all_are_equal(float_file):
    """The exporter makes one number of PyTorch's first slopes, and XNNPACK takes no PRELU of one number."""
    model = read_model(passes.with_prelu(float_file.read_bytes()))
    prelu = schema.BuiltinOperator.PRELU
    (last,) = [operator for operator in model.subgraphs[0].operators if kind_of(model, operator) == prelu]
    slopes = passes.constant(model, int(last.inputs[1]))
    assert slopes.size == 8 and np.allclose(slopes, 0.25)


def test_float16_weights_are_half_as_large_and_nearly_the_same(float_file, inputs, library):
    whole = passes.with_prelu(float_file.read_bytes())
    half = passes.with_float16(whole)
    kinds = {tensor.type for tensor in read_model(half).subgraphs[0].tensors}
    assert schema.TensorType.FLOAT16 in kinds and operators(half)[0]["DEQUANTIZE"] == 3
    assert len(half) < len(whole) + 1500  # three operators more, and the weights of so small a network are few
    expected = compare.outputs_of(PythonRunner(whole), inputs, 8)
    found = compare.outputs_of(CRunner(half, library), inputs, 8)
    assert compare.difference(expected, found).cosine_centred > 0.9999


def test_a_file_without_prelu_is_left_as_it_is(float_file):
    once = passes.with_prelu(float_file.read_bytes())
    assert operators(passes.with_prelu(once)) == operators(once)
