"""`mobilenet_7.h5`: our reading of the file against Keras' own."""

import os

import numpy as np
import pytest

from .needs import needed

torch = needed("torch")
needed("h5py")

from emotiond_models.convert import ConversionError, keras_file  # noqa: E402

# Keras 3 does not run on Debian's PyTorch; the file is the same with any backend.
os.environ.setdefault("KERAS_BACKEND", "numpy" if torch.__version__.startswith("1.") else "torch")


@pytest.fixture(scope="module")
def published_like(tmp_path_factory):
    """A file as HSEmotion's notebook wrote it, with random weights, and the Keras model in it."""
    keras = needed("keras")
    keras.utils.set_random_seed(0)
    backbone = keras.applications.MobileNet(input_shape=(224, 224, 3), weights=None, include_top=False)
    x = keras.layers.GlobalAveragePooling2D(name="global_pooling")(backbone.output)
    x = keras.layers.Dropout(0.5)(x)
    x = keras.layers.Dense(256, activation="relu", name="feats")(x)
    x = keras.layers.Dense(7, activation="softmax", name="emotion_preds")(x)
    model = keras.Model(backbone.input, x)
    random = np.random.default_rng(0)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            width = layer.gamma.shape[0]
            layer.set_weights(
                [random.uniform(low, high, width) for low, high in [(0.5, 1.5), (-0.2, 0.2), (-0.1, 0.1), (0.2, 0.6)]]
            )
    path = tmp_path_factory.mktemp("keras") / "mobilenet_7.h5"
    model.save(path)
    return path, model


def test_same_numbers_as_keras(published_like):
    path, model = published_like
    picture = np.random.default_rng(1).uniform(-120, 140, (1, 224, 224, 3)).astype(np.float32)
    with torch.no_grad():
        expected = np.asarray(model(picture, training=False))
        logits = keras_file.read(path, 7).eval()(torch.from_numpy(picture).permute(0, 3, 1, 2))
    assert np.allclose(torch.softmax(logits, 1).numpy(), expected, atol=1e-4)
    assert expected.std() > 1e-3  # else anything would agree


def test_other_number_of_classes_is_refused(published_like):
    with pytest.raises(ConversionError, match=r"emotion_preds.weight is \(7, 256\), not \(8, 256\)"):
        keras_file.read(published_like[0], 8)


def test_no_hdf5_is_said_to_be_none(tmp_path):
    path = tmp_path / "mobilenet_7.h5"
    path.write_bytes(b"<!DOCTYPE html>")
    with pytest.raises(ConversionError, match="not a Keras model"):
        keras_file.read(path, 7)
