"""A small network through the whole conversion, to files that both runtimes read alike."""

import tomllib

import numpy as np
import pytest
import torch

from models.convert import calibration, compare, convert, flatbuffer, manifest, rewrite
from models.convert import quantize as quantization
from models.convert.published import EIGHT
from models.convert.runtime import CRunner, PythonRunner


def test_split_head_and_relu_form_change_nothing(tiny):
    x = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        expected = tiny(x)
        rewrite.split_head(tiny, "classifier", 8)
        rewrite.replace_prelu(tiny)
        expression, affect = tiny(x)
    assert expression.shape == (2, 8) and affect.shape == (2, 2)
    assert torch.allclose(torch.cat([expression, affect], 1), expected, atol=1e-6)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    from .conftest import Tiny

    torch.manual_seed(0)
    network = convert.Published("tiny_va_mtl", "tiny", 32, EIGHT, affect=True)
    module = Tiny().eval()
    with torch.no_grad():
        module.classifier.weight.mul_(8)
    rewrite.split_head(module, "classifier", 8)
    rewrite.replace_prelu(module)
    folder = tmp_path_factory.mktemp("tiny")
    pictures = calibration.drawn(64, side=32)  # of 16, a held-out face is out of range
    quantization.export_float(module, 32, folder / "float.tflite")
    quantization.quantize(folder / "float.tflite", calibration.samples(pictures, network), folder / "int8.tflite")
    inputs = [calibration.prepare(picture, network) for picture in calibration.drawn(8, side=32, seed=9)]
    return module, network, folder / "int8.tflite", inputs


def test_everything_is_integer(files):
    _, floating = flatbuffer.operators(files[2])
    assert not floating and PythonRunner(files[2]).input_type == np.int8


def test_int8_follows_float(files):
    module, network, path, inputs = files
    reference = compare.outputs_of(convert.TorchRunner(module, network), inputs, 8)
    found = compare.difference(reference, compare.outputs_of(PythonRunner(path), inputs, 8))
    assert found.cosine_centred > 0.99
    assert found.affect < 0.1 * np.abs(reference[1]).max()


def test_float_activations_stay_closer(files, tmp_path):
    module, network, path, inputs = files
    quantization.quantize(path.with_name("float.tflite"), None, tmp_path / "weights.tflite")
    runner = PythonRunner(tmp_path / "weights.tflite")
    reference = compare.outputs_of(convert.TorchRunner(module, network), inputs, 8)
    found = compare.difference(reference, compare.outputs_of(runner, inputs, 8))
    assert runner.input_type == np.float32 and found.score < 0.05


def test_every_pixel_value_is_in_range(files):
    _, network, path, _ = files
    details = PythonRunner(path)._interpreter.get_input_details()[0]
    scale, zero = details["quantization"]
    for pixel in (0.0, 255.0):
        for mean, std in zip(network.mean, network.std):
            steps = (pixel - mean) / std / scale + zero
            assert -128.6 <= steps <= 127.6


def test_weights_lie_inside_and_aligned(files):
    data = files[2].read_bytes()
    model = flatbuffer.schema.Model.GetRootAs(data, 0)
    assert flatbuffer.outside_buffers(data) == 0
    starts = []
    for i in range(model.BuffersLength()):
        buffer = model.Buffers(i)
        if buffer.DataLength():
            starts.append(buffer._tab.Vector(buffer._tab.Offset(4)))
    assert starts and all(start % 16 == 0 for start in starts)


@pytest.mark.parametrize("xnnpack", [False, True])
def test_c_library_agrees_within_a_step(files, library, xnnpack):
    _, _, path, inputs = files
    here = compare.outputs_of(PythonRunner(path), inputs, 8)
    there = compare.outputs_of(CRunner(path, library, xnnpack), inputs, 8)
    assert compare.difference(here, there).probability < 0.02


def test_manifest_says_where_the_heads_are(files, tmp_path):
    _, network, path, _ = files
    source = tmp_path / "tiny.pt"
    source.write_bytes(b"weights")
    text = manifest.render(network, path, source, [(1, 2), (1, 8)], "calibrated on drawn faces")
    parsed = tomllib.loads(text)
    heads = {head["kind"]: head for head in parsed["head"]}
    assert heads["expression"]["output"] == 1 and heads["valence_arousal"]["output"] == 0
    assert heads["expression"]["labels"] == list(EIGHT)
    assert parsed["input"]["width"] == 32 and parsed["input"]["mean"][0] == 123.675
    assert parsed["file"] == path.name and len(parsed["sha256"]) == 64


def test_linear_attention_in_another_layout_is_the_same():
    from timm.models.mobilevit import LinearSelfAttention

    torch.manual_seed(3)
    block = torch.nn.Sequential(LinearSelfAttention(embed_dim=24)).eval()
    x = torch.randn(2, 24, 4, 9)
    with torch.no_grad():
        expected = block(x)
        rewrite.replace_linear_attention(block)
        assert isinstance(block[0], rewrite.LinearAttention)
        torch.testing.assert_close(block(x), expected, rtol=1e-5, atol=1e-6)
