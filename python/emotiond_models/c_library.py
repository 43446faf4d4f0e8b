"""The C library that emotiond links (TensorFlow Lite 2.17.1, from PyPI's `pymicro-wakeword`), by ctypes.

What runs in Python's newer LiteRT need not load in the older library, so the files are tried and timed there.
"""

import ctypes
import time
from ctypes import POINTER, byref, c_char_p, c_float, c_int, c_int32, c_size_t, c_uint32, c_void_p
from pathlib import Path

import numpy as np

from .runtime import to_integers

_TYPES = {1: np.float32, 3: np.uint8, 9: np.int8}  # TfLiteType
_XNNPACK_8_BIT = 0x1 | 0x2  # signed and unsigned operators


class _Quantization(ctypes.Structure):
    _fields_ = [("scale", c_float), ("zero_point", c_int32)]


class _DelegateOptions(ctypes.Structure):
    # Larger than any 2.x library's, which fills in as much as it has. 2.17 begins with these two.
    _fields_ = [("threads", c_int32), ("flags", c_uint32), ("rest", c_void_p * 16)]


# Result and arguments. Every one has to be declared: ctypes would cut pointers to 32 bits.
_FUNCTIONS = {
    "Version": (c_char_p, []),
    "ModelCreate": (c_void_p, [c_char_p, c_size_t]),
    "InterpreterOptionsCreate": (c_void_p, []),
    "InterpreterOptionsSetNumThreads": (None, [c_void_p, c_int32]),
    "InterpreterOptionsAddDelegate": (None, [c_void_p, c_void_p]),
    "XNNPackDelegateOptionsDefault": (_DelegateOptions, []),
    "XNNPackDelegateCreate": (c_void_p, [POINTER(_DelegateOptions)]),
    "InterpreterCreate": (c_void_p, [c_void_p, c_void_p]),
    "InterpreterAllocateTensors": (c_int, [c_void_p]),
    "InterpreterInvoke": (c_int, [c_void_p]),
    "InterpreterGetInputTensor": (c_void_p, [c_void_p, c_int32]),
    "InterpreterGetOutputTensorCount": (c_int32, [c_void_p]),
    "InterpreterGetOutputTensor": (c_void_p, [c_void_p, c_int32]),
    "TensorType": (c_int, [c_void_p]),
    "TensorNumDims": (c_int32, [c_void_p]),
    "TensorDim": (c_int32, [c_void_p, c_int32]),
    "TensorQuantizationParams": (_Quantization, [c_void_p]),
    "TensorCopyFromBuffer": (c_int, [c_void_p, c_void_p, c_size_t]),
    "TensorCopyToBuffer": (c_int, [c_void_p, c_void_p, c_size_t]),
}


class CRunner:
    """One model on one thread, with XNNPACK as emotiond uses it or with the plain kernels.

    The handles live as long as the process: this is a check, not a service. Raises `RuntimeError` if the library
    cannot read, prepare or run the model.
    """

    def __init__(self, model: Path | bytes, library: Path, xnnpack: bool = True):
        loaded = ctypes.CDLL(str(library))
        self._call = {}
        for name, (result, arguments) in _FUNCTIONS.items():
            function = loaded[f"TfLite{name}"]
            function.restype, function.argtypes = result, arguments
            self._call[name] = function
        call = self._call
        self.version = call["Version"]().decode()
        self._content = model if isinstance(model, bytes) else model.read_bytes()  # the library points into it
        what = f"a model of {len(self._content)} bytes" if isinstance(model, bytes) else str(model)
        handle = call["ModelCreate"](self._content, len(self._content))
        if not handle:
            raise RuntimeError(f"TensorFlow Lite {self.version} cannot read {what}: is it whole?")
        options = call["InterpreterOptionsCreate"]()
        call["InterpreterOptionsSetNumThreads"](options, 1)
        if xnnpack:
            settings = call["XNNPackDelegateOptionsDefault"]()
            settings.threads, settings.flags = 1, settings.flags | _XNNPACK_8_BIT
            call["InterpreterOptionsAddDelegate"](options, call["XNNPackDelegateCreate"](byref(settings)))
        self._interpreter = call["InterpreterCreate"](handle, options)
        if not self._interpreter or call["InterpreterAllocateTensors"](self._interpreter):
            raise RuntimeError(
                f"TensorFlow Lite {self.version} cannot prepare {what} for running: are all weights inside the file?"
            )
        self._input = call["InterpreterGetInputTensor"](self._interpreter, 0)
        count = call["InterpreterGetOutputTensorCount"](self._interpreter)
        self._outputs = [call["InterpreterGetOutputTensor"](self._interpreter, i) for i in range(count)]
        self.shapes = [self._shape(tensor) for tensor in self._outputs]

    def _shape(self, tensor: int) -> tuple[int, ...]:
        return tuple(self._call["TensorDim"](tensor, i) for i in range(self._call["TensorNumDims"](tensor)))

    def _describe(self, tensor: int):
        steps = self._call["TensorQuantizationParams"](tensor)
        return _TYPES[self._call["TensorType"](tensor)], steps.scale, steps.zero_point

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        """Float input, float outputs in the file's order."""
        kind, scale, zero = self._describe(self._input)
        x = np.ascontiguousarray(x if kind == np.float32 else to_integers(x, scale, zero, kind))
        if self._call["TensorCopyFromBuffer"](self._input, x.ctypes.data, x.nbytes):
            raise RuntimeError(f"the model takes {self._shape(self._input)}, not {x.shape} of {x.dtype}")
        self.invoke()
        results = []
        for tensor, shape in zip(self._outputs, self.shapes, strict=True):
            kind, scale, zero = self._describe(tensor)
            y = np.empty(shape, kind)
            if self._call["TensorCopyToBuffer"](tensor, y.ctypes.data, y.nbytes):
                raise RuntimeError(f"TensorFlow Lite {self.version} gave no output")
            results.append(y if kind == np.float32 else (y.astype(np.float32) - zero) * np.float32(scale))
        return results

    def invoke(self) -> None:
        """Run on the input that is there: what is timed."""
        if self._call["InterpreterInvoke"](self._interpreter):
            raise RuntimeError(f"TensorFlow Lite {self.version} failed to run the model")


def interleaved_times(models: dict[str, CRunner], rounds: int = 60) -> dict[str, float]:
    """Milliseconds of one call, the lower quartile over rounds that take turns (a busy machine slows some)."""
    times = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            began = time.perf_counter()
            model.invoke()
            times[name].append((time.perf_counter() - began) * 1e3)
    return {name: float(np.percentile(values, 25)) for name, values in times.items()}
