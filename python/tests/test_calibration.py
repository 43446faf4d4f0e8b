"""Needs PyTorch: temperature and prior from logits whose distortion is known."""

import numpy as np
import pytest

from emotiond_models.runtime import softmax

from .needs import needed

needed("torch")

from emotiond_models.training import calibration, metrics  # noqa: E402


def distorted(seed: int, classes: int, temperature: float, bias: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Logits of faces, the same both ways, whose labels are drawn from softmax(logits / temperature + bias)."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 3, (6000, 8))
    p = softmax(logits / temperature + bias)
    p[:, classes:] = 0
    p /= p.sum(1, keepdims=True)
    labels = (rng.random((len(p), 1)) > p.cumsum(1)).sum(1).clip(0, classes - 1)
    return np.repeat(logits[:, None], 2, 1), labels


def test_a_distortion_is_found_and_taken_back():
    bias = np.array([0.5, 0.0, -0.4, 0.3, 0.0, -0.6, 0.2, 0.0])
    sets = [distorted(1, 8, 1.6, bias), distorted(2, 7, 1.6, bias)]
    temperature, prior = calibration.fit([calibration.Judged(*given) for given in sets])
    assert temperature == pytest.approx(1.6, rel=0.06) and prior.sum() == pytest.approx(1, abs=1e-5)
    found = -np.log(prior)
    assert np.abs((found - found.mean()) - (bias - bias.mean())).max() < 0.12
    logits, labels = distorted(3, 8, 1.6, bias)
    shown = softmax(logits[:, 0], temperature) / prior
    shown /= shown.sum(1, keepdims=True)
    raw = softmax(logits[:, 0])
    before, after = (metrics.expected_calibration_error(p, labels) for p in (raw, shown))
    assert after < 0.03 < before


def test_a_class_without_faces_in_a_set_costs_nothing_there():
    logits, labels = distorted(4, 7, 1.0, np.zeros(8))
    sure = logits.copy()
    sure[:, :, 7] = 20.0  # contempt everywhere, which this set cannot know
    first, second = (calibration.fit([calibration.Judged(z, labels)]) for z in (logits, sure))
    assert first[0] == pytest.approx(second[0], rel=1e-2)


def test_the_shares_of_a_set_that_was_gathered_by_class_do_not_become_a_prior():
    logits, labels = distorted(5, 8, 1.0, np.zeros(8))
    # Most faces of classes 0 to 3 are left out.
    kept = (labels > 3) | (np.arange(len(labels)) % 5 == 0)
    shares, even = (calibration.fit([calibration.Judged(logits[kept], labels[kept], even=e)])[1] for e in (False, True))
    assert np.ptp(np.log(even)) < 0.35 < 1.0 < np.ptp(np.log(shares))
