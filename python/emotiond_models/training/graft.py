"""Puts another action-unit head, or one other row of the expressions' layer, into a finished int8 file; every other byte
of its weights stays as it is.

The old head is the dense layer that makes the action units' output. In its place come a 1 x 1 convolution with ReLU6,
which reads the map below the last strided depthwise convolution, and a dense layer of all its values; between them they
are laid in a row, which XNNPACK asks for.
"""

import copy

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..flatbuffer import kind_of, new_operator, packed, read_model
from .contract import LABELS, UNITS

STEPS = 127  # of int8 weights, either side of zero
TOP = 6.0  # of ReLU6
OPERATOR = schema.BuiltinOperator


def graft(content: bytes, head: dict[str, np.ndarray], logits: tuple[float, float]) -> bytes:
    """The file with this head (`UnitHead.folded`), whose logits lie between these two values.

    Raises `ValueError` if the file is not a network of this package, or the head does not fit it.
    """
    model = read_model(content)
    graph = model.subgraphs[0]
    tensors = graph.tensors
    old = [o for o in graph.operators if kind_of(model, o) == OPERATOR.FULLY_CONNECTED
           and tensors[o.outputs[0]].shape[-1] == len(UNITS)]
    strided = [o for o in graph.operators if kind_of(model, o) == OPERATOR.DEPTHWISE_CONV_2D
               and o.builtinOptions.strideH == 2]
    if len(old) != 1 or not strided:
        raise ValueError(f"{len(old)} dense layers of {len(UNITS)} outputs and {len(strided)} strided depthwise "
                         "convolutions: not an int8 file of this package")
    dense, source = old[0], int(strided[-1].inputs[0])
    side, channels = int(tensors[source].shape[1]), int(tensors[source].shape[3])
    thin = len(head["thin"])
    if head["thin"].shape != (thin, channels) or head["dense"].shape != (len(UNITS), side * side * thin):
        raise ValueError(f"a head of {head['thin'].shape} and {head['dense'].shape} does not fit a map of "
                         f"{side} x {side} x {channels}")
    maker = {int(o.outputs[0]): o for o in graph.operators}
    plain, earlier = maker[source], maker[int(dense.inputs[0])]
    while kind_of(model, earlier) in (OPERATOR.RESHAPE, OPERATOR.CONV_2D):  # of an earlier graft
        graph.operators.remove(earlier)
        earlier = maker[int(earlier.inputs[0])]
        if int(earlier.outputs[0]) == source:
            break

    def stored(name: str, values: np.ndarray, scale: np.ndarray) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(values.tobytes(), np.uint8)
        model.buffers.append(buffer)
        kind = schema.TensorType.INT32 if values.dtype == np.int32 else schema.TensorType.INT8
        return added(name, values.shape, kind, scale, np.zeros(len(scale), np.int64), len(model.buffers) - 1)

    def added(name: str, shape, kind, scale, zero, buffer: int = 0) -> int:
        tensor = copy.copy(tensors[source])
        tensor.name, tensor.shape, tensor.type, tensor.buffer = f"units/{name}".encode(), np.array(shape, np.int32), kind, buffer
        tensor.shapeSignature = None
        tensor.quantization = schema.QuantizationParametersT()
        tensor.quantization.scale = np.asarray(scale, np.float32)
        tensor.quantization.zeroPoint = np.asarray(zero, np.int64)
        tensor.quantization.quantizedDimension = 0
        tensors.append(tensor)
        return len(tensors) - 1

    def reshaped(source: int, target: int) -> schema.OperatorT:
        shape = np.array(tensors[target].shape, np.int32)
        constant = stored("shape", shape, np.empty(0))
        tensors[constant].quantization = None
        options = schema.ReshapeOptionsT()
        options.newShape = shape
        return new_operator(model, OPERATOR.RESHAPE, 1, [source, constant], target, schema.BuiltinOptions.ReshapeOptions, options)

    def weighted(name: str, weight: np.ndarray, bias: np.ndarray, shape, step: float) -> list[int]:
        """Weight and bias of a layer whose input has this step, rounded, one scale an output."""
        scale = np.maximum(np.abs(weight).max(1), 1e-9) / STEPS
        whole = np.round(weight / scale[:, None]).astype(np.int8).reshape(shape)
        return [stored(name, whole, scale), stored(f"{name}_bias", np.round(bias / (scale * step)).astype(np.int32), scale * step)]

    def step_of(tensor: int) -> float:
        return float(tensors[tensor].quantization.scale[0])

    convolution = copy.deepcopy(plain)
    convolution.inputs = [source, *weighted("thin", head["thin"], head["thin_bias"], (thin, 1, 1, channels), step_of(source))]
    middle = added("hidden", (1, side, side, thin), schema.TensorType.INT8, [TOP / 255], [-128])
    convolution.outputs = [middle]
    flat = added("flat", (1, side * side * thin), schema.TensorType.INT8, [TOP / 255], [-128])
    dense.inputs = [flat, *weighted("dense", head["dense"], head["dense_bias"], head["dense"].shape, TOP / 255)]
    low, high = min(logits[0], 0.0), max(logits[1], 0.0)
    step = (high - low) / 255
    out = tensors[dense.outputs[0]].quantization
    out.scale, out.zeroPoint = np.array([step], np.float32), np.array([round(-128 - low / step)], np.int64)
    graph.operators.remove(dense)
    graph.operators += [convolution, reshaped(middle, flat), dense]
    used = {int(i) for o in graph.operators for i in (*o.inputs, *o.outputs)}
    for i, tensor in enumerate(tensors):
        if i not in used and tensor.buffer:
            model.buffers[tensor.buffer].data = None  # the old head's weights
    return packed(model)


def regraft_row(content: bytes, row: int, weight: np.ndarray, bias: float) -> bytes:
    """The file whose dense layer of the expressions has this weight `[channels]` and bias in one of its rows.

    Raises `ValueError` if the file has no such layer, or one of another width.
    """
    model = read_model(content)
    tensors = model.subgraphs[0].tensors
    dense = [o for o in model.subgraphs[0].operators if kind_of(model, o) == OPERATOR.FULLY_CONNECTED
             and tensors[o.outputs[0]].shape[-1] == len(LABELS)]
    if len(dense) != 1 or tuple(tensors[dense[0].inputs[1]].shape) != (len(LABELS), len(weight)):
        raise ValueError(f"{len(dense)} dense layers of {len(LABELS)} outputs, or none that reads {len(weight)} values: "
                         "not an int8 file of this package")
    source, *stored = (tensors[i] for i in dense[0].inputs)
    step = float(source.quantization.scale[0])
    scale = max(float(np.abs(weight).max()), 1e-9) / STEPS
    for tensor, values, one in ((stored[0], np.round(weight / scale), scale), (stored[1], [round(bias / (scale * step))], scale * step)):
        whole = np.int8 if tensor.type == schema.TensorType.INT8 else np.int32
        buffer = model.buffers[tensor.buffer]
        kept = np.frombuffer(bytes(buffer.data), whole).reshape(len(LABELS), -1).copy()
        kept[row] = np.asarray(values).astype(whole)
        buffer.data = np.frombuffer(kept.tobytes(), np.uint8)
        tensor.quantization.scale = np.array(tensor.quantization.scale, np.float32)
        tensor.quantization.scale[row] = one
    return packed(model)
