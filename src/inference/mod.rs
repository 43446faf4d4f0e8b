//! TensorFlow Lite models: the only room that names `tflitec`.

mod flatbuffer;
pub mod manifest;
mod model;
pub mod tensor;

pub use model::*;
