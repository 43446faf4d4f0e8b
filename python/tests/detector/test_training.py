"""A few steps of training on pictures drawn from noise; targets from a teacher that always says the same."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from PIL import Image  # noqa: E402

from emotiond_models.detector import targets, train  # noqa: E402
from emotiond_models.detector.decode import CHANNELS, STRIDES  # noqa: E402
from emotiond_models.detector.network import PUBLISHED, YuNet  # noqa: E402
from emotiond_models.detector.pictures import Painter, worn  # noqa: E402

WIDTH, HEIGHT = 96, 64


class OneFace:
    """A teacher that sees one face of 16 × 16 pixels in the middle, whatever the size of the picture."""

    def levels(self, picture):
        rows, columns = picture.shape[0] // 16, picture.shape[1] // 16
        levels = [np.full((picture.shape[0] // s, picture.shape[1] // s, CHANNELS), -8, np.float32) for s in STRIDES]
        cell = levels[1][rows // 2, columns // 2]
        cell[:2], cell[2:4], cell[4:6], cell[6:] = 4, 0, np.log(picture.shape[0] / HEIGHT), 0
        return levels


def painter(seed=0):
    rng = np.random.default_rng(seed)
    crops = [rng.integers(0, 256, (112, 112, 3)).astype(np.uint8) for _ in range(3)]
    photos = [Image.fromarray(rng.integers(0, 256, (90, 300, 3)).astype(np.uint8))]
    return Painter(crops, rng.integers(0, 256, (2, 48, 48)).astype(np.uint8), photos, WIDTH, HEIGHT, seed)


def test_pictures_have_their_size_and_are_the_same_for_a_seed():
    one, two = painter(5), painter(5)
    for _ in range(12):
        a, b = one.picture(), two.picture()
        assert a.size == (2 * WIDTH, 2 * HEIGHT) and a.tobytes() == b.tobytes()
        assert worn(a, one.rng).shape == worn(b, two.rng).shape == (2 * HEIGHT, 2 * WIDTH, 3)


def test_the_target_marks_the_face_and_its_place():
    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    sharp = np.asarray(Image.fromarray(picture).resize((2 * WIDTH, 2 * HEIGHT)))
    wanted = targets.target(OneFace(), sharp, picture)
    assert wanted.shape == (96 + 24 + 6, 17)
    _, corners, strides = targets.cells(OneFace().levels(picture))
    sure = np.flatnonzero(wanted[:, targets.OBJ] > 0.9)
    assert len(sure) and np.all(wanted[sure, targets.WEIGHT] > 0)
    centers = corners[sure] + wanted[sure, 2:4] * strides[sure, None]
    assert np.allclose(centers, [48, 32], atol=1e-3)
    assert np.allclose(np.exp(wanted[sure, 4:6]) * strides[sure, None], 16, atol=1e-3)


def test_what_the_small_view_alone_sees_is_no_face():
    class Blind(OneFace):
        def levels(self, picture):
            levels = super().levels(picture)
            if picture.shape[0] > HEIGHT:
                levels[1][..., :2] = -8
            return levels

    picture = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    wanted = targets.target(Blind(), np.zeros((2 * HEIGHT, 2 * WIDTH, 3), np.uint8), picture)
    assert wanted[:, targets.OBJ].max() < 0.35


def test_the_loss_falls_and_a_checkpoint_comes_back(tmp_path):
    torch.manual_seed(0)
    published = YuNet([(8, 8)] * 2 + [(8, 16)] + [(16, 16)] * (sum(PUBLISHED) + 3), PUBLISHED)
    targets.pool(tmp_path / "000.npz", OneFace(), painter(), 24)
    pools = train.Pools(tmp_path, 1)
    net = train.patch_network(published)
    losses = train.learn(net, pools, 0.12, tmp_path / "net.pt", published)
    assert np.mean(losses[-3:]) < 0.7 * losses[0]
    steps = train.int8_steps(net, pools, 1)
    train.learn(net, pools, 0.03, tmp_path / "net.pt", steps=steps)
    again, steps_again = train.restore(tmp_path / "net.pt")
    x = pools.batch(2)[0]
    with torch.no_grad():
        for a, b in zip(net(x, steps), again(x, steps_again)):
            assert torch.equal(a, b)


def test_tuning_goes_a_share_of_the_way(tmp_path, monkeypatch):
    torch.manual_seed(0)
    channels = [(8, 8)] * 2 + [(8, 16)] + [(16, 16)] * sum(PUBLISHED)
    published = YuNet(channels, PUBLISHED)
    before = published.stem.weight.detach().clone()
    monkeypatch.setattr(train, "read_onnx", lambda path: published)
    targets.pool(tmp_path / "000.npz", OneFace(), painter(), 16)
    tuned = train.tune(tmp_path / "none.onnx", tmp_path, tmp_path / "net.pt", 0.03)
    assert not torch.equal(tuned.stem.weight, before)
    again, steps = train.restore(tmp_path / "net.pt")
    assert steps is None and torch.equal(again.stem.weight, tuned.stem.weight)
