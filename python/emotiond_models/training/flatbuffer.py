"""Move weights that a quantizer left behind the flatbuffer back inside it.

ai-edge-quantizer writes weights after the flatbuffer's end and points to them with
`Buffer.offset/size`. The C API of TensorFlow Lite 2.17 does not follow these: it
fails with "Input tensor N lacks data" when tensors are allocated.
"""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

IDENTIFIER = b"TFL3"
ALIGNMENT = 16  # of weights; the schema's `force_align`, which the generated Python code does not keep


class _AlignedBuffer(schema.BufferT):
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
    if content[4:8] != IDENTIFIER:
        raise ValueError(f"not a TensorFlow Lite file: identifier {content[4:8]!r}, expected {IDENTIFIER!r}")
    return schema.ModelT.InitFromObj(schema.Model.GetRootAs(content, 0))


def outside_buffers(model: schema.ModelT) -> list[int]:
    """Indices of the buffers whose bytes lie after the flatbuffer (offsets 0 and 1 mean inside)."""
    return [i for i, buffer in enumerate(model.buffers) if buffer.offset and buffer.offset > 1]


def inline_buffers(content: bytes) -> bytes:
    """The same model with every buffer inside the flatbuffer."""
    model = read_model(content)
    for i in outside_buffers(model):
        buffer = model.buffers[i]
        end = buffer.offset + buffer.size
        if end > len(content):
            raise ValueError(f"buffer {i} ends at byte {end} of a file of {len(content)}: the file is cut short")
        buffer.data = content[buffer.offset : end]
    for i, buffer in enumerate(model.buffers):
        model.buffers[i] = _AlignedBuffer()
        model.buffers[i].data = buffer.data
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())


def layers(content: bytes) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Weights and biases, float32, of a float or int8 model's convolutions and dense layers, in the order of its operators."""
    kinds = {schema.BuiltinOperator.CONV_2D: "plain", schema.BuiltinOperator.DEPTHWISE_CONV_2D: "depthwise",
             schema.BuiltinOperator.FULLY_CONNECTED: "dense"}
    model = read_model(content)
    graph = model.subgraphs[0]
    found = {kind: [] for kind in kinds.values()}
    for operator in graph.operators:
        kind = kinds.get(model.operatorCodes[operator.opcodeIndex].builtinCode)
        if kind:
            weight, bias = (_real(model, graph.tensors[i]) for i in operator.inputs[1:3])
            found[kind].append((weight, bias))
    return found


def _real(model: schema.ModelT, tensor: schema.TensorT) -> np.ndarray:
    kinds = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32}
    values = np.frombuffer(bytes(model.buffers[tensor.buffer].data), kinds[tensor.type]).reshape(tensor.shape)
    steps = tensor.quantization
    if steps is None or steps.scale is None or not len(steps.scale):
        return values.astype(np.float32)
    shape = [1] * values.ndim
    shape[steps.quantizedDimension] = len(steps.scale)
    return ((values - np.reshape(steps.zeroPoint, shape)) * np.reshape(steps.scale, shape)).astype(np.float32)
