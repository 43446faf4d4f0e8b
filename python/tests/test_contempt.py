"""The contempt row: fitted to what the network says of faces that look like FER+'s, put into a file that keeps all else."""

import numpy as np
import pytest

from .needs import needed

torch = needed("torch")

from emotiond_models.training import contempt  # noqa: E402
from emotiond_models.training.contract import LABELS, UNITS  # noqa: E402
from emotiond_models.training.graft import regraft_row  # noqa: E402
from emotiond_models.training.network import EmotionNet, folded  # noqa: E402
from emotiond_models.training.train import FaceSet  # noqa: E402

from .grafted import expressions_read, said  # noqa: E402

ROW = LABELS.index("contempt")


@pytest.fixture
def content(shipped) -> bytes:
    return shipped.with_suffix(".tflite").read_bytes()


def test_another_row_changes_one_logit_and_nothing_else(content):
    rng = np.random.default_rng(3)
    weight, bias = rng.normal(0, 0.1, 512).astype(np.float32), -4.0
    new = regraft_row(content, ROW, weight, bias)
    assert len(new) == len(content)
    moved = []
    for seed in range(3):
        x = np.random.default_rng(seed).uniform(-1, 1, (1, 128, 128, 3)).astype(np.float32)
        before, after = said(content, x), said(new, x)
        others = np.arange(len(LABELS)) != ROW
        assert np.array_equal(before[0][others], after[0][others])
        assert np.array_equal(before[1], after[1])
        wanted = weight @ expressions_read(content, x) + bias
        assert abs(after[0][ROW] - wanted) < 0.3, "within two steps of the output and the rounding of weights"
        moved.append(abs(after[0][ROW] - before[0][ROW]))
    assert max(moved) > 0.5, "the row says something else than before"


def test_a_row_of_another_width_is_refused(content):
    with pytest.raises(ValueError, match="none that reads 7 values"):
        regraft_row(content, ROW, np.zeros(7, np.float32), 0.0)


def test_a_face_like_ferplus_has_no_colour_and_no_fine_stripes():
    x = torch.zeros(1, 3, 96, 96)
    x[:, 0, :, ::2], x[:, 2, :48] = 1.0, -0.5
    grey = contempt.like_ferplus(x)
    assert torch.equal(grey[:, 0], grey[:, 1]) and torch.equal(grey[:, 0], grey[:, 2])
    row = grey[0, 0, 80]
    assert float(row.max() - row.min()) < 1e-5 and abs(float(row.mean()) - 0.5 * 0.299) < 1e-5


def test_the_row_learns_the_wanted_odds_beside_the_other_classes():
    torch.manual_seed(1)
    features, others = torch.rand(4000, 20) * 3, torch.randn(4000)
    odds = features[:, 3] - 2 * features[:, 7] - 1
    even = torch.full((4000,), 1 / 4000)
    weight, bias = contempt.fitted(contempt.Looks(features, others - others.mean(), (odds * 0.8).sigmoid(), even))
    got = features @ torch.from_numpy(weight) + bias
    assert np.corrcoef(got.numpy(), odds.numpy())[0, 1] > 0.98
    assert abs(weight[3] - 0.8) < 0.15 and abs(weight[7] + 1.6) < 0.3


def test_what_is_wanted_of_each_set():
    torch.manual_seed(2)
    net = folded(EmotionNet(len(LABELS), len(UNITS), widths=[8] * 14).eval())
    rng = np.random.default_rng(2)

    def faces(name: str, shape: tuple) -> FaceSet:
        labels = np.tile(np.arange(7, dtype=np.int8), 4)[:24]
        target = torch.eye(8)[torch.from_numpy(labels.astype(int))] * 0.98
        target[:, ROW] = 0.02
        split = np.array([0] * 20 + [1] * 4)
        return FaceSet(name, torch.from_numpy(rng.integers(0, 256, (24, *shape), np.uint8)), target, labels, split)

    sets = [faces("ferplus", (128, 128)), faces("expw", (128, 128, 3))]
    seen = contempt.seen(net, sets, 128)
    assert seen.features.shape == (40, 8), "held-out faces are not looked at"
    assert seen.weight[:20].sum() == pytest.approx(contempt.FERPLUS_WEIGHT) and seen.weight[20:].sum() == pytest.approx(1)
    _, logits = contempt._looked_at(net, sets[0], np.arange(20), 128)
    plain = contempt.odds(logits).sigmoid()
    assert torch.allclose(seen.wanted[:20], contempt.VOTES * 0.02 + (1 - contempt.VOTES) * plain, atol=1e-4)
    _, taught = contempt._looked_at(net, sets[1], np.arange(20), 128, contempt.like_ferplus)
    raised = (seen.wanted[20:].logit() - contempt.odds(taught)).mean()
    assert float(raised) == pytest.approx(np.log(1 / 7) - np.log(0.02 / 0.98), abs=1e-3), "from 2 % of the votes to one in eight"
