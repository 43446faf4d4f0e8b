"""Move weights that a quantizer left behind the flatbuffer back inside it.

ai-edge-quantizer writes weights after the flatbuffer's end and points to them with
`Buffer.offset/size`. The C API of TensorFlow Lite 2.17 does not follow these: it
fails with "Input tensor N lacks data" when tensors are allocated.
"""

import flatbuffers
from ai_edge_litert import schema_py_generated as schema

IDENTIFIER = b"TFL3"


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
        buffer.data = list(content[buffer.offset : end])
    for buffer in model.buffers:
        buffer.offset = buffer.size = 0
    builder = flatbuffers.Builder(len(content) + 4096)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
