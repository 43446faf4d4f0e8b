"""TensorFlow Lite files as bytes: weights come inside, damage is refused, weights and operators are read."""

import flatbuffers
import pytest
from ai_edge_litert import schema_py_generated as schema

from emotiond_models.flatbuffer import inline_buffers, layers, operators, outside_buffers, read_model

WEIGHTS = bytes(range(64))


def packed(model: schema.ModelT) -> bytes:
    builder = flatbuffers.Builder(256)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def model_with_outside_weights() -> bytes:
    model = schema.ModelT()
    model.version = 3
    model.description = "test"
    model.operatorCodes, model.subgraphs, model.metadata, model.signatureDefs = [], [], [], []
    model.buffers = [schema.BufferT(), schema.BufferT()]

    def at(offset: int) -> bytes:
        model.buffers[1].offset, model.buffers[1].size = offset, len(WEIGHTS)
        return packed(model)

    length = len(at(1000))
    return at(length) + WEIGHTS


@pytest.fixture
def content(shipped) -> bytes:
    return shipped.with_suffix(".tflite").read_bytes()


def test_outside_weights_come_inside():
    content = model_with_outside_weights()
    assert outside_buffers(read_model(content)) == [1]
    inlined = read_model(inline_buffers(content))
    assert outside_buffers(inlined) == []
    assert bytes(inlined.buffers[1].data) == WEIGHTS


def test_weights_are_aligned():
    assert inline_buffers(model_with_outside_weights()).index(WEIGHTS) % 16 == 0


@pytest.mark.parametrize("read", [inline_buffers, layers, operators, read_model])
def test_weights_cut_off_are_refused(read):
    with pytest.raises(ValueError, match="cut short: the weights of buffer 1 end at byte"):
        read(model_with_outside_weights()[:-1])


@pytest.mark.parametrize("share", [0.0, 1e-5, 1e-4, 0.1, 0.5, 0.9, 0.999])
def test_a_file_cut_anywhere_is_refused(content, share):
    with pytest.raises(ValueError, match="damaged or cut short"):
        layers(content[: 8 + int(share * len(content))])


@pytest.mark.parametrize("content", [b"", b"TFL3", b"\0\0\0\0XXXX and more"])
def test_another_format_is_refused(content):
    with pytest.raises(ValueError, match="not a TensorFlow Lite file"):
        inline_buffers(content)


def test_the_weights_of_the_shipped_file_are_read(content):
    found = layers(content)
    # One plain convolution belongs to the action units.
    assert [len(pairs) for pairs in found.values()] == [15, 13, 2]
    width = len(found["plain"][0][1])
    assert found["plain"][0][0].shape == (width, 3, 3, 3) and found["depthwise"][0][0].shape == (1, 3, 3, width)
    assert [len(bias) for _, bias in found["dense"]] == [8, 10]
    for weight, bias in found["plain"] + found["depthwise"]:
        assert weight.dtype == bias.dtype == "float32"
        assert (weight != weight.round()).any() and (bias != bias.round()).any(), "integers as stored"


def test_operators_are_counted(content, float_file):
    every, floating = operators(content)
    assert every["CONV_2D"] == 15 and every["DEPTHWISE_CONV_2D"] == 13 and not floating
    assert operators(float_file.read_bytes())[1]["CONV_2D"] == 1


def changed(content: bytes, change) -> bytes:
    model = read_model(content)
    change(model)
    return packed(model)


def test_a_layer_without_bias_is_refused(float_file):
    def drop(model):
        graph = model.subgraphs[0]
        convolution = next(o for o in graph.operators if len(o.inputs) == 3 and o.inputs[2] != -1)
        convolution.inputs = [*convolution.inputs[:2], -1]  # which Python would take for the graph's last tensor

    with pytest.raises(ValueError, match="has no bias"):
        layers(changed(float_file.read_bytes(), drop))


def test_a_layer_whose_weights_are_computed_is_refused(float_file):
    def empty(model):
        graph = model.subgraphs[0]
        convolution = next(o for o in graph.operators if len(o.inputs) == 3)
        graph.tensors[convolution.inputs[1]].buffer = 0

    with pytest.raises(ValueError, match="is no constant"):
        layers(changed(float_file.read_bytes(), empty))


def test_operators_of_old_files_are_known(float_file):
    """Before 2020 the converter wrote the field alone that is deprecated today."""

    def age(model):
        for code in model.operatorCodes:
            code.deprecatedBuiltinCode, code.builtinCode = max(code.builtinCode, code.deprecatedBuiltinCode), 0

    content = float_file.read_bytes()
    old = changed(content, age)
    assert operators(old) == operators(content)
    assert [len(pairs) for pairs in layers(old).values()] == [len(pairs) for pairs in layers(content).values()]
