"""Needs PyTorch: the network and a few steps of training on synthetic faces."""

import time
from pathlib import Path

import numpy as np
import pytest

from .needs import needed

torch = needed("torch")
import torch.nn.functional as F  # noqa: E402

from emotiond_models.training import evaluation, rounding  # noqa: E402
from emotiond_models.training.augment import augment, centre, jpeg_like  # noqa: E402
from emotiond_models.training.data import CACHE, ferplus_targets  # noqa: E402
from emotiond_models.training.ensemble import agree  # noqa: E402
from emotiond_models.training.faces import Faces  # noqa: E402
from emotiond_models.training.narrow import importance, narrow, shorten  # noqa: E402
from emotiond_models.training.network import WIDTHS, EmotionNet, equalize, folded  # noqa: E402
from emotiond_models.training.sharpness import gradient_nearby  # noqa: E402
from emotiond_models.training.start import Exported, load_exported, trained  # noqa: E402
from emotiond_models.training.train import FaceSet, Recipe, Trainer  # noqa: E402


@pytest.fixture(autouse=True)
def repeatable():
    torch.manual_seed(0)


def synthetic(name: str, colour: bool, count: int = 96) -> FaceSet:
    """"Faces" of two classes, bright above and bright below."""
    rng = np.random.default_rng(0)
    label = (np.arange(count) % 2).astype(np.int8)
    image = rng.integers(0, 60, (count, CACHE, CACHE, 3) if colour else (count, CACHE, CACHE), dtype=np.uint8)
    half = CACHE // 2
    for i, value in enumerate(label):
        image[i, half * value : half * (value + 1)] += 150
    split = (np.arange(count) >= count - 16).astype(np.int8)
    target = torch.from_numpy(np.eye(8, dtype=np.float32)[label])
    return FaceSet(name, torch.from_numpy(image), target, label, split)


def fresh() -> EmotionNet:
    torch.manual_seed(1)
    return EmotionNet(8, dropout=0.2)


def narrower(units: int = 10) -> EmotionNet:
    return EmotionNet(8, units, dropout=0.0, widths=[16, 16, 32, 32, 48, 48, 64, 64, 64, 64, 64, 64, 96, 96])


def settled(net: EmotionNet | None = None, size: int = 32) -> EmotionNet:
    """A network whose normalization has settled, so that what comes out depends on what goes in."""
    net = (net or EmotionNet(8, 10, dropout=0.0)).train()
    with torch.no_grad():
        for layer in net.trunk:
            torch.nn.init.kaiming_normal_(layer.conv.weight)
            layer.norm.momentum = 1.0
            torch.nn.init.constant_(layer.norm.bias, 0.5)
        net.norm.momentum = 1.0
        net(faces(64, size))
    return net.eval()


def faces(count: int, size: int) -> torch.Tensor:
    """Coarse patterns, in -1..1."""
    return torch.nn.functional.interpolate(torch.rand(count, 3, 4, 4) * 2 - 1, size=size)


@torch.no_grad()
def test_folding_and_equalizing_keep_the_function():
    net, x = settled(), faces(64, 32)
    expected = net(x)
    assert expected.std(0).mean() > 0.1
    plain = folded(net)
    assert torch.allclose(plain(x), expected, atol=1e-4)
    equalize(plain, x)
    assert torch.allclose(plain(x), expected, atol=1e-3)


