"""Reading `mobilenet_7.h5` (Keras' HDF5 format) without TensorFlow."""

import json
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor, nn

from . import ConversionError
from .keras_mobilenet import ACTIVATIONS, KerasMobileNet, Settings

_NORM = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}
# Keras keeps H×W×in×out, and H×W×channel×1 for depthwise kernels (which Keras 2 calls so and Keras 3 does not);
# PyTorch out×in×H×W.
_KERNELS = ("kernel", "depthwise_kernel")
_ORDER, _DEPTHWISE_ORDER = (3, 2, 0, 1), (2, 3, 0, 1)


def read(path: Path, outputs: int) -> nn.Module:
    """The network of the file, giving logits. Raises `ConversionError` if it is not HSEmotion's MobileNet."""
    if not path.is_file():
        raise ConversionError(f"there is no file {path}")
    try:
        with h5py.File(path, "r") as file:
            settings = _settings(json.loads(file.attrs["model_config"]))
            tensors = dict(_tensors(file["model_weights"]))
    except (OSError, KeyError, ValueError, TypeError, AttributeError) as error:  # as many as a strange file can cause
        raise ConversionError(f"{path} is not a Keras model in HDF5 (an interrupted download?): {error}") from error
    network = KerasMobileNet(outputs, settings)
    wanted = {name: value for name, value in network.state_dict().items() if not name.endswith("num_batches_tracked")}
    for name, value in wanted.items():
        if name not in tensors or tensors[name].shape != value.shape:
            found = tuple(tensors[name].shape) if name in tensors else "nothing"
            raise ConversionError(f"{path} does not hold mobilenet_7: {name} is {found}, not {tuple(value.shape)}")
    if extra := sorted(tensors.keys() - wanted.keys()):
        raise ConversionError(f"{path} does not hold mobilenet_7: it also has {', '.join(extra[:3])}")
    network.load_state_dict(tensors, strict=False)
    return network


def _settings(config: dict) -> Settings:
    layers = {layer["config"]["name"]: layer["config"] for layer in config["config"]["layers"]}
    activation = layers["feats"]["activation"]
    if activation not in ACTIVATIONS:
        raise ValueError(f"its features use the activation {activation!r}")
    if layers["emotion_preds"]["activation"] != "softmax":
        raise ValueError(f"its last layer ends in {layers['emotion_preds']['activation']!r}, not in a softmax")
    return Settings(
        epsilon=layers["conv1_bn"]["epsilon"],
        relu_ceiling=float(layers["conv1_relu"]["max_value"]),
        features_activation=activation,
    )


def _tensors(weights: h5py.Group):
    for layer in weights.values():
        for path in layer.attrs.get("weight_names", []):
            path = path.decode() if isinstance(path, bytes) else path
            kind = path.rsplit("/", 1)[-1].removesuffix(":0")
            yield _renamed(layer.name.rsplit("/", 1)[-1], kind, np.asarray(layer[path]))


def _renamed(layer: str, kind: str, value: np.ndarray) -> tuple[str, Tensor]:
    if kind in _KERNELS and value.ndim == 4:
        order = _DEPTHWISE_ORDER if layer.startswith("conv_dw_") else _ORDER
        return f"{layer}.weight", torch.from_numpy(value.transpose(order).copy())
    if kind == "kernel":
        return f"{layer}.weight", torch.from_numpy(value.T.copy())
    return f"{layer}.{_NORM.get(kind, kind)}", torch.from_numpy(value.copy())
