"""`python -m models.convert.prove`: the conversion at work on networks with random weights.

The published weights are not part of this project. This makes files of the same architectures and formats with random
weights, converts them as a user would, and prints how far int8 is from float.
"""

import argparse
import itertools
import json
import logging
import re
import sys
import time
import traceback
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import torch
from torch import nn

from . import calibration, compare, convert
from .architectures import ARCHITECTURES
from .published import NETWORKS, Published
from .runtime import CRunner

_SCORE_SPREAD, _AFFECT_SPREAD = 2.0, 0.35
# The batch norms that close a residual branch, in all architectures. Training leaves their weights small, so that a
# block refines what it is given; at weight 1 a random network amplifies any disturbance from block to block.
_RESIDUAL_END = re.compile(r"(bn3|conv3_1x1\.bn|layers\.2\.layers\.1|project\.bn)$")
_RESIDUAL_WEIGHT = 0.3
# The bias of all other batch norms, in deviations: most units are on. At 0 a random network of batch norms and ReLUs
# amplifies any disturbance by √(π/(π-1)) = 1.21 a layer (Yang et al., ICLR 2019), so that the rounding of the first of
# MobileNet's 27 layers would drown the scores; trained networks have unlearned that.
_BIAS = 1.0


def random_network(network: Published, pictures: int = 32, seed: int = 0) -> nn.Module:
    """A network of the published architecture with random weights and sane activations.

    Batch norm takes its statistics from drawn faces, and the last layer is scaled so that the scores spread over the
    faces as a trained network's do: without that, outputs would hardly depend on the picture and prove nothing.
    """
    torch.manual_seed(seed)
    architecture = ARCHITECTURES[network.architecture]
    module = architecture.build(network.outputs)
    for path, layer in module.named_modules():
        if isinstance(layer, (nn.BatchNorm2d, nn.BatchNorm1d)):
            layer.momentum = None  # average over all batches
            if _RESIDUAL_END.search(path):
                nn.init.constant_(layer.weight, _RESIDUAL_WEIGHT)
            else:
                nn.init.constant_(layer.bias, _BIAS)
        if isinstance(layer, nn.PReLU):
            nn.init.uniform_(layer.weight, 0.0, 0.5)
            layer.weight.data[0] = 1.2  # a slope above 1 is rare but possible
    faces = [calibration.prepare(face, network) for face in calibration.drawn(pictures, seed=seed + 1)]
    batches = torch.cat([torch.from_numpy(face) for face in faces]).permute(0, 3, 1, 2).split(16)
    with torch.no_grad():
        module.train()
        for batch in batches:
            module(batch)
        module.eval()
        head = module.get_submodule(architecture.head)
        scores = torch.cat([module(batch) for batch in batches])
        spread = torch.full((network.outputs,), _SCORE_SPREAD)
        spread[len(network.labels) :] = _AFFECT_SPREAD
        centre = scores.median(0).values
        factor = spread / (1.4826 * (scores - centre).abs().median(0).values)  # robust: a few faces score far off
        head.bias.copy_((head.bias - centre) * factor)
        head.weight.mul_(factor[:, None])
    return module


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
    """As Keras' HDF5 format has it, as far as `keras_file` reads it (tests/test_keras.py tries Keras' own)."""
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
    parser = argparse.ArgumentParser(prog="python -m models.convert.prove", description=__doc__)
    parser.add_argument("networks", nargs="*", metavar="NETWORK", help="which (all)")
    parser.add_argument("--formats", nargs="+", default=[".pt", ".onnx", ".h5"], help="which published formats to try")
    parser.add_argument("--out", type=Path, required=True, help="folder for the files")
    parser.add_argument("--library", type=Path, help="libtensorflowlite_c.so to run the result with, besides Python")
    arguments = parser.parse_args()
    logging.basicConfig(format="%(message)s", level=logging.WARNING)
    warnings.filterwarnings("ignore")
    failed = 0
    for suffix, name in itertools.product(arguments.formats, arguments.networks or NETWORKS):
        if (suffix == ".h5") != (name == "mobilenet_7"):
            continue  # not published so
        network = replace(NETWORKS[name], licence="none: random weights", training_data=())
        try:
            _prove(network, suffix, arguments.out / suffix[1:], arguments.library)
        except Exception:  # one network's trouble should not hide the others' results
            failed += 1
            print(f"{name}{suffix}: FAILED", flush=True)
            traceback.print_exc()
    return 1 if failed else 0


def _prove(network: Published, suffix: str, folder: Path, library: Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    source = write_like_published(random_network(network), network, suffix, folder)
    held_out = calibration.drawn(32, seed=3)
    result = convert.convert(
        source, network, calibration.drawn(64, seed=2), held_out, "calibrated on drawn faces", folder
    )
    print(f"{source.name}: {result.model.stat().st_size / 1e6:.2f} MB, {time.monotonic() - started:.0f} s", flush=True)
    print(f"  Python: {result.difference}", flush=True)
    if result.floating:
        print(f"  in floating point: {result.floating}", flush=True)
    if library:
        inputs = [calibration.prepare(face, network) for face in held_out]
        classes = len(network.labels)
        reference = convert.TorchRunner(convert.load(source, network), network)
        expected = compare.outputs_of(reference, inputs, classes)
        for xnnpack in (True, False):
            runner = CRunner(result.model, library, xnnpack)
            runner(inputs[0])
            began = time.perf_counter()
            found = compare.difference(expected, compare.outputs_of(runner, inputs, classes))
            milliseconds = (time.perf_counter() - began) / len(inputs) * 1000
            kernels = "XNNPACK" if xnnpack else "plain kernels"
            print(f"  C {runner.version}, {kernels}, {milliseconds:.1f} ms: {found}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