@torch.no_grad()
def test_training_starts_where_an_exported_network_stands():
    net, x = settled(narrower()), faces(64, 32)
    net.trunk[-1].norm.bias[60:] = -20  # silent, so the export cuts them off
    plain = folded(net)
    equalize(plain, x)

    def pairs(layers, *order):
        convolutions = [layer.conv for layer in layers]
        return [(c.weight.permute(*order).numpy(), c.bias.numpy()) for c in convolutions]

    heads = [(head.weight.numpy(), head.bias.numpy()) for head in (plain.expression, plain.units)]
    exported = Exported(pairs(plain.trunk[::2], 0, 2, 3, 1), pairs(plain.trunk[1::2], 1, 2, 3, 0), heads)
    published = EmotionNet(8)
    other = load_exported(exported, published, x)
    assert torch.allclose(other(x), plain(x), atol=1e-3) and other(x).std(0).mean() > 0.1
    assert other.widths() == (*net.widths()[:-1], 60)
    sizes = [layer.conv.weight.flatten(1).norm(dim=1).median() for layer in (published.trunk[8], other.trunk[8])]
    assert sizes[0] == pytest.approx(sizes[1]), "weights as large as the pretrained ones"
    with pytest.raises(ValueError, match="are not this network's"):
        load_exported(Exported(exported.plain[1:], exported.depthwise, heads), published, x)


@torch.no_grad()
def test_weights_fall_on_the_grid_of_their_channel():
    weight = torch.randn(4, 3, 3, 3) * torch.tensor([1.0, 10.0, 1e-3, 1e-5])[:, None, None, None]
    steps = rounding.on_grid(weight) / rounding.grid(weight)
    assert torch.allclose(steps, steps.round(), atol=1e-3)
    assert steps.abs().flatten(1).amax(1).round().tolist() == [rounding.STEPS] * 4


def test_a_network_learns_to_be_rounded(monkeypatch):
    # A network of random weights makes noise of rounding, of which little can be unlearned: five bits leave enough.
    monkeypatch.setattr(rounding, "STEPS", 15)
    net, x = settled(), faces(64, 32)
    with torch.no_grad():
        wanted = net(x)[:, :8]
    plain = folded(net)
    equalize(plain, x)

    @torch.no_grad()
    def lost() -> float:
        return float(rounding.divergence(rounding.Rounded(plain, x)(x)[:, :8], wanted))

    before = lost()
    pictures = ((x.permute(0, 2, 3, 1) + 1) * 127.5).round().to(torch.uint8)
    rounding.learn_rounding(plain, [pictures, pictures], x, views=64 * 40, rate=0.005)
    assert lost() < 0.9 * before


def test_the_gradient_nearby_is_that_of_the_worst_point():
    # The loss w^4 / 4 at 1: uphill is away from zero, and the step is the radius in units of |w| + 0.01.
    net = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(net.weight)
    near = torch.nn.Linear(1, 1, bias=False)
    loss = gradient_nearby(net, near, lambda n: n.weight.pow(4).sum() / 4, 0.5)
    assert float(loss) == pytest.approx(0.25) and net.weight.item() == 1
    assert net.weight.grad.item() == pytest.approx((1 + 0.5 * 1.01) ** 3)


def test_augmentation_keeps_shape_range_and_seed():
    images = torch.randint(0, 256, (6, CACHE, CACHE, 3), dtype=torch.uint8)
    first = augment(images, 64, torch.Generator().manual_seed(3))
    again = augment(images, 64, torch.Generator().manual_seed(3))
    assert first.shape == (6, 3, 64, 64) and first.abs().max() <= 1
    assert torch.equal(first, again)


def test_centre_of_a_grey_set_has_three_equal_channels():
    x = centre(torch.randint(0, 256, (2, CACHE, CACHE), dtype=torch.uint8), 64)
    assert x.shape == (2, 3, 64, 64) and torch.equal(x[:, 0], x[:, 2])


def test_jpeg_like_is_close_for_fine_steps():
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    assert (jpeg_like(x, 1e-4) - x).abs().max() < 1e-2
    assert (jpeg_like(x, 0.5) - x).abs().mean() > 0.05


def test_ferplus_votes_drop_outliers_and_mark_unknown():
    votes = np.array([[6, 3, 1, 0, 0, 0, 0, 0, 0, 0], [2, 0, 0, 0, 0, 0, 0, 0, 8, 0]], np.uint8)
    target, majority = ferplus_targets(votes)
    assert target[0, :3] == pytest.approx([2 / 3, 1 / 3, 0])
    rare, _ = ferplus_targets(np.array([[8, 0, 0, 0, 1, 0, 0, 1, 0, 0]], np.uint8))
    assert rare[0, [0, 4, 7]] == pytest.approx([8 / 9, 0, 1 / 9]), "one rater's contempt stays, one rater's anger does not"
    assert list(majority) == [0, -1]


