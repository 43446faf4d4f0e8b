"""TensorFlow Lite files as bytes: reading weights and operators, and moving weights inside the flatbuffer.

ai-edge-quantizer writes weights after the flatbuffer's end and points to them with `Buffer.offset/size`. The C library
of TensorFlow Lite 2.17 does not follow these: it fails with "Input tensor N lacks data" when tensors are allocated.
"""

from collections import Counter

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

IDENTIFIER = b"TFL3"
ALIGNMENT = 16  # of weights; the schema's `force_align`, which the generated Python code does not keep

_LAYERS = {
    schema.BuiltinOperator.CONV_2D: "plain",
    schema.BuiltinOperator.DEPTHWISE_CONV_2D: "depthwise",
    schema.BuiltinOperator.FULLY_CONNECTED: "dense",
}
_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
_FLOATS = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)
_STORED = {
    schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32,
}


class AlignedBuffer(schema.BufferT):
    """A buffer whose bytes start at a multiple of ALIGNMENT in the file."""

    def Pack(self, builder: flatbuffers.Builder) -> int:
        content = None
        if self.data is not None and len(self.data):
            raw = bytes(self.data)
            builder.StartVector(1, len(raw), ALIGNMENT)
            builder.head -= len(raw)
            builder.Bytes[builder.head : builder.head + len(raw)] = raw
            content = builder.EndVector()
        schema.BufferStart(builder)
        if content is not None:
            schema.BufferAddData(builder, content)
        return schema.BufferEnd(builder)


def read_model(content: bytes) -> schema.ModelT:
    """The file as objects. Raises `ValueError` if it is another format, damaged or cut short."""
    if content[4:8] != IDENTIFIER:
        raise ValueError(f"not a TensorFlow Lite file: identifier {content[4:8]!r}, expected {IDENTIFIER!r}")
    try:
        model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))
    except Exception as error:  # the generated reader checks nothing: what damage leads to is any exception at all
        raise ValueError(
            f"damaged or cut short: {len(content)} bytes do not read as a TensorFlow Lite file ({error}); "
            "fetch or export it again"
        ) from error
    for i in outside_buffers(model):
        end = model.buffers[i].offset + model.buffers[i].size
        if end > len(content):
            raise ValueError(
                f"cut short: the weights of buffer {i} end at byte {end} of a file of {len(content)}; "
                "fetch or export it again"
            )
    return model


def outside_buffers(model: schema.ModelT) -> list[int]:
    """Indices of the buffers whose bytes lie after the flatbuffer (offsets 0 and 1 mean inside or empty)."""
    return [i for i, buffer in enumerate(model.buffers or ()) if buffer.offset > 1]


def inline_buffers(content: bytes) -> bytes:
    """The same model with every buffer inside the flatbuffer."""
    model = read_model(content)
    for i in outside_buffers(model):
        buffer = model.buffers[i]
        buffer.data = content[buffer.offset : buffer.offset + buffer.size]
    return packed(model)


def packed(model: schema.ModelT) -> bytes:
    """The file of a model whose buffers are all inside, their bytes aligned."""
    size = 4096
    for i, buffer in enumerate(model.buffers):
        model.buffers[i] = AlignedBuffer()
        model.buffers[i].data = buffer.data
        size += 0 if buffer.data is None else len(buffer.data)
    builder = flatbuffers.Builder(size)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def resized(content: bytes, have: tuple[int, int], want: tuple[int, int]) -> bytes:
    """A fully convolutional model for another size (width, height) of its input, with the same weights: every tensor
    that is computed, and every size that is written down as a constant, in proportion. Sides have to stay whole."""
    model = read_model(content)

    def scaled(height: int, width: int) -> list[int]:
        wide, tall = divmod(width * want[0], have[0]), divmod(height * want[1], have[1])
        if wide[1] or tall[1]:
            raise ValueError(f"a layer of {width} x {height} has no whole size at an input of {want[0]} x {want[1]}")
        return [tall[0], wide[0]]

    for tensor in model.subgraphs[0].tensors:
        shape, stored = list(tensor.shape), model.buffers[tensor.buffer]
        constant = stored.data is not None and len(stored.data)
        if len(shape) == 4 and not constant:
            tensor.shape = [shape[0], *scaled(*shape[1:3]), shape[3]]
        elif shape == [2] and constant and tensor.type == schema.TensorType.INT32:
            stored.data = np.array(scaled(*np.frombuffer(bytes(stored.data), np.int32)), np.int32).tobytes()
    return packed(model)


