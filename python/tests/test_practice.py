"""What the proof's networks are trained on."""

from .needs import needed

needed("torch")

from emotiond_models.convert import calibration, practice  # noqa: E402


def test_drawn_traits_are_the_classes():
    traits = [calibration.Traits(0.2, 0.2, 0.9), calibration.Traits(0.9, 0.6, 0.1), calibration.Traits(1.0, 1.0, 1.0)]
    kinds, affect = practice.targets(traits, 8)
    assert kinds.tolist() == [1, 6, 7] and affect[2].tolist() == [1.0, 1.0]
    assert practice.targets(traits, 7)[0].tolist() == [1, 6, 6]


def test_traits_are_spread_and_do_not_change_the_pictures():
    faces = calibration.drawn_with_traits(50, side=32, seed=4)
    assert [picture.tobytes() for picture, _ in faces[:5]] == [p.tobytes() for p in calibration.drawn(5, 32, seed=4)]
    for name in ("skin", "background", "hair"):
        values = [getattr(traits, name) for _, traits in faces]
        assert 0 <= min(values) < 0.3 and 0.7 < max(values) <= 1