@pytest.mark.parametrize("sharpness", [0.0, 0.2])
def test_a_few_steps_learn_and_a_checkpoint_resumes(tmp_path, sharpness):
    sets = [synthetic("ferplus", False), synthetic("expw", True)]
    recipe = Recipe(stages=[(0.0, 32)], epochs=4, batch=16, rate=2e-3, frozen=1, average=0.8, workers=1, strength=0.2,
                    sharpness=sharpness)
    trainer = Trainer(recipe, sets, tmp_path, fresh())
    trainer.run()
    # Too few steps for the normalization's running statistics to settle, so the loss is what tells.
    assert trainer.log[-1]["loss"] < 0.8 * trainer.log[0]["loss"]
    other = Trainer(recipe, sets, tmp_path, fresh())
    other.resume(tmp_path / "checkpoint.pt")
    assert other.step == trainer.step and other.seen.value == trainer.seen.value
    for mine, theirs in zip(other.average.parameters(), trainer.average.parameters(), strict=True):
        assert torch.equal(mine, theirs)


def test_a_last_run_learns_from_all_but_every_sixth_validation_picture():
    faces = synthetic("ferplus", False)
    before, given = faces.labelled(1), faces.split
    faces.learn_from_validation()
    assert faces.labelled(1).tolist() == before[::6].tolist()
    assert len(faces.labelled(0)) == 96 - len(before[::6])
    assert (given == 1).sum() == len(before), "the stored split has changed"


def test_a_network_for_small_faces_learns_what_the_finished_one_says_and_nothing_else(tmp_path):
    faces = synthetic("expw", True)
    faces.taught = torch.randn(96, 8).softmax(1)
    recipe = Recipe.small(epochs=0.5, batch=16, workers=1)
    trainer = Trainer(recipe, [faces], tmp_path, narrower())
    index = np.array([3, 4])
    # ExpW's own labels know no contempt; what the finished network says of it counts all the same.
    assert torch.equal(trainer._targets(faces, index), faces.taught[index])
    assert not trainer._shift(faces).any() and recipe.units_weight == 0
    trainer.run()
    assert trained(tmp_path / "checkpoint.pt")[1] == 96


def test_an_ensemble_labels_the_faces_that_may_be_trained_on_and_nothing_else(tmp_path):
    faces = synthetic("expw", True)
    faces.split[-4:] = 2
    recipe = Recipe(stages=[(0.0, 32)], epochs=0.2, batch=16, workers=1, taught=0.25)
    trainer = Trainer(recipe, [faces], tmp_path, fresh())
    trainer.size, trainer.began = 32, time.monotonic()
    trainer.save()
    labels = agree(faces, [trained(tmp_path / "checkpoint.pt")] * 2)
    assert labels.shape == (96, 8) and labels.dtype == np.float32
    assert labels[faces.split < 2].sum(1) == pytest.approx(1) and not labels[faces.split == 2].any()
    faces.taught = torch.from_numpy(labels)
    mixed = trainer._targets(faces, np.array([3]))[0]
    assert mixed.sum().item() == pytest.approx(1)
    # The set knows two classes alone.
    assert mixed[1].item() == pytest.approx(0.75 * (0.9 + 0.1 / 2) + 0.25 * labels[3, 1] / labels[3, :2].sum())


def test_a_set_says_nothing_of_the_classes_that_it_lacks_and_its_shares_are_taken_out():
    faces = synthetic("expw", True)
    faces.split[:40:4] = 2  # 30 of class 0 and 40 of class 1 are left to train on
    trainer = Trainer(Recipe(stages=[(0.0, 32)], workers=1), [faces], Path("."), fresh())
    shift = trainer._shift(faces)
    assert shift[:2].exp().tolist() == pytest.approx([3 / 7, 4 / 7]) and shift[2:].isinf().all()
    assert not trainer._shift(synthetic("ferplus", False)).any(), "FER+ comes as its pictures do"


