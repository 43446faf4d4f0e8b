//! Face detection.

pub mod anchors;
mod blazeface;
pub mod decode;
pub mod nms;

use image::RgbImage;

pub use blazeface::BlazeFace;

use crate::geometry::Face;

/// Finds faces in a picture.
pub trait FaceDetector: Send {
    /// The faces in an RGB picture, best first, in the picture's pixels.
    ///
    /// # Errors
    /// If the network cannot be run.
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>>;
}
