"""emotiond's face detector: YuNet, made to compute in int8 and written as a TensorFlow Lite file.

`decode`, `runtime` and `evaluate` need numpy, Pillow and ai-edge-litert; `network`, `rounding` and `train` PyTorch
(1.13 or newer); reading the published weights onnx.
"""
