"""Needs ai-edge-litert and flatbuffers: weights outside the flatbuffer are brought inside."""

from pathlib import Path

import pytest

pytest.importorskip("ai_edge_litert")
flatbuffers = pytest.importorskip("flatbuffers")

from ai_edge_litert import schema_py_generated as schema  # noqa: E402
from emotiond_training.flatbuffer import inline_buffers, layers, outside_buffers, read_model  # noqa: E402

WEIGHTS = bytes(range(64))


def model_with_outside_weights() -> bytes:
    model = schema.ModelT()
    model.version = 3
    model.description = "test"
    model.operatorCodes, model.subgraphs, model.metadata, model.signatureDefs = [], [], [], []
    model.buffers = [schema.BufferT(), schema.BufferT()]

    def packed(offset: int) -> bytes:
        model.buffers[1].offset, model.buffers[1].size = offset, len(WEIGHTS)
        builder = flatbuffers.Builder(256)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    length = len(packed(1000))
    return packed(length) + WEIGHTS


def test_outside_weights_come_inside():
    content = model_with_outside_weights()
    assert outside_buffers(read_model(content)) == [1]
    inlined = read_model(inline_buffers(content))
    assert outside_buffers(inlined) == []
    assert bytes(inlined.buffers[1].data) == WEIGHTS


def test_weights_are_aligned():
    assert inline_buffers(model_with_outside_weights()).index(WEIGHTS) % 16 == 0


def test_a_file_cut_short_is_refused():
    with pytest.raises(ValueError, match="cut short"):
        inline_buffers(model_with_outside_weights()[:-1])


def test_another_format_is_refused():
    with pytest.raises(ValueError, match="not a TensorFlow Lite file"):
        inline_buffers(b"\0\0\0\0XXXX and more")


def test_the_weights_of_the_shipped_file_are_read():
    found = layers((Path(__file__).parents[2] / "emotiond-mtl.tflite").read_bytes())
    assert [len(pairs) for pairs in found.values()] == [14, 13, 2]
    width = len(found["plain"][0][1])
    assert found["plain"][0][0].shape == (width, 3, 3, 3) and found["depthwise"][0][0].shape == (1, 3, 3, width)
    assert [len(bias) for _, bias in found["dense"]] == [8, 10]
    for weight, bias in found["plain"] + found["depthwise"]:
        assert weight.dtype == bias.dtype == "float32"
        assert (weight != weight.round()).any() and (bias != bias.round()).any(), "integers as stored"
