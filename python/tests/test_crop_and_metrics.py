"""The crop and the measures."""

from pathlib import Path

import numpy as np
import pytest

from emotiond_models.training import crop, golden, metrics


def picture() -> np.ndarray:
    """A smooth ramp: x / 2 in red, y / 2 in green."""
    y, x = np.mgrid[:200, :300]
    return np.stack([x / 2, y / 2, np.zeros_like(x)], -1).astype(np.uint8)


def test_level_crop_is_the_scaled_box_moved_by_its_offset():
    square = crop.crop_square((100, 50, 40, 30), 0.0, 1.5, (0.1, -0.2))
    assert (square.x, square.y, square.side) == pytest.approx((124, 57, 60))


def test_offset_turns_with_the_face():
    square = crop.crop_square((100, 50, 40, 40), np.pi / 2, 1.0, (0.0, -0.5))
    # "Up" in a face turned by a quarter to the right is to the right.
    assert (square.x, square.y) == pytest.approx((140, 70))


def test_eye_line_gives_the_angle():
    assert crop.eye_angle(np.array([10, 10]), np.array([20, 20])) == pytest.approx(np.pi / 4)


def test_a_frame_follows_the_landmarks_and_not_the_box():
    points = ((122.5, 98.0), (157.5, 98.0), (140.0, 133.0))
    first = crop.frame((100, 60, 80, 96), points)
    assert first == pytest.approx((140, 115.5, 37.55, 0), abs=0.01)
    assert crop.frame((90, 66, 100, 100), points) == first
    # A quarter to the right: the eyes one below the other, the mouth left of them.
    turned = crop.frame((100, 60, 96, 96), ((150, 90), (150, 125), (115, 107.5)))
    assert turned == pytest.approx((132.5, 107.5, 37.55, np.pi / 2), abs=0.01)


def test_a_head_that_turns_keeps_its_size():
    ahead = crop.frame((100, 60, 90, 100), ((122.5, 98), (157.5, 98), (140, 133)))
    aside = crop.frame((100, 60, 90, 100), ((150, 98), (157.5, 98), (153, 134)))
    assert aside[2] / ahead[2] == pytest.approx(1, abs=0.06)


def test_landmarks_without_sense_are_an_average_face_in_the_box():
    for points in (((0, 0), (0, 0), (0, 0)), ((0, 0), (300, 0), (150, 300))):
        assert crop.frame((100, 50, 80, 100), points) == pytest.approx((140, 105.7, 35.5, 0))


def test_the_crops_that_the_program_is_held_to_are_current():
    stored = (Path(__file__).parents[2] / "tests/data/crops.jsonl").read_text()
    assert stored == golden.lines(), "python -m emotiond_models.training.golden > ../tests/data/crops.jsonl"


def test_warp_reads_the_pixels_under_the_square():
    out = crop.warp(picture(), crop.Square(150, 100, 64, 0.0), 64)
    assert out.shape == (64, 64, 3)
    assert out[0, 0] == pytest.approx([59, 34, 0], abs=1)
    assert out[-1, -1] == pytest.approx([90, 65, 0], abs=1)


def test_warp_turns_clockwise_faces_level():
    out = crop.warp(picture(), crop.Square(150, 100, 64, np.pi / 2), 64).astype(int)
    # Rightwards in the crop is downwards in the picture.
    assert out[32, -1, 1] - out[32, 0, 1] == pytest.approx(31, abs=2)
    assert abs(out[32, -1, 0] - out[32, 0, 0]) <= 1


def test_shrinking_averages_instead_of_aliasing():
    stripes = np.zeros((128, 128), np.uint8)
    stripes[:, ::2] = 255
    out = crop.warp(stripes, crop.Square(64, 64, 128, 0.0), 32)
    assert np.ptp(out[4:-4, 4:-4].astype(int)) <= 2 and abs(int(out[16, 16]) - 128) <= 2


def test_outside_the_picture_the_edge_is_repeated():
    out = crop.warp(picture(), crop.Square(0, 100, 64, 0.0), 64)
    assert np.all(out[32, :31, 0] == 0)


def test_calibration_error_of_a_known_case():
    p = np.array([[0.8, 0.2]] * 10)
    labels = np.array([0] * 6 + [1] * 4)
    assert metrics.expected_calibration_error(p, labels) == pytest.approx(0.2)
    assert metrics.accuracy(p, labels) == pytest.approx(0.6)


def test_auc_counts_ties_half():
    assert metrics.auc(np.array([0.1, 0.5, 0.5, 0.9]), np.array([0, 0, 1, 1])) == pytest.approx(0.875)


def test_macro_f1_is_over_the_classes_that_occur():
    p = np.eye(3)[[0, 0, 1, 1]]
    assert metrics.macro_f1(p, np.array([0, 0, 1, 1])) == 1.0
