//! TensorFlow Lite models: the only room that names `tflitec`.

mod error;
mod flatbuffer;
pub mod manifest;
mod model;
pub mod tensor;

pub use error::ModelError;
pub use model::*;
