"""Every architecture in every format it is published in, with random weights. Minutes each: `--full`."""

import pytest

from models.convert import calibration, compare, convert, prove
from models.convert.published import NETWORKS
from models.convert.runtime import CRunner

# One network per architecture; the others differ in their weights alone.
CASES = [
    ("enet_b0_8_va_mtl", ".pt"),
    ("enet_b0_8_va_mtl", ".onnx"),
    ("enet_b0_8_best_vgaf", ".pt"),
    ("enet_b2_8", ".pt"),
    ("enet_b2_8", ".onnx"),
    ("mbf_va_mtl", ".pt"),
    ("mbf_va_mtl", ".onnx"),
    ("mobilevit_va_mtl", ".pt"),
    ("mobilevit_va_mtl", ".onnx"),
    ("mt_ddamfn", ".pt"),
    ("mt_ddamfn", ".onnx"),
    ("mobilenet_7", ".h5"),
]


@pytest.mark.full
@pytest.mark.parametrize(("name", "suffix"), CASES)
def test_int8_follows_float(name, suffix, tmp_path, library):
    network = NETWORKS[name]
    source = prove.write_like_published(prove.random_network(network), network, suffix, tmp_path)
    held_out = calibration.drawn(16, seed=3)
    result = convert.convert(
        source, network, calibration.drawn(32, seed=2), held_out, "calibrated on drawn faces", tmp_path
    )
    assert not result.floating
    assert result.difference.cosine > 0.9
    inputs = [calibration.prepare(face, network) for face in held_out]
    reference = compare.outputs_of(
        convert.TorchRunner(convert.load(source, network), network), inputs, len(network.labels)
    )
    c = compare.outputs_of(CRunner(result.model, library), inputs, len(network.labels))
    assert compare.difference(reference, c).cosine > 0.9
