"""Writes the network as an int8 TensorFlow Lite file, operator by operator.

Only operators that XNNPACK computes in int8 are used, but for the enlarging of the neck (nearest neighbour), which
is TensorFlow Lite's own and copies bytes.
"""

from dataclasses import dataclass

import flatbuffers
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema

from ..flatbuffer import AlignedBuffer, new_operator
from .decode import STRIDES
from .network import LEVELS, PATCH, YuNet
from .rounding import Int8, weight_steps

IDENTIFIER = b"TFL3"
RELU = schema.ActivationFunctionType.RELU
NONE = schema.ActivationFunctionType.NONE


@dataclass
class _Made:
    """A tensor of the graph: its index, and the activation whose steps it has."""

    tensor: int
    steps: str
    height: int
    width: int
    channels: int


class _Writer:
    def __init__(self, net: YuNet, steps: Int8, width: int, height: int):
        self.net, self.steps, self.layers = net, steps, net.layers()
        self.model = schema.ModelT()
        self.model.version = 3
        self.model.description = "emotiond-face"
        self.model.buffers, self.model.operatorCodes = [_buffer(None)], []
        self.graph = schema.SubGraphT()
        self.graph.name = b"main"
        self.graph.tensors, self.graph.operators = [], []
        self.model.subgraphs = [self.graph]
        self.input = self._activation("image", "input", height, width, 3)

    def _tensor(self, name: str, shape, kind: int, scales, zeros, data: np.ndarray | None = None) -> int:
        tensor = schema.TensorT()
        tensor.name, tensor.shape, tensor.type = name.encode(), [int(v) for v in shape], kind
        if scales is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = [float(v) for v in scales]
            tensor.quantization.zeroPoint = [int(v) for v in zeros]
        tensor.buffer = 0
        if data is not None:
            self.model.buffers.append(_buffer(data))
            tensor.buffer = len(self.model.buffers) - 1
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def _activation(self, name: str, steps: str, height: int, width: int, channels: int) -> _Made:
        index = self._tensor(name, (1, height, width, channels), schema.TensorType.INT8,
                             [self.steps.scale(steps)], [self.steps.zeros[steps]])
        return _Made(index, steps, height, width, channels)

    def _operator(self, code: int, inputs: list[int], output: int, kind: int, options) -> None:
        self.graph.operators.append(
            new_operator(self.model, code, _VERSIONS[code], inputs, output, kind, options))

    def conv(self, x: _Made, name: str, activation: int) -> _Made:
        layer = self.layers[name]
        weight, scales = layer.weight.detach(), weight_steps(layer.weight)
        q = (weight / scales.view(-1, 1, 1, 1)).round().clamp(-127, 127).to(torch.int8).numpy()
        depthwise = layer.groups > 1
        q = q.transpose(1, 2, 3, 0) if depthwise else q.transpose(0, 2, 3, 1)
        stride = layer.stride[0]
        if name == "stem" and self.net.trunk == PATCH:
            # The patches' pixels become channels, and the convolution one of 1×1: for those XNNPACK needs, counted on
            # Cortex-A53, about a quarter of the instructions a multiplication that it needs for larger kernels.
            x, q, stride = self.patches(x, stride), q.reshape(len(q), 1, 1, -1), 1
        total = scales.double().numpy() * self.steps.scale(x.steps)
        bias = np.rint(layer.bias.detach().double().numpy() / total)
        if np.abs(bias).max() >= 2**31:
            raise ValueError(f"a bias of {name} does not fit 32 bits: one of its channels has next to no weights")
        w = self._tensor(f"{name}/weight", q.shape, schema.TensorType.INT8, scales, [0] * len(scales), q)
        self.graph.tensors[w].quantization.quantizedDimension = 3 if depthwise else 0
        b = self._tensor(f"{name}/bias", bias.shape, schema.TensorType.INT32, total, [0] * len(total), bias.astype(np.int32))
        out = self._activation(name, name, x.height // stride, x.width // stride, layer.out_channels)
        if depthwise:
            options = schema.DepthwiseConv2DOptionsT()
            options.depthMultiplier = 1
            code, kind = schema.BuiltinOperator.DEPTHWISE_CONV_2D, schema.BuiltinOptions.DepthwiseConv2DOptions
        else:
            options = schema.Conv2DOptionsT()
            code, kind = schema.BuiltinOperator.CONV_2D, schema.BuiltinOptions.Conv2DOptions
        options.padding, options.strideW, options.strideH = schema.Padding.SAME, stride, stride
        options.dilationWFactor = options.dilationHFactor = 1
        options.fusedActivationFunction = activation
        self._operator(code, [x.tensor, w, b], out.tensor, kind, options)
        return out

    def patches(self, x: _Made, side: int) -> _Made:
        """Every square of side × side pixels as the channels of one, row by row."""
        out = self._activation("patches", x.steps, x.height // side, x.width // side, x.channels * side * side)
        options = schema.SpaceToDepthOptionsT()
        options.blockSize = side
        self._operator(schema.BuiltinOperator.SPACE_TO_DEPTH, [x.tensor], out.tensor,
                       schema.BuiltinOptions.SpaceToDepthOptions, options)
        return out

    def unit(self, i: int, x: _Made) -> _Made:
        return self.conv(self.conv(x, f"point{i}", NONE), f"depth{i}", RELU)

    def halve(self, x: _Made) -> _Made:
        out = self._activation(f"pool_{x.steps}", x.steps, x.height // 2, x.width // 2, x.channels)
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.VALID
        options.strideW = options.strideH = options.filterWidth = options.filterHeight = 2
        self._operator(schema.BuiltinOperator.MAX_POOL_2D, [x.tensor], out.tensor, schema.BuiltinOptions.Pool2DOptions, options)
        return out

    def double(self, x: _Made) -> _Made:
        size = self._tensor(f"size_{x.steps}", (2,), schema.TensorType.INT32, None, None,
                            np.array([x.height * 2, x.width * 2], np.int32))
        out = self._activation(f"double_{x.steps}", x.steps, x.height * 2, x.width * 2, x.channels)
        self._operator(schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR, [x.tensor, size], out.tensor,
                       schema.BuiltinOptions.ResizeNearestNeighborOptions, schema.ResizeNearestNeighborOptionsT())
        return out

    def add(self, a: _Made, b: _Made, name: str) -> _Made:
        out = self._activation(name, name, a.height, a.width, a.channels)
        self._operator(schema.BuiltinOperator.ADD, [a.tensor, b.tensor], out.tensor, schema.BuiltinOptions.AddOptions,
                       schema.AddOptionsT())
        return out

    def finish(self, outputs: list[_Made]) -> bytes:
        self.graph.inputs, self.graph.outputs = [self.input.tensor], [x.tensor for x in outputs]
        builder = flatbuffers.Builder(1 << 17)
        builder.Finish(self.model.Pack(builder), IDENTIFIER)
        return bytes(builder.Output())


# The least version of each operator that takes int8.
_VERSIONS = {
    schema.BuiltinOperator.CONV_2D: 3, schema.BuiltinOperator.DEPTHWISE_CONV_2D: 3,
    schema.BuiltinOperator.MAX_POOL_2D: 2, schema.BuiltinOperator.RESIZE_NEAREST_NEIGHBOR: 2,
    schema.BuiltinOperator.ADD: 2, schema.BuiltinOperator.SPACE_TO_DEPTH: 2,
}


def _buffer(data: np.ndarray | None) -> schema.BufferT:
    buffer = AlignedBuffer()
    buffer.data = None if data is None else np.ascontiguousarray(data).tobytes()
    return buffer


@torch.no_grad()
def write(net: YuNet, steps: Int8, width: int, height: int) -> bytes:
    """The file: input `image` int8 `[1, height, width, 3]`, outputs `stride8`, `stride16` and `stride32`."""
    if width % STRIDES[-1] or height % STRIDES[-1]:
        raise ValueError(f"{width}×{height} is no multiple of {STRIDES[-1]} in both directions")
    writer = _Writer(net, steps, width, height)
    x = writer.conv(writer.input, "stem", RELU)
    i, trunk = 0, []
    for group, units in enumerate(net.trunk):
        if group:
            x = writer.halve(x)
        for _ in range(units):
            x = writer.unit(i, x)
            i += 1
        trunk.append(x)
    neck = [writer.unit(i, trunk[-1])]
    for finer in (trunk[-2], trunk[-3]):
        i += 1
        neck.insert(0, writer.unit(i, writer.add(finer, writer.double(neck[0]), f"sum{i}")))
    outputs = []
    for level in range(LEVELS):
        x = neck[level]
        if len(net.points) > net.neck_end:
            x = writer.unit(net.neck_end + level, x)
        x = writer.conv(writer.conv(x, f"head_point{level}", NONE), f"head_depth{level}", NONE)
        writer.graph.tensors[x.tensor].name = f"stride{STRIDES[level]}".encode()
        outputs.append(x)
    return writer.finish(outputs)
