"""Writes small float networks as TensorFlow Lite files, operator by operator."""

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ..flatbuffer import IDENTIFIER, AlignedBuffer, new_operator

# The least version of each operator that takes floats.
_OPERATORS = {"FULLY_CONNECTED": 1, "SOFTMAX": 1, "RESHAPE": 1, "BATCH_MATMUL": 1}


class Writer:
    """One graph with one input. Tensors are named by their numbers."""

    def __init__(self, description: str, shape: tuple[int, ...]):
        self._model = schema.ModelT()
        self._model.version, self._model.description = 3, description
        self._model.buffers, self._model.operatorCodes = [AlignedBuffer()], []
        self._graph = schema.SubGraphT()
        self._graph.name, self._graph.tensors, self._graph.operators = b"main", [], []
        self._model.subgraphs = [self._graph]
        self.input = self.tensor("input", shape)

    def tensor(self, name: str, shape, data: np.ndarray | None = None) -> int:
        """Adds a float tensor, or one of 32-bit integers if its `data` are."""
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.buffer = name.encode(), [int(n) for n in shape], 0
        integers = data is not None and np.issubdtype(data.dtype, np.integer)
        tensor.type = schema.TensorType.INT32 if integers else schema.TensorType.FLOAT32
        if data is not None:
            buffer = AlignedBuffer()
            buffer.data = np.ascontiguousarray(data, np.int32 if integers else np.float32).tobytes()
            self._model.buffers.append(buffer)
            tensor.buffer = len(self._model.buffers) - 1
        self._graph.tensors.append(tensor)
        return len(self._graph.tensors) - 1

    def dense(self, x: int, weight: np.ndarray, bias: np.ndarray, name: str, relu: bool = False) -> int:
        """`x` times the transpose of `weight` (outputs × inputs), plus `bias`."""
        rows = self._graph.tensors[x].shape[0]
        out = self.tensor(name, (rows, len(bias)))
        options = schema.FullyConnectedOptionsT()
        kinds = schema.ActivationFunctionType
        options.fusedActivationFunction = kinds.RELU if relu else kinds.NONE
        inputs = [x, self.tensor(f"{name}/weight", weight.shape, weight), self.tensor(f"{name}/bias", bias.shape, bias)]
        self._operator("FULLY_CONNECTED", inputs, out, schema.BuiltinOptions.FullyConnectedOptions, options)
        return out

    def reshape(self, x: int, shape: tuple[int, ...], name: str) -> int:
        out = self.tensor(name, shape)
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        sizes = self.tensor(f"{name}/shape", (len(shape),), np.array(shape, np.int32))
        self._operator("RESHAPE", [x, sizes], out, schema.BuiltinOptions.ReshapeOptions, options)
        return out

    def softmax(self, x: int, name: str) -> int:
        out = self.tensor(name, self._graph.tensors[x].shape)
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        self._operator("SOFTMAX", [x], out, schema.BuiltinOptions.SoftmaxOptions, options)
        return out

    def product(self, a: int, b: int, shape: tuple[int, ...], name: str) -> int:
        """The product of two matrices."""
        out = self.tensor(name, shape)
        options = schema.BatchMatMulOptionsT()
        self._operator("BATCH_MATMUL", [a, b], out, schema.BuiltinOptions.BatchMatMulOptions, options)
        return out

    def finish(self, outputs: list[int]) -> bytes:
        self._graph.inputs, self._graph.outputs = [self.input], outputs
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(self._model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())

    def _operator(self, name: str, inputs: list[int], output: int, kind: int, options) -> None:
        builtin = getattr(schema.BuiltinOperator, name)
        self._graph.operators.append(
            new_operator(self._model, builtin, _OPERATORS[name], inputs, output, kind, options))
