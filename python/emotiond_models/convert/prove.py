"""`python -m emotiond_models.convert.prove`: the conversion at work on networks trained for a minute or two.

The published weights are not part of this project. This trains networks of the same architectures on drawn faces,
writes them in the published formats, converts them as a user would, and prints how far the results are from float.
"""

import argparse
import json
import logging
import statistics
import sys
import time
import traceback
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import torch
from torch import nn

from ..c_library import CRunner
from ..runtime import Runner
from . import calibration, compare, conversion, practice
from .published import NETWORKS, Published

_CALIBRATING, _HELD_OUT, _HELD_OUT_SEED = 80, 64, 3


def suffixes(name: str) -> tuple[str, ...]:
    """The formats in which a network is published."""
    return {"mobilenet_7": (".h5",), "mt_ddamfn": (".pt",)}.get(name, (".pt", ".onnx"))


def write_like_published(module: nn.Module, network: Published, suffix: str, folder: Path) -> Path:
    """Write the module in the published format: a whole pickled model, a state dict in an envelope, or ONNX."""
    path = folder / f"{network.name}{suffix}"
    if suffix == ".onnx":
        torch.onnx.export(
            module,
            (torch.zeros(1, 3, network.size, network.size),),
            str(path),
            opset_version=11,
            input_names=["input"],
            output_names=["output"],
            dynamic_axes={"input": {0: "batch_size"}, "output": {0: "batch_size"}},
            dynamo=False,
        )
    elif network.architecture == "ddamfn":
        torch.save({"model_state_dict": module.state_dict()}, path)
    elif network.architecture == "keras_mobilenet":
        _write_like_keras(module, path)
    else:
        torch.save(module, path)
    return path


def _write_like_keras(module: nn.Module, path: Path) -> None:
    """As Keras' HDF5 format has it, as far as `keras_file` reads it (python/tests/test_keras.py tries Keras' own)."""
    settings = [
        {"name": "conv1_bn", "epsilon": module.conv1_bn.eps},
        {"name": "conv1_relu", "max_value": module.ceiling},
        {"name": "feats", "activation": "relu"},
        {"name": "emotion_preds", "activation": "softmax"},
    ]
    with h5py.File(path, "w") as file:
        file.attrs["model_config"] = json.dumps({"config": {"layers": [{"config": layer} for layer in settings]}})
        for name, layer in module.named_children():
            arrays = _keras_arrays(name, layer)
            group = file.create_group(f"model_weights/{name}")
            group.attrs["weight_names"] = [f"{name}/{kind}:0".encode() for kind in arrays]
            for kind, array in arrays.items():
                group[f"{name}/{kind}:0"] = array.detach().numpy()


def _keras_arrays(name: str, layer: nn.Module) -> dict[str, torch.Tensor]:
    match layer:
        case nn.Conv2d() if name.startswith("conv_dw"):
            return {"depthwise_kernel": layer.weight.permute(2, 3, 0, 1)}
        case nn.Conv2d():
            return {"kernel": layer.weight.permute(2, 3, 1, 0)}
        case nn.BatchNorm2d():
            statistics = {"moving_mean": layer.running_mean, "moving_variance": layer.running_var}
            return {"gamma": layer.weight, "beta": layer.bias, **statistics}
        case nn.Linear():
            return {"kernel": layer.weight.T, "bias": layer.bias}
    return {}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m emotiond_models.convert.prove", description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="which (all)")
    parser.add_argument("--formats", nargs="+", default=[".pt", ".onnx", ".h5"], help="which published formats to try")
    parser.add_argument("--steps", type=int, help="of training each (120, or 20 with the body of another)")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--library", type=Path, help="libtensorflowlite_c.so to run the result with, besides Python")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    warnings.filterwarnings("ignore")
    failed = 0
    bodies: dict[str, nn.Module] = {}
    for name in arguments.networks or NETWORKS:
        network = replace(NETWORKS[name], licence="none: trained on drawn faces for a trial", training_data=())
        module = _train(network, arguments.steps, bodies.get(network.architecture))
        bodies.setdefault(network.architecture, module)
        for suffix in (suffix for suffix in suffixes(name) if suffix in arguments.formats):
            try:
                _prove(module, network, suffix, arguments.out / suffix[1:], arguments.library)
            except Exception:  # one network's trouble should not hide the others' results
                failed += 1
                print(f"{name}{suffix}: FAILED", flush=True)
                traceback.print_exc()
    return 1 if failed else 0


def _train(network: Published, steps: int | None, body: nn.Module | None) -> nn.Module:
    started = time.monotonic()
    module = practice.trained(network, steps, body)
    seconds = time.monotonic() - started
    faces = calibration.drawn_with_traits(_HELD_OUT, seed=_HELD_OUT_SEED)
    scores, _ = _outputs(conversion.TorchRunner(_Cut(module, network), network), [face for face, _ in faces], network)
    kinds, _ = practice.targets([traits for _, traits in faces], len(network.labels))
    right = (scores.argmax(1) == kinds.numpy()).mean()
    print(f"{network.name}: {seconds:.0f} s of training, right about {right:.0%} of {_HELD_OUT} faces", flush=True)
    return module


class _Cut(nn.Module):
    """Scores and valence-arousal of the published output apart, as `compare` takes them."""

    def __init__(self, module: nn.Module, network: Published):
        super().__init__()
        self.module, self.classes, self.affect = module, len(network.labels), network.affect

    def forward(self, x: torch.Tensor):
        y = self.module(x)
        return (y[:, : self.classes], y[:, self.classes :]) if self.affect else y


def _outputs(runner: Runner, faces: list, network: Published):
    inputs = [calibration.prepare(face, network) for face in faces]
    return compare.outputs_of(runner, inputs, len(network.labels))


def _prove(module: nn.Module, network: Published, suffix: str, folder: Path, library: Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    source = write_like_published(module, network, suffix, folder)
    held_out = calibration.drawn(_HELD_OUT, seed=_HELD_OUT_SEED)
    # What was written, not what was read: a misread file must show.
    expected = _outputs(conversion.TorchRunner(_Cut(module, network), network), held_out, network)
    started = time.monotonic()
    calibrating = calibration.drawn(_CALIBRATING, seed=2)
    results = conversion.convert(source, network, calibrating, held_out, "calibrated on drawn faces", folder)
    print(f"{source.name}: converted in {time.monotonic() - started:.0f} s; {results[0].how}", flush=True)
    for result in results:
        print(f"{result.kind}: {result.model.stat().st_size / 1e6:.2f} MB", flush=True)
        print(f"  Python: {result.difference}", flush=True)
        for xnnpack in (True, False) if library else ():
            runner = CRunner(result.model, library, xnnpack)
            found = compare.difference(expected, _outputs(runner, held_out, network))
            milliseconds = _milliseconds(runner, calibration.prepare(held_out[0], network))
            kernels = "XNNPACK" if xnnpack else "plain kernels"
            print(f"  C {runner.version}, {kernels}, {milliseconds:.1f} ms: {found}", flush=True)


def _milliseconds(runner: Runner, x: np.ndarray, runs: int = 20) -> float:
    """The median, since the machine may have other work."""
    times = []
    for _ in range(runs):
        began = time.perf_counter()
        runner(x)
        times.append(time.perf_counter() - began)
    return statistics.median(times) * 1000


if __name__ == "__main__":
    sys.exit(main())
