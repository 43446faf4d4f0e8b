"""Reading the published ONNX files into PyTorch, at batch 1 and with every shape fixed."""

import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnx2torch
import onnxruntime
import torch
from torch import Tensor, fx, nn
from torch.fx.experimental.proxy_tensor import make_fx

from . import ConversionError
from .rewrite import prelu_form, softmax_flat, split_head

# Largest difference to ONNX Runtime, in units of the largest output, that rounding explains.
_TOLERANCE = 1e-3


def read(path: Path, size: int, classes: int, outputs: int) -> nn.Module:
    """The network of an ONNX file as a module from 1×3×`size`×`size` to (1×`classes`[, 1×2]).

    Raises `ConversionError` if the file is no ONNX, takes another input or gives other outputs than the published
    network does.
    """
    if not path.is_file():
        raise ConversionError(f"there is no file {path}")
    try:
        model = onnx.load(path)
        onnx.checker.check_model(model)
    except Exception as error:  # protobuf, checker and decoding errors share no base class
        raise ConversionError(f"{path} is not an ONNX file (an interrupted download?): {error}") from error
    _fix_input(model, path, size)
    network = onnx2torch.convert(_fold_constants(model)).eval()
    _keep_output(network, path, size, outputs)
    if outputs > classes:
        split_head(network, _last_linear(network, path, outputs), classes)
    recorded = _record(network, size)
    _check_against_runtime(recorded, model, path, size)
    return recorded


def _record(network: nn.Module, size: int) -> fx.GraphModule:
    """The operations alone: onnx2torch hands constants (pads, shapes, axes) around as tensors, which the exporter
    cannot digest.

    The tensors are read while one picture runs through; should one depend on the picture, the check against ONNX
    Runtime on another picture shows it.
    """
    rewritten = {
        torch.ops.aten._prelu_kernel.default: prelu_form,
        torch.ops.aten._softmax.default: softmax_flat,
    }
    with torch.no_grad():
        record = make_fx(network, decomposition_table=rewritten, _error_on_data_dependent_ops=False)
        recorded = record(torch.zeros(1, 3, size, size))
    bilinear = torch.ops.aten.upsample_bilinear2d
    for node in recorded.graph.nodes:
        if node.target is bilinear.default:  # the exporter has an operation for the other form alone
            node.target, node.args, node.kwargs = bilinear.vec, (*node.args[:3], None), {}
    recorded.graph.eliminate_dead_code()  # the readings
    recorded.recompile()
    return recorded


def _fix_input(model: onnx.ModelProto, path: Path, size: int) -> None:
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    if len(inputs) != 1:
        raise ConversionError(f"{path} takes {len(inputs)} inputs, a face network takes one")
    shape = inputs[0].type.tensor_type.shape.dim
    found = [dim.dim_value or 0 for dim in shape]
    expected = [1, 3, size, size]
    if len(found) != 4 or any(have not in (0, want) for have, want in zip(found[1:], expected[1:])):
        raise ConversionError(f"{path} takes {found}, expected batch×3×{size}×{size}: does it need another --network?")
    for dim, value in zip(shape, expected):
        dim.dim_value = value
    del model.graph.value_info[:]  # shapes noted for another batch


def _fold_constants(model: onnx.ModelProto) -> onnx.ModelProto:
    """Let ONNX Runtime compute what depends on constants alone; keeps standard operators only."""
    with tempfile.TemporaryDirectory() as folder:
        folded = Path(folder) / "folded.onnx"
        options = onnxruntime.SessionOptions()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
        options.optimized_model_filepath = str(folded)
        options.log_severity_level = 3
        onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
        return onnx.load(folded)


def _keep_output(network: fx.GraphModule, path: Path, size: int, outputs: int) -> None:
    """Drop every output (DDAMFN's attention maps) but the scores."""
    result = next(node for node in network.graph.nodes if node.op == "output")
    values = result.args[0] if isinstance(result.args[0], (tuple, list)) else [result.args[0]]
    with torch.no_grad():
        tensors = network(torch.zeros(1, 3, size, size))
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    fitting = [i for i, tensor in enumerate(tensors) if tuple(tensor.shape) == (1, outputs)]
    if len(fitting) != 1:
        shapes = [tuple(tensor.shape) for tensor in tensors]
        raise ConversionError(f"{path} gives {shapes}, expected one 1×{outputs}: does it need another --network?")
    result.args = (values[fitting[0]],)
    network.graph.eliminate_dead_code()
    network.recompile()


def _check_against_runtime(network: nn.Module, model: onnx.ModelProto, path: Path, size: int) -> None:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    x = torch.randn(1, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        outputs = network(x)
    ours = (outputs if isinstance(outputs, Tensor) else torch.cat(list(outputs), 1)).numpy()
    theirs = next(y for y in session.run(None, {session.get_inputs()[0].name: x.numpy()}) if y.shape == ours.shape)
    if not np.abs(ours - theirs).max() <= _TOLERANCE * np.abs(theirs).max():
        raise ConversionError(f"{path} came out in PyTorch with other results than ONNX Runtime gives")


def _last_linear(network: fx.GraphModule, path: Path, outputs: int) -> str:
    result = next(node for node in network.graph.nodes if node.op == "output").args[0]
    layer = network.get_submodule(result.target) if result.op == "call_module" else None
    if not isinstance(layer, nn.Linear) or layer.out_features != outputs:
        raise ConversionError(f"{path} does not end in a linear layer of {outputs}: is it the published file?")
    return result.target
