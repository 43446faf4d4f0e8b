"""A small network through litert-torch, to the file with which `test_quantization.py` begins.

Elsewhere litert-torch is missing, so that file is kept. To write it anew:

    cd python && python -c "from tests.test_export import write_anew; write_anew()"
"""

from pathlib import Path

import numpy as np

from .needs import needed

torch = needed("torch")

from emotiond_models.convert import calibration, compare, rewrite  # noqa: E402
from emotiond_models.convert.conversion import TorchRunner  # noqa: E402
from emotiond_models.quantization import export_float  # noqa: E402
from emotiond_models.runtime import PythonRunner  # noqa: E402

from .tiny import Tiny  # noqa: E402


def rewritten() -> torch.nn.Module:
    torch.manual_seed(0)
    module = Tiny().eval()
    with torch.no_grad():
        module.classifier.weight.mul_(8)
    rewrite.split_head(module, "classifier", 8)
    return module


def write_anew() -> None:
    export_float(rewrite.ChannelsLast(rewritten()), 32, Path(__file__).parent / "data/tiny.tflite")


def test_the_export_is_the_network_and_the_kept_file(tiny_network, float_file, tmp_path):
    needed("litert_torch")
    module = rewritten()
    export_float(rewrite.ChannelsLast(module), 32, tmp_path / "float.tflite")
    inputs = [calibration.prepare(picture, tiny_network) for picture in calibration.drawn(8, side=32, seed=9)]
    expected = compare.outputs_of(TorchRunner(module, tiny_network), inputs, 8)
    for path in (tmp_path / "float.tflite", float_file):
        scores, affect = compare.outputs_of(PythonRunner(path), inputs, 8)
        assert np.allclose(scores, expected[0], atol=1e-4) and np.allclose(affect, expected[1], atol=1e-4)
