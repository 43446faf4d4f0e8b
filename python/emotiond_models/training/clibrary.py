"""The C library that emotiond links (TensorFlow Lite 2.17.1, from PyPI's `pymicro-wakeword`), by ctypes.

The exported file is timed and its answers compared there: what runs in Python's newer
LiteRT need not load in the older library.
"""

import ctypes
import time
from ctypes import c_char_p, c_float, c_int32, c_size_t, c_uint32, c_void_p
from pathlib import Path

import numpy as np

from .sources import member

LIBRARY = "pymicro_wakeword/lib/libtensorflowlite_c.so"
TYPES = {1: np.float32, 3: np.uint8, 9: np.int8}  # TfLiteType
XNNPACK_FLAGS = 0x1 | 0x2  # signed and unsigned 8-bit operators


class _Options(ctypes.Structure):
    # The library's own struct is smaller; the tail is room that it may fill in.
    _fields_ = [("threads", c_int32), ("flags", c_uint32), ("rest", c_void_p * 16)]


class _Quantization(ctypes.Structure):
    _fields_ = [("scale", c_float), ("zero_point", c_int32)]


def load_library(work: Path) -> ctypes.CDLL:
    path = work / "sources" / "libtensorflowlite_c.so"
    if not path.exists():
        path.write_bytes(member(work, "pymicro-wakeword", LIBRARY))
    library = ctypes.CDLL(str(path))
    pointer_results = (
        "ModelCreate", "InterpreterOptionsCreate", "InterpreterCreate", "InterpreterGetInputTensor",
        "InterpreterGetOutputTensor", "TensorData", "XNNPackDelegateCreate",
    )
    for name in pointer_results:
        getattr(library, f"TfLite{name}").restype = c_void_p
    library.TfLiteTensorByteSize.restype = c_size_t
    library.TfLiteTensorQuantizationParams.restype = _Quantization
    library.TfLiteXNNPackDelegateOptionsDefault.restype = _Options
    library.TfLiteVersion.restype = c_char_p
    return library


class CModel:
    """One model on one thread with XNNPACK, as emotiond runs it."""

    def __init__(self, library: ctypes.CDLL, content: bytes):
        self.library, self.content = library, content  # the model keeps a pointer into `content`
        model = library.TfLiteModelCreate(content, c_size_t(len(content)))
        options = library.TfLiteInterpreterOptionsCreate()
        library.TfLiteInterpreterOptionsSetNumThreads(c_void_p(options), 1)
        settings = library.TfLiteXNNPackDelegateOptionsDefault()
        settings.threads, settings.flags = 1, settings.flags | XNNPACK_FLAGS
        delegate = library.TfLiteXNNPackDelegateCreate(ctypes.byref(settings))
        library.TfLiteInterpreterOptionsAddDelegate(c_void_p(options), c_void_p(delegate))
        self.handle = c_void_p(library.TfLiteInterpreterCreate(c_void_p(model), c_void_p(options)))
        if library.TfLiteInterpreterAllocateTensors(self.handle):
            raise RuntimeError("TensorFlow Lite could not allocate the model's tensors: are all weights inside the file?")
        self.input = c_void_p(library.TfLiteInterpreterGetInputTensor(self.handle, 0))

    def __call__(self, x: np.ndarray) -> list[np.ndarray]:
        """Output tensors, dequantized, of an input in the model's own type."""
        size = self.library.TfLiteTensorByteSize(self.input)
        if x.nbytes != size:
            raise ValueError(f"the model takes {size} bytes, got {x.nbytes}")
        ctypes.memmove(self.library.TfLiteTensorData(self.input), np.ascontiguousarray(x).ctypes.data, size)
        self.invoke()
        return [self._output(i) for i in range(self.library.TfLiteInterpreterGetOutputTensorCount(self.handle))]

    def invoke(self) -> None:
        if self.library.TfLiteInterpreterInvoke(self.handle):
            raise RuntimeError("TensorFlow Lite failed to run the model")

    def _output(self, i: int) -> np.ndarray:
        tensor = c_void_p(self.library.TfLiteInterpreterGetOutputTensor(self.handle, i))
        dtype = TYPES[self.library.TfLiteTensorType(tensor)]
        data = ctypes.string_at(self.library.TfLiteTensorData(tensor), self.library.TfLiteTensorByteSize(tensor))
        values = np.frombuffer(data, dtype)
        if dtype is np.float32:
            return values.copy()
        q = self.library.TfLiteTensorQuantizationParams(tensor)
        return (values.astype(np.float32) - q.zero_point) * q.scale


def interleaved_times(models: dict[str, CModel], rounds: int = 60) -> dict[str, float]:
    """Milliseconds of one call, the lower quartile over rounds that take turns (a busy machine slows some)."""
    times = {name: [] for name in models}
    for _ in range(rounds):
        for name, model in models.items():
            began = time.perf_counter()
            model.invoke()
            times[name].append((time.perf_counter() - began) * 1e3)
    return {name: float(np.percentile(values, 25)) for name, values in times.items()}
