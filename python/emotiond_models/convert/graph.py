"""A TensorFlow Lite file as a PyTorch function, to see what int8 does to it, and to teach it.

Whatever format a network came in, the exported file is what is quantized; so this is where int8 is tried out. Every
value is N×…: the file is made for one picture, and here several go through at once (`Graph.together`), if the network
keeps them apart.
"""

from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from ai_edge_litert import schema_py_generated as schema
from torch import Tensor

from ..flatbuffer import kind_of, packed, read_model
from . import ConversionError

OP = schema.BuiltinOperator
WEIGHED = (OP.CONV_2D, OP.DEPTHWISE_CONV_2D, OP.FULLY_CONNECTED)
_NAMES = {value: name for name, value in vars(OP).items() if isinstance(value, int)}
_TYPES = {
    schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT32: np.int32, schema.TensorType.INT64: np.int64,
}  # fmt: skip
_RELU, _RELU6 = schema.ActivationFunctionType.RELU, schema.ActivationFunctionType.RELU6


class Step:
    """One operator: what it reads and writes, by number of tensor, and what it computes."""

    def __init__(self, kind: int, options, inputs: list[int], outputs: list[int], shape: tuple[int, ...]):
        self.kind, self.options, self.inputs, self.outputs, self.shape = kind, options, inputs, outputs, shape

    def __str__(self) -> str:
        return _NAMES[self.kind]

    @property
    def output(self) -> int:
        return self.outputs[0]

    def __call__(self, values: list[Tensor]) -> Tensor:
        """The output of one operator from its inputs, constants among them."""
        if self.kind not in _COMPUTE:
            raise ConversionError(f"operator {self} is not known here")
        y = _COMPUTE[self.kind](self, *values)
        fused = getattr(self.options, "fusedActivationFunction", 0)
        return F.relu(y) if fused == _RELU else y.clamp(0, 6) if fused == _RELU6 else y


class Graph:
    """The operators and constants of a float file. `constants` may be replaced (float ones only, of the same shape)."""

    def __init__(self, content: bytes):
        self.model = read_model(content)
        graph = self.model.subgraphs[0]
        self.names = [tensor.name.decode() for tensor in graph.tensors]
        self.shapes = [() if t.shape is None else tuple(int(n) for n in t.shape) for t in graph.tensors]
        self.input, self.outputs = int(graph.inputs[0]), [int(i) for i in graph.outputs]
        self.constants: dict[int, Tensor] = {}
        for i, tensor in enumerate(graph.tensors):
            data = self.model.buffers[tensor.buffer].data
            if data is not None and len(data) and tensor.type in _TYPES:
                array = np.frombuffer(bytes(data), _TYPES[tensor.type]).reshape(self.shapes[i])
                self.constants[i] = torch.from_numpy(array.copy())
        self.steps = [
            Step(kind_of(self.model, o), o.builtinOptions, [int(i) for i in o.inputs if i >= 0],
                 [int(i) for i in o.outputs], self.shapes[int(o.outputs[0])])
            for o in graph.operators
        ]  # fmt: skip
        # Where the picture's own 1 is merged with another dimension, a batch has no place.
        computed = [step.output for step in self.steps]
        self.together = 8 if all(self.shapes[i] and self.shapes[i][0] == 1 for i in computed) else 1
        self.last_use = {i: at for at, step in enumerate(self.steps) for i in step.inputs}

    def name(self, tensor: int) -> str:
        """What a tensor is called in the file of `written`."""
        return f"t{tensor}"

    def written(self) -> bytes:
        """The file with the constants as they are now, and a name of its own for every tensor."""
        for i, tensor in enumerate(self.model.subgraphs[0].tensors):
            tensor.name = self.name(i).encode()
            if i in self.constants:
                self.model.buffers[tensor.buffer].data = np.frombuffer(self.constants[i].numpy().tobytes(), np.uint8)
        return packed(self.model)

    def run(self, x: Tensor, each: Callable[[int, Tensor], Tensor] = lambda _, y: y) -> list[Tensor]:
        """Outputs in the file's order; `each` sees every computed tensor and may change it."""
        values = {self.input: each(self.input, x)}
        for at, step in enumerate(self.steps):
            inputs = [self.constants[i] if i in self.constants else values[i] for i in step.inputs]
            values[step.output] = each(step.output, step(inputs))
            for i in step.inputs:  # what is not needed any more is let go of
                if self.last_use[i] == at and i not in self.outputs:
                    values.pop(i, None)
        return [values[i] for i in self.outputs]


