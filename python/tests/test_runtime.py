"""Running files: integers as emotiond makes them, and the C library beside Python's."""

import numpy as np
import pytest

from emotiond_models.c_library import CRunner, interleaved_times
from emotiond_models.runtime import PythonRunner, softmax, to_integers


def test_halves_go_away_from_zero():
    found = to_integers(np.array([-1.5, -0.5, 0.5, 1.5, 2.5]), 1.0, 0, np.int8)
    assert found.tolist() == [-2, -1, 1, 2, 3]


def test_integers_stay_within_their_type():
    assert to_integers(np.array([-9.0, 9.0]), 0.01, 3, np.int8).tolist() == [-128, 127]
    assert to_integers(np.array([-9.0, 9.0]), 0.01, 3, np.uint8).tolist() == [0, 255]


def test_neighbouring_pixel_values_stay_apart(shipped):
    """All pixel values but a few about the middle, where they fall on halves, keep an integer of their own."""
    runner = PythonRunner(shipped.with_suffix(".tflite"))
    pixels = (np.arange(256, dtype=np.float32) - 127.5) / 127.5
    stored = to_integers(pixels, *runner.input_quantization, runner.input_type).astype(int)
    assert (np.diff(stored) >= 0).all() and len(set(stored.tolist())) >= 240


def test_softmax_is_over_the_last_dimension():
    p = softmax(np.array([[0.0, np.log(3)], [1000.0, 1000.0]]))
    assert p == pytest.approx(np.array([[0.25, 0.75], [0.5, 0.5]]))
    assert softmax(np.array([0.0, 2 * np.log(3)]), temperature=2.0) == pytest.approx([0.25, 0.75])


@pytest.mark.parametrize("xnnpack", [False, True])
def test_both_libraries_agree_on_the_shipped_file(shipped, library, xnnpack):
    model = shipped.with_suffix(".tflite")
    x = np.random.default_rng(0).uniform(-1, 1, (1, 128, 128, 3)).astype(np.float32)
    here, there = PythonRunner(model), CRunner(model, library, xnnpack)
    assert here.shapes == there.shapes == [(1, 8), (1, 10)]
    for ours, theirs in zip(here(x), there(x), strict=True):
        assert ours.shape == theirs.shape and np.abs(ours - theirs).max() < 0.5
    assert set(interleaved_times({"shipped": there}, rounds=2)) == {"shipped"}


def test_an_input_of_another_shape_is_refused(shipped, library):
    runner = CRunner(shipped.with_suffix(".tflite"), library)
    with pytest.raises(RuntimeError, match=r"takes \(1, 128, 128, 3\), not \(1, 64, 64, 3\)"):
        runner(np.zeros((1, 64, 64, 3), np.float32))


@pytest.mark.parametrize("length", [0, 1000, 100_000])
def test_a_file_cut_short_is_an_error_and_no_crash(shipped, library, tmp_path, length):
    path = tmp_path / "cut.tflite"
    path.write_bytes(shipped.with_suffix(".tflite").read_bytes()[:length])
    with pytest.raises(RuntimeError, match="cut.tflite"):
        CRunner(path, library)
    with pytest.raises(ValueError):
        PythonRunner(path)
