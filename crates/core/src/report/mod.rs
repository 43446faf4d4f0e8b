//! From what was seen in a frame to what a message says.

pub mod observation;
pub mod payload;
pub mod summary;
pub mod trigger;