def test_action_units_are_learned_with_the_trunk_where_the_teacher_was_asked(tmp_path):
    def change(asked: bool) -> tuple[float, float]:
        """How far the action units' head and, towards what they want, their loss move in some steps."""
        faces = synthetic("expw", True)
        faces.units = torch.full((96, 10), 1.0 if asked else torch.nan)
        net = settled(narrower())
        x, before = centre(faces.image, 32), net.units.weight.detach().clone()
        trainer = Trainer(Recipe(stages=[(0.0, 32)], workers=1, frozen=1, rate=5e-3), [faces], tmp_path, net)
        said = net.eval()(x)[:, 8:].mean().item()
        lowest, trainer.step = folded(net).trunk[:1], 150  # after the warm-up
        net.train()
        for _ in range(10):
            trainer._step(32, [32], lowest, 0.1)
        return (net.units.weight - before).abs().max().item(), net.eval()(x)[:, 8:].mean().item() - said

    moved, rise = change(True)
    assert moved > 0 and rise > 0.1
    assert change(False)[0] == 0


def test_both_ways_is_the_mean_of_a_face_and_its_mirror_image():
    class Left:
        """A model that reads the first column alone."""

        def crop(self, image, face, scale, mirrored):
            return image

        def raw(self, crop):
            return [crop[:, 0, 0]]

        def expression(self, values):
            return np.eye(8)[values[0][0]]

    images = [np.arange(2 * 3 * 3).reshape(2, 3, 3) // 3 % 3]
    one = Faces("two", images, np.zeros((1, 11)), np.zeros(1, int), np.ones(1, bool))
    assert evaluation.outputs(Left(), one)[0].argmax() == 0
    assert evaluation.outputs(Left(), one, mirrored=True)[0].argmax() == 2
    assert evaluation.both_ways(Left(), one).tolist() == [[0.5, 0, 0.5, 0, 0, 0, 0, 0]]


@torch.no_grad()
def test_narrowing_takes_the_channels_that_say_nothing():
    net, x = settled(), faces(64, 32)
    net.trunk[5].norm.weight[:100], net.trunk[5].norm.bias[:100] = 0, -1  # silent: 28 of 128 speak
    net.trunk[26].norm.weight[5::2], net.trunk[26].norm.bias[5::2], net.norm.running_mean[5::2] = 0, -1, 0
    before = net(x)
    with torch.enable_grad():
        worth = importance(net, (F.cross_entropy(net(part)[:, :8], torch.arange(16) % 8) for part in x.split(16)))
    assert len(worth) == len(WIDTHS) and all(len(value) == width for value, width in zip(worth, WIDTHS, strict=True))
    kept = (*WIDTHS[:2], 28, *WIDTHS[3:-1], 514)
    narrow(net, kept, worth)
    assert net.widths() == kept
    assert torch.allclose(net(x), before, atol=1e-4) and before.std(0).mean() > 0.1
    with pytest.raises(ValueError, match="block 2 has 128 channels, not 129"):
        narrow(net, (*WIDTHS[:2], 129, *WIDTHS[3:]), worth)


def test_a_narrowed_checkpoint_is_read_as_wide_as_it_is(tmp_path):
    faces = synthetic("expw", True)
    trainer = Trainer(Recipe(stages=[(0.0, 32)], epochs=0.2, workers=1), [faces], tmp_path, settled(narrower(0)))
    shorten(trainer.average, [faces], 32, widths=[8] * len(WIDTHS))
    trainer.size, trainer.began = 32, time.monotonic()
    trainer.save()
    net, size = trained(tmp_path / "checkpoint.pt")
    assert net.widths() == (8,) * len(WIDTHS) and size == 32
    assert torch.equal(net(centre(faces.image, 32)), trainer.average.eval()(centre(faces.image, 32)))
