//! Face detection.

pub mod nms;
pub mod yunet;

use std::path::Path;

use image::RgbImage;

pub use yunet::Yunet;

use crate::inference::ModelError;
use crate::inference::manifest::{self, Manifest, Task};
use emotiond_core::geometry::Face;

/// Finds faces in a picture.
pub trait FaceDetector: Send {
    /// The faces in an RGB picture, best first, in the picture's pixels.
    ///
    /// # Errors
    /// If the network cannot be run.
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>>;

    /// Forgets what is left in memory of the last picture, for which the network runs once more.
    fn scrub(&mut self) {}
}

/// Opens the detector that a manifest describes, by the manifest's name in `folder` or by its path.
///
/// # Errors
/// If the model is missing, does not fit its manifest or is no detector.
pub fn open(folder: &Path, name: &str) -> Result<Yunet, ModelError> {
    let manifest = Manifest::read(&manifest::locate(folder, name))?;
    match manifest.task.clone() {
        Task::FaceDetector(detector) => Yunet::load(manifest, &detector),
        Task::Emotion { .. } => {
            let reason = "expected kind = \"face_detector\", found \"emotion\"".to_owned();
            Err(ModelError::Manifest { path: manifest.path, reason })
        }
    }
}
