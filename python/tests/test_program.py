"""A small converted network, in int8 and float16, through the emotiond program. `test_full.py` does it with the nine."""

import numpy as np
import pytest

from .needs import needed

for module in ("torch", "ai_edge_quantizer"):
    needed(module)

from emotiond_models.convert import calibration, conversion, description, passes  # noqa: E402
from emotiond_models.convert.graph import Graph  # noqa: E402
from emotiond_models.runtime import PythonRunner  # noqa: E402

from . import program  # noqa: E402


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_analyze_and_the_daemon_read_a_converted_network(kind, float_file, tiny_network, library, tmp_path):
    graph, model = Graph(passes.with_prelu(float_file.read_bytes())), tmp_path / f"tiny-{kind}.tflite"
    if kind == "int8":
        pictures = calibration.samples(calibration.drawn(40, side=32), tiny_network)
        conversion.as_int8(graph, pictures, model)
    else:
        model.write_bytes(passes.with_float16(graph.written()))
    runner = PythonRunner(model)
    assert runner.input_type == (np.int8 if kind == "int8" else np.float32)
    manifest = description.write(tiny_network, model, float_file, runner.shapes, "drawn faces")
    program.check(manifest, library, tmp_path, tiny_network.labels, tiny_network.affect)
