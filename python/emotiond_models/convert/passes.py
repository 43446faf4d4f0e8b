"""Changes to an exported float file, after which it computes the same in fewer or smaller steps."""

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..flatbuffer import kind_of, new_operator, packed, read_model

_OP, _RELU = schema.BuiltinOperator, schema.ActivationFunctionType.RELU
_WEIGHED = (_OP.CONV_2D, _OP.DEPTHWISE_CONV_2D, _OP.FULLY_CONNECTED)


def with_prelu(content: bytes) -> bytes:
    """Every PReLU as the one operator PRELU. The exporter writes it as relu(x) - slope·relu(-x), in four operators, one of
    which (a RELU of its own) XNNPACK does not take in int8."""
    model = read_model(content)
    graph = model.subgraphs[0]
    made_by = {int(i): operator for operator in graph.operators for i in operator.outputs}
    used = [int(i) for operator in graph.operators for i in operator.inputs]
    for place, last in enumerate(graph.operators):
        if found := _prelu(model, made_by, last):
            x, slope = found
            slope = _for_each_channel(model, slope, int(graph.tensors[x].shape[-1]))
            graph.operators[place] = new_operator(
                model, _OP.PRELU, 1, [x, slope], int(last.outputs[0]), schema.BuiltinOptions.NONE, None
            )
            for i in last.inputs:  # nothing else may read what is left out
                assert used.count(int(i)) == 1, "a part of a PReLU is used elsewhere"
    _drop_unused(model)
    return packed(model)


def _prelu(model: schema.ModelT, made_by: dict, last: schema.OperatorT) -> tuple[int, int] | None:
    """Which tensor and which slopes, if `last` is the end of a PReLU."""
    if kind_of(model, last) != _OP.SUB:
        return None
    positive, scaled = (made_by.get(int(i)) for i in last.inputs)
    if positive is None or scaled is None or kind_of(model, positive) != _OP.RELU or kind_of(model, scaled) != _OP.MUL:
        return None
    x = int(positive.inputs[0])
    for part, slope in (scaled.inputs, scaled.inputs[::-1]):
        negative = made_by.get(int(part))
        if negative is None or kind_of(model, negative) != _OP.MUL:
            continue
        if negative.builtinOptions.fusedActivationFunction != _RELU or int(negative.inputs[0]) != x:
            continue
        minus = constant(model, int(negative.inputs[1]))
        slopes = constant(model, int(slope))
        if minus is not None and np.all(minus == -1) and slopes is not None:
            return x, int(slope)
    return None


def _for_each_channel(model: schema.ModelT, slope: int, channels: int) -> int:
    """The tensor of slopes, as many as there are channels: XNNPACK takes no others, and equal ones are exported as one."""
    slopes = constant(model, slope)
    if slopes.size == channels:
        return slope
    tensor, buffer = schema.TensorT(), schema.BufferT()
    tensor.name, tensor.type = model.subgraphs[0].tensors[slope].name + b"_each", schema.TensorType.FLOAT32
    tensor.shape, tensor.buffer = [1, 1, 1, channels], len(model.buffers)
    buffer.data = np.frombuffer(np.full(channels, slopes.item(), np.float32).tobytes(), np.uint8)
    model.buffers.append(buffer)
    model.subgraphs[0].tensors.append(tensor)
    return len(model.subgraphs[0].tensors) - 1


def constant(model: schema.ModelT, tensor: int) -> np.ndarray | None:
    """The float32 values of a constant tensor; `None` of one that is computed or of another type."""
    described = model.subgraphs[0].tensors[tensor]
    data = model.buffers[described.buffer].data
    if described.type != schema.TensorType.FLOAT32 or data is None or not len(data):
        return None
    shape = () if described.shape is None else tuple(described.shape)
    return np.frombuffer(bytes(data), np.float32).reshape(shape)


def _drop_unused(model: schema.ModelT) -> None:
    """Operators that nothing reads any more, the last of a chain first, and tensors that no operator has."""
    graph = model.subgraphs[0]
    before = None
    while before != len(graph.operators):
        before = len(graph.operators)
        read = {int(i) for operator in graph.operators for i in operator.inputs} | {int(i) for i in graph.outputs}
        graph.operators = [operator for operator in graph.operators if read & {int(i) for i in operator.outputs}]
    named = read | {int(i) for operator in graph.operators for i in operator.outputs} | {int(i) for i in graph.inputs}
    kept = sorted(named - {-1})
    number = {old: new for new, old in enumerate(kept)} | {-1: -1}
    graph.tensors = [graph.tensors[i] for i in kept]
    for holder in (graph, *graph.operators):
        holder.inputs = [number[int(i)] for i in holder.inputs]
        holder.outputs = [number[int(i)] for i in holder.outputs]
    for signature in model.signatureDefs or ():
        for entry in (*signature.inputs, *signature.outputs):
            entry.tensorIndex = number[entry.tensorIndex]


def with_float16(content: bytes) -> bytes:
    """The weights of convolutions and dense layers as float16, each with a DEQUANTIZE, which XNNPACK runs once, when it
    takes the file: half the size, the arithmetic and nearly the values of float32."""
    model = read_model(content)
    graph = model.subgraphs[0]
    before, done = [], set()
    for operator in graph.operators:
        weights = int(operator.inputs[1]) if kind_of(model, operator) in _WEIGHED else -1
        values = constant(model, weights) if weights >= 0 and weights not in done else None
        if values is None:
            continue
        done.add(weights)
        whole = graph.tensors[weights]
        half, buffer = schema.TensorT(), schema.BufferT()
        half.name, half.shape, half.type = whole.name + b"_float16", whole.shape, schema.TensorType.FLOAT16
        buffer.data = np.frombuffer(values.astype(np.float16).tobytes(), np.uint8)
        half.buffer, whole.buffer = len(model.buffers), 0
        model.buffers.append(buffer)
        graph.tensors.append(half)
        before.append(
            new_operator(model, _OP.DEQUANTIZE, 3, [len(graph.tensors) - 1], weights,
                         schema.BuiltinOptions.DequantizeOptions, schema.DequantizeOptionsT())
        )  # fmt: skip
    graph.operators = before + graph.operators
    _drop_data(model)
    return packed(model)


def _drop_data(model: schema.ModelT) -> None:
    """The bytes of buffers that no tensor has any more."""
    used = {tensor.buffer for graph in model.subgraphs for tensor in graph.tensors}
    used |= {entry.buffer for entry in model.metadata or ()}
    for i, buffer in enumerate(model.buffers):
        if i not in used:
            buffer.data = None
