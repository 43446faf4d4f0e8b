"""The file computes what PyTorch computes on int8's grids."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("ai_edge_litert")

from emotiond_models.detector import rounding, runtime, tflite  # noqa: E402
from emotiond_models.detector.network import PATCH, PUBLISHED, YuNet  # noqa: E402

SIDE = 64


def made(trunk, shared):
    torch.manual_seed(3)
    first = [(16, 16), (16, 24)] if trunk == PATCH else [(16, 16)] * 3
    units = sum(trunk) + 3 + (3 if shared else 0)
    channels = first + [(first[-1][1], 32)] + [(32, 32)] * (units - len(first) - 1)
    net = YuNet(channels, trunk).eval()
    with torch.no_grad():
        for layer in (*net.points, *net.depths):
            layer.weight *= 2
        net.stem.weight /= 64
    return net


@pytest.mark.parametrize("trunk", [PATCH, PUBLISHED])
@pytest.mark.parametrize("shared", [False, True])
def test_the_file_says_what_the_simulation_says(trunk, shared):
    net = made(trunk, shared)
    rng = np.random.default_rng(1)
    picture = np.kron(rng.integers(0, 256, (SIDE // 4, SIDE // 4, 3)), np.ones((4, 4, 1))).astype(np.uint8)
    x = torch.from_numpy(picture.transpose(2, 0, 1)[None].copy()).float()
    rounding.equalize(net, [x])
    found = rounding.ranges(net, [x], cut=False)
    for level in range(3):  # steps that the random network's outputs fill
        with torch.no_grad():
            top = float(net(x)[level].abs().max())
        found[f"head_depth{level}"] = (-top, top)
    steps = rounding.Int8(found)
    detector = runtime.Detector(tflite.write(net, steps, SIDE, SIDE))
    simulated = runtime.Float(net, SIDE, SIDE, steps)
    exact = runtime.Float(net, SIDE, SIDE)
    for level, (file, torch_, float_) in enumerate(zip(*(d.levels(picture) for d in (detector, simulated, exact)))):
        step = steps.scale(f"head_depth{level}")
        assert file.shape == torch_.shape == (SIDE // (8 << level), SIDE // (8 << level), 16)
        # Sums that end up halfway between two steps may go either way, and a difference goes on through thirty layers and grows.
        assert np.abs(file - torch_).max() <= 8.01 * step and np.mean(np.abs(file - torch_)) < 1.2 * step
        assert np.abs(file).max() > 60 * step
        assert np.abs(file - float_).mean() < 6 * step


def test_equalizing_leaves_the_function_as_it_is():
    net, x = made(PATCH, True), torch.rand(2, 3, SIDE, SIDE) * 255
    with torch.no_grad():
        before = net(x)
        rounding.equalize(net, [x])
        after = net(x)
    for a, b in zip(before, after):
        assert torch.allclose(a, b, atol=1e-4 * float(a.abs().max()))


def test_sides_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="multiple of 32"):
        tflite.write(made(PATCH, False), None, 250, 192)
