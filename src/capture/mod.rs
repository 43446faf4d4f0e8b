//! Where frames come from: a V4L2 camera or a replay of recorded pictures.

pub mod frame;
pub mod picture;
pub mod replay;
mod source;
mod spec;
pub mod v4l2;

pub use source::{FrameSource, Losses, SourceError};
pub use spec::{OpenOptions, Spec, open};