def with_embedding(content: bytes) -> tuple[bytes, int]:
    """The same model with one more output, the last: what goes into the last layer, which describes the face as a whole.
    Returns the file and the output's number. Raises `ValueError` if the outputs do not come from one such tensor."""
    model = read_model(content)
    graph = model.subgraphs[0]
    made_by = {i: operator for operator in graph.operators for i in operator.outputs}
    found = set()
    for output in graph.outputs:
        tensor = output
        # Back through what only changes the form of the scores, to the layer that makes them.
        while (operator := made_by.get(tensor)) is not None and kind_of(model, operator) not in _LAYERS:
            tensor = operator.inputs[0]
        if operator is not None:
            found.add(int(operator.inputs[0]))
    if len(found) != 1:
        names = [graph.tensors[i].name.decode() for i in sorted(found)]
        raise ValueError(f"the outputs come from {len(found)} tensors, not from one embedding: {', '.join(names)}")
    graph.outputs = [int(i) for i in graph.outputs] + list(found)
    # It would name the outputs that were there before, and emotiond does not ask for it.
    model.signatureDefs = None
    for i, buffer in enumerate(model.buffers):
        model.buffers[i] = AlignedBuffer()
        model.buffers[i].data = buffer.data
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output()), len(graph.outputs) - 1


def operators(content: bytes) -> tuple[Counter, Counter]:
    """How often each operator occurs, and, apart, those that compute in floating point."""
    model = read_model(content)
    graph = model.subgraphs[0]
    every, floating = Counter(), Counter()
    for operator in graph.operators:
        name = _NAMES[kind_of(model, operator)]
        every[name] += 1
        if any(graph.tensors[i].type in _FLOATS for i in operator.outputs):
            floating[name] += 1
    return every, floating


def layers(content: bytes) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Weights and biases, float32, of a float or int8 model's convolutions and dense layers, in the order of its
    operators. Raises `ValueError` if one of them has no constant weight or bias."""
    model = read_model(content)
    graph = model.subgraphs[0]
    found = {kind: [] for kind in _LAYERS.values()}
    for operator in graph.operators:
        kind = _LAYERS.get(kind_of(model, operator))
        if kind:
            inputs = list(operator.inputs[1:3])
            if len(inputs) < 2 or -1 in inputs:  # -1: an input that may be left out, and is
                raise ValueError(f"{kind} layer {len(found[kind])} has no bias")
            weight, bias = (_real(model, graph.tensors[i]) for i in inputs)
            found[kind].append((weight, bias))
    return found


def new_operator(model: schema.ModelT, builtin: int, version: int, inputs: list[int], output: int, kind: int,
                 options) -> schema.OperatorT:
    """An operator of a model, which is yet to be put into its graph; its code is added where the model has none.

    `builtin` is a `BuiltinOperator`, `kind` a `BuiltinOptions`.
    """
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    if builtin not in codes:
        entry = schema.OperatorCodeT()
        entry.builtinCode, entry.version = builtin, version
        entry.deprecatedBuiltinCode = min(builtin, 127)
        model.operatorCodes.append(entry)
        codes.append(builtin)
    operator = schema.OperatorT()
    operator.opcodeIndex, operator.inputs, operator.outputs = codes.index(builtin), inputs, [output]
    operator.builtinOptionsType, operator.builtinOptions = kind, options
    return operator


def kind_of(model: schema.ModelT, operator: schema.OperatorT) -> int:
    """A `BuiltinOperator`; old files hold it in the deprecated field alone, which ends at 127."""
    code = model.operatorCodes[operator.opcodeIndex]
    return max(code.builtinCode, code.deprecatedBuiltinCode)


def _real(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray:
    data = model.buffers[tensor.buffer].data
    if tensor.type not in _STORED or data is None:
        raise ValueError(f"{tensor.name!r} is no constant of float32, int8 or int32")
    values = np.frombuffer(bytes(data), _STORED[tensor.type]).reshape(tensor.shape)
    steps = tensor.quantization
    if steps is None or steps.scale is None or not len(steps.scale):
        return values.astype(np.float32)
    shape = [1] * values.ndim
    shape[steps.quantizedDimension] = len(steps.scale)
    return ((values - np.reshape(steps.zeroPoint, shape)) * np.reshape(steps.scale, shape)).astype(np.float32)
