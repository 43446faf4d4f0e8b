import numpy as np
import pytest

from emotiond_models.detector import decode


def empty(width=256, height=192):
    levels = [np.full((height // s, width // s, decode.CHANNELS), -9.0, np.float32) for s in decode.STRIDES]
    return levels


def put(levels, level, row, column, center, size, score=9.0):
    cell = levels[level][row, column]
    cell[:2] = score
    cell[2:4] = center
    cell[4:6] = np.log(size)
    cell[6:] = np.tile(center, 5)


@pytest.mark.parametrize("size", [(640, 480), (480, 640), (100, 100), (3, 2000), (1, 1)])
def test_a_letterbox_holds_the_whole_picture_in_its_middle(size):
    width, height = size
    box, fit = decode.letterbox(np.full((height, width, 3), 255, np.uint8), 256, 192)
    assert box.shape == (192, 256, 3)
    low, high = fit.offset, fit.offset + fit.scale * [width, height]
    assert np.all(low >= 0) and np.all(high <= [256, 192] + np.full(2, 1e-6))
    assert np.all(np.abs(low + high - [256, 192]) <= 1)
    lit = np.argwhere(box[..., 0] > 0)
    assert lit.min(0).tolist() == low[::-1].tolist() and (lit.max(0) + 1).tolist() == np.rint(high[::-1]).tolist()


def test_a_cell_becomes_a_face_where_it_says():
    levels = empty()
    put(levels, 1, 4, 7, center=(0.5, 0.25), size=(3, 4))
    picture_fit = decode.Fit(np.array([0.0, 6.0]), np.array([0.5, 0.5]))
    face, = decode.faces(levels, picture_fit, 0.5)
    # Cell (7, 4) of stride 16 lies at (112, 64); the centre half and a quarter of a stride from there: no +0.5.
    assert np.allclose(face.box[:2] + face.box[2:] / 2, [120 * 2, (68 - 6) * 2])
    assert np.allclose(face.box[2:], [96, 128])
    assert np.allclose(face.points, [[240, 124]] * 5)
    assert face.score > 0.99


def test_the_score_is_the_geometric_mean_of_both_probabilities():
    levels = empty()
    put(levels, 0, 0, 0, (0.5, 0.5), (2, 2))
    levels[0][0, 0, :2] = [0.0, np.log(0.9 / 0.1)]
    _, _, scores = decode.candidates(levels, 0.1)
    assert scores == pytest.approx([np.sqrt(0.5 * 0.9)], rel=1e-5)


def test_what_overlaps_becomes_one_face_at_the_weighted_mean():
    boxes = np.array([[0, 0, 10, 10], [1, 0, 10, 10], [50, 0, 10, 10]], float)
    points = boxes[:, None, :2] + np.zeros((1, 5, 1))
    faces = decode.merge(boxes, points, np.array([0.6, 0.9, 0.7]))
    assert [face.score for face in faces] == [0.9, 0.7]
    assert faces[0].box == pytest.approx([0.6, 0, 10, 10])
    assert faces[0].points[3] == pytest.approx([0.6, 0])


def test_nobody_is_nobody():
    assert decode.faces(empty(), decode.Fit(np.zeros(2), np.ones(2)), 0.5) == []