def _convolution(step: Step, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    depthwise = step.kind == OP.DEPTHWISE_CONV_2D
    kernel = weight.permute(3, 0, 1, 2) if depthwise else weight.permute(0, 3, 1, 2)
    strides = (step.options.strideH, step.options.strideW)
    dilation = (step.options.dilationHFactor, step.options.dilationWFactor)
    x = x.permute(0, 3, 1, 2)
    pads = (0, 0)
    if step.options.padding == schema.Padding.SAME:
        sides = [_same(*side) for side in zip(x.shape[2:], kernel.shape[2:], strides, dilation, strict=True)]
        if all(before == after for before, after in sides):
            pads = tuple(before for before, _ in sides)
        else:
            x = F.pad(x, (*sides[1], *sides[0]))
    groups = x.shape[1] // kernel.shape[1]
    return F.conv2d(x, kernel, bias, strides, pads, dilation, groups).permute(0, 2, 3, 1)


def _same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """How much is added before and after, in TensorFlow's way."""
    whole = max(0, (-(-size // stride) - 1) * stride + (kernel - 1) * dilation + 1 - size)
    return whole // 2, whole - whole // 2


def _slice(step: Step, x: Tensor, begin: Tensor, size: Tensor) -> Tensor:
    for dim in range(1, x.ndim):
        length = int(size[dim]) if size[dim] >= 0 else x.shape[dim] - int(begin[dim])
        x = x.narrow(dim, int(begin[dim]), length)
    return x


def _pad(step: Step, x: Tensor, sides: Tensor) -> Tensor:
    return F.pad(x, [int(n) for pair in sides.flip(0) for n in pair])


def _reduce(step: Step, x: Tensor, axes: Tensor, how: Callable) -> Tensor:
    return how(x, [int(n) for n in axes.reshape(-1)], keepdim=step.options.keepDims)


def _resize(step: Step, x: Tensor, size: Tensor) -> Tensor:
    corners = step.options.alignCorners
    if not corners and not step.options.halfPixelCenters:
        raise ConversionError("a picture is scaled in a way that is not known here")
    scaled = F.interpolate(x.permute(0, 3, 1, 2), [int(n) for n in size], mode="bilinear", align_corners=corners)
    return scaled.permute(0, 2, 3, 1)


def _matmul(step: Step, a: Tensor, b: Tensor) -> Tensor:
    return (a.mT if step.options.adjX else a) @ (b.mT if step.options.adjY else b)


_COMPUTE: dict[int, Callable[..., Tensor]] = {
    OP.CONV_2D: _convolution,
    OP.DEPTHWISE_CONV_2D: _convolution,
    OP.FULLY_CONNECTED: lambda step, x, weight, bias=None: F.linear(x, weight, bias).reshape(-1, *step.shape[1:]),
    OP.ADD: lambda step, a, b: a + b,
    OP.SUB: lambda step, a, b: a - b,
    OP.MUL: lambda step, a, b: a * b,
    OP.DIV: lambda step, a, b: a / b,
    OP.MAXIMUM: lambda step, a, b: torch.maximum(a, b),
    OP.RELU: lambda step, x: F.relu(x),
    OP.RELU6: lambda step, x: x.clamp(0, 6),
    OP.PRELU: lambda step, x, slope: torch.where(x > 0, x, x * slope),
    OP.LOGISTIC: lambda step, x: x.sigmoid(),
    OP.HARD_SWISH: lambda step, x: F.hardswish(x),
    OP.RSQRT: lambda step, x: x.rsqrt(),
    OP.SOFTMAX: lambda step, x: x.softmax(-1),
    OP.MEAN: lambda step, x, axes: _reduce(step, x, axes, torch.mean),
    OP.SUM: lambda step, x, axes: _reduce(step, x, axes, torch.sum),
    OP.RESHAPE: lambda step, x, *_: x.reshape(-1, *step.shape[1:]),  # the batch may be a part of the first dimension
    OP.TRANSPOSE: lambda step, x, order: x.permute(*(int(n) for n in order)),
    OP.BROADCAST_TO: lambda step, x, *_: x.expand(x.shape[0], *step.shape[1:]),
    OP.PAD: _pad,
    OP.SLICE: _slice,
    OP.CONCATENATION: lambda step, *parts: torch.cat(parts, step.options.axis),
    OP.BATCH_MATMUL: _matmul,
    OP.RESIZE_BILINEAR: _resize,
}
