"""Running TensorFlow Lite files in Python and in the C library that emotiond links."""

import ctypes
from pathlib import Path
from typing import Protocol

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from . import ConversionError

_TYPES = {1: np.float32, 3: np.uint8, 9: np.int8}  # TfLiteType


class Runner(Protocol):
    """One loaded model. `outputs` are in the file's order, which manifests number."""

    shapes: list[tuple[int, ...]]

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        """Float input, float outputs; quantization is the runner's business."""


def _to_integers(x: np.ndarray, scale: float, zero: int, kind) -> np.ndarray:
    limits = np.iinfo(kind)
    return np.clip(np.round(x / scale) + zero, limits.min, limits.max).astype(kind)


class PythonRunner:
    """LiteRT as PyPI has it."""

    def __init__(self, path: Path):
        self._interpreter = Interpreter(str(path), num_threads=1)
        self._interpreter.allocate_tensors()
        self._input = self._interpreter.get_input_details()[0]
        self._outputs = self._interpreter.get_output_details()
        self.input_type = self._input["dtype"]
        self.shapes = [tuple(int(n) for n in output["shape"]) for output in self._outputs]

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        if self.input_type != np.float32:
            x = _to_integers(x, *self._input["quantization"], self.input_type)
        self._interpreter.set_tensor(self._input["index"], x)
        self._interpreter.invoke()
        results = []
        for output in self._outputs:
            y = self._interpreter.get_tensor(output["index"])
            if output["dtype"] != np.float32:
                scale, zero = output["quantization"]
                y = (y.astype(np.float32) - zero) * scale
            results.append(y)
        return results


class _Quantization(ctypes.Structure):
    _fields_ = [("scale", ctypes.c_float), ("zero_point", ctypes.c_int32)]


class _DelegateOptions(ctypes.Structure):
    # Larger than any 2.x library's. Only the first field has the same place in all of them; 2.17 follows it with the
    # flags, whose default has int8 and uint8 switched on.
    _fields_ = [("num_threads", ctypes.c_int32), ("flags", ctypes.c_uint32), ("reserved", ctypes.c_void_p * 16)]


_SIGNATURES = {
    "TfLiteVersion": (ctypes.c_char_p, []),
    "TfLiteModelCreateFromFile": (ctypes.c_void_p, [ctypes.c_char_p]),
    "TfLiteInterpreterOptionsCreate": (ctypes.c_void_p, []),
    "TfLiteInterpreterOptionsSetNumThreads": (None, [ctypes.c_void_p, ctypes.c_int32]),
    "TfLiteInterpreterOptionsAddDelegate": (None, [ctypes.c_void_p, ctypes.c_void_p]),
    "TfLiteXNNPackDelegateOptionsDefault": (_DelegateOptions, []),
    "TfLiteXNNPackDelegateCreate": (ctypes.c_void_p, [ctypes.POINTER(_DelegateOptions)]),
    "TfLiteInterpreterCreate": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p]),
    "TfLiteInterpreterAllocateTensors": (ctypes.c_int, [ctypes.c_void_p]),
    "TfLiteInterpreterInvoke": (ctypes.c_int, [ctypes.c_void_p]),
    "TfLiteInterpreterGetInputTensor": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int32]),
    "TfLiteInterpreterGetOutputTensorCount": (ctypes.c_int32, [ctypes.c_void_p]),
    "TfLiteInterpreterGetOutputTensor": (ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_int32]),
    "TfLiteTensorType": (ctypes.c_int, [ctypes.c_void_p]),
    "TfLiteTensorNumDims": (ctypes.c_int32, [ctypes.c_void_p]),
    "TfLiteTensorDim": (ctypes.c_int32, [ctypes.c_void_p, ctypes.c_int32]),
    "TfLiteTensorQuantizationParams": (_Quantization, [ctypes.c_void_p]),
    "TfLiteTensorCopyFromBuffer": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]),
    "TfLiteTensorCopyToBuffer": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]),
}


class CRunner:
    """`libtensorflowlite_c.so`, with XNNPACK as emotiond uses it or with the plain kernels.

    The handles live as long as the process: this is a check, not a service.
    """

    def __init__(self, path: Path, library: Path, xnnpack: bool = True):
        self._c = ctypes.CDLL(str(library))
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(self._c, name)
            function.restype, function.argtypes = result, arguments
        self.version = self._c.TfLiteVersion().decode()
        model = self._c.TfLiteModelCreateFromFile(str(path).encode())
        if not model:
            raise ConversionError(f"TensorFlow Lite {self.version} cannot read {path}")
        options = self._c.TfLiteInterpreterOptionsCreate()
        self._c.TfLiteInterpreterOptionsSetNumThreads(options, 1)
        if xnnpack:
            delegate = self._c.TfLiteXNNPackDelegateOptionsDefault()
            delegate.num_threads = 1
            self._c.TfLiteInterpreterOptionsAddDelegate(
                options, self._c.TfLiteXNNPackDelegateCreate(ctypes.byref(delegate))
            )
        self._interpreter = self._c.TfLiteInterpreterCreate(model, options)
        if not self._interpreter or self._c.TfLiteInterpreterAllocateTensors(self._interpreter):
            raise ConversionError(f"TensorFlow Lite {self.version} cannot prepare {path} for running")
        self._input = self._c.TfLiteInterpreterGetInputTensor(self._interpreter, 0)
        count = self._c.TfLiteInterpreterGetOutputTensorCount(self._interpreter)
        self._outputs = [self._c.TfLiteInterpreterGetOutputTensor(self._interpreter, i) for i in range(count)]
        self.shapes = [self._shape(tensor) for tensor in self._outputs]

    def _shape(self, tensor) -> tuple[int, ...]:
        return tuple(self._c.TfLiteTensorDim(tensor, i) for i in range(self._c.TfLiteTensorNumDims(tensor)))

    def _describe(self, tensor):
        quantization = self._c.TfLiteTensorQuantizationParams(tensor)
        return _TYPES[self._c.TfLiteTensorType(tensor)], quantization.scale, quantization.zero_point

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        kind, scale, zero = self._describe(self._input)
        x = np.ascontiguousarray(x if kind == np.float32 else _to_integers(x, scale, zero, kind))
        failed = self._c.TfLiteTensorCopyFromBuffer(self._input, x.ctypes.data, x.nbytes)
        if failed or self._c.TfLiteInterpreterInvoke(self._interpreter):
            raise ConversionError(f"TensorFlow Lite {self.version} failed to run the model")
        results = []
        for tensor, shape in zip(self._outputs, self.shapes):
            kind, scale, zero = self._describe(tensor)
            y = np.empty(shape, kind)
            if self._c.TfLiteTensorCopyToBuffer(tensor, y.ctypes.data, y.nbytes):
                raise ConversionError(f"TensorFlow Lite {self.version} gave no output")
            results.append(y if kind == np.float32 else (y.astype(np.float32) - zero) * scale)
        return results
