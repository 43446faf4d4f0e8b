//! TensorFlow Lite models: the only module that names `tflitec`.
