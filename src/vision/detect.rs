//! Face detection.

pub mod anchors;
mod blazeface;
pub mod decode;
mod near_far;
pub mod nms;
mod second_look;
pub mod yunet;

use std::path::Path;

use image::RgbImage;

pub use blazeface::BlazeFace;
pub use near_far::NearFar;
pub use yunet::Yunet;

use crate::inference::ModelError;
use crate::inference::manifest::{self, Detector, Manifest, Task};
use emotiond_core::geometry::Face;

/// Finds faces in a picture.
pub trait FaceDetector: Send {
    /// The faces in an RGB picture, best first, in the picture's pixels.
    ///
    /// # Errors
    /// If the network cannot be run.
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>>;

    /// Says that the next picture does not continue the last one: another photograph, or a camera that was away.
    fn restart(&mut self) {}

    /// Forgets what is left in memory of the last picture, for which its networks run once more.
    fn scrub(&mut self) {}
}

/// The detector's name that stands for [`NearFar`] over these two.
const AUTO: (&str, &str, &str) = ("auto", "blazeface-short", "blazeface-back");

/// Opens a detector by the name of its manifest in `folder` or by the manifest's path, or, as `auto`, the pair that
/// looks near with one network and far with the other. Also returns the manifests of the opened files.
///
/// # Errors
/// If a model is missing or does not fit its manifest.
pub fn open(folder: &Path, name: &str) -> Result<(Box<dyn FaceDetector>, Vec<Manifest>), ModelError> {
    open_wrapped(folder, name, |network| network)
}

/// Opens a detector as [`open`] does, with a wrapper around each of its networks, in the order of their manifests.
///
/// # Errors
/// See [`open`].
pub fn open_wrapped<D: FaceDetector + 'static>(
    folder: &Path,
    name: &str,
    mut wrap: impl FnMut(Box<dyn FaceDetector>) -> D,
) -> Result<(Box<dyn FaceDetector>, Vec<Manifest>), ModelError> {
    if name == AUTO.0 {
        let ((near, first), (far, second)) = (network(folder, AUTO.1)?, network(folder, AUTO.2)?);
        return Ok((Box::new(NearFar::new(wrap(near), wrap(far))), vec![first, second]));
    }
    let (detector, manifest) = network(folder, name)?;
    Ok((Box::new(wrap(detector)), vec![manifest]))
}

/// Opens one network, with the decoder that its manifest names.
fn network(folder: &Path, name: &str) -> Result<(Box<dyn FaceDetector>, Manifest), ModelError> {
    let manifest = Manifest::read(&manifest::locate(folder, name))?;
    let detector: Box<dyn FaceDetector> = match &manifest.task {
        Task::FaceDetector(Detector::Blazeface(detector)) => {
            Box::new(BlazeFace::load(manifest.clone(), detector)?)
        }
        Task::FaceDetector(Detector::Yunet(detector)) => Box::new(Yunet::load(manifest.clone(), detector)?),
        Task::Emotion { .. } => {
            let reason = "expected kind = \"face_detector\", found \"emotion\"".to_owned();
            return Err(ModelError::Manifest { path: manifest.path, reason });
        }
    };
    Ok((detector, manifest))
}

impl FaceDetector for Box<dyn FaceDetector> {
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>> {
        self.as_mut().detect(picture)
    }

    fn restart(&mut self) {
        self.as_mut().restart();
    }

    fn scrub(&mut self) {
        self.as_mut().scrub();
    }
}
