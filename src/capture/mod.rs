//! Where frames come from: a V4L2 camera, a live stream of another process, or a recording.

pub mod frame;
pub mod picture;
mod pipe;
pub mod replay;
mod settings;
mod source;
pub mod stream;
pub mod v4l2;

pub use settings::{CameraSettings, SourceAccess, Spec};
pub use source::{
    CaptureControl, Context, Delivery, FrameSource, Input, Losses, Opener, Properties, SourceError, Timeline,
};
