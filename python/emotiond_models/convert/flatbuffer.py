"""What is done to TensorFlow Lite files as bytes: moving buffers inside, and looking at types."""

from collections import Counter
from pathlib import Path

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

_IDENTIFIER = b"TFL3"
_OPERATOR_NAMES = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
_FLOATS = (schema.TensorType.FLOAT32, schema.TensorType.FLOAT16)


# The schema asks for this alignment of weights (`force_align`), which the generated Python code does not keep.
_ALIGNMENT = 16


class _AlignedBuffer(schema.BufferT):
    def Pack(self, builder: flatbuffers.Builder) -> int:
        data = None
        if self.data is not None and len(self.data):
            builder.StartVector(1, len(self.data), _ALIGNMENT)
            builder.head -= len(self.data)
            builder.Bytes[builder.head : builder.head + len(self.data)] = bytes(self.data)
            data = builder.EndVector()
        schema.BufferStart(builder)
        if data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


def inline_buffers(data: bytes) -> bytes:
    """Move weights stored after the flatbuffer into it, where TensorFlow Lite 2.17's C library looks for them.

    Without this step the C library stops at `allocate_tensors` with "Input tensor .. lacks data".
    """
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    for i, buffer in enumerate(model.buffers):
        model.buffers[i] = _AlignedBuffer()
        if buffer.offset > 1:  # 0: inside or empty; 1: an empty one stored outside
            model.buffers[i].data = data[buffer.offset : buffer.offset + buffer.size]
        else:
            model.buffers[i].data = buffer.data
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())


def outside_buffers(data: bytes) -> int:
    """Number of buffers stored after the flatbuffer."""
    model = schema.Model.GetRootAs(data, 0)
    return sum(model.Buffers(i).Offset() > 1 for i in range(model.BuffersLength()))


def operators(path: Path) -> tuple[Counter, Counter]:
    """How often each operator occurs, and, apart, those that compute in floating point."""
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(path.read_bytes(), 0))
    graph = model.subgraphs[0]
    every, floating = Counter(), Counter()
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        name = _OPERATOR_NAMES[max(code.builtinCode, code.deprecatedBuiltinCode)]
        every[name] += 1
        if any(graph.tensors[i].type in _FLOATS for i in operator.outputs):
            floating[name] += 1
    return every, floating
