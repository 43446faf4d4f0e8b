//! Face detection.

pub mod anchors;
mod blazeface;
pub mod decode;
mod near_far;
pub mod nms;
mod second_look;

use std::path::Path;

use image::RgbImage;

pub use blazeface::BlazeFace;
pub use near_far::NearFar;

use crate::inference::ModelError;
use crate::inference::manifest::{self, Manifest};
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
    mut wrap: impl FnMut(BlazeFace) -> D,
) -> Result<(Box<dyn FaceDetector>, Vec<Manifest>), ModelError> {
    let load = |name: &str| BlazeFace::load(&manifest::locate(folder, name));
    if name == AUTO.0 {
        let (near, far) = (load(AUTO.1)?, load(AUTO.2)?);
        let manifests = vec![near.manifest().clone(), far.manifest().clone()];
        return Ok((Box::new(NearFar::new(wrap(near), wrap(far))), manifests));
    }
    let detector = load(name)?;
    let manifests = vec![detector.manifest().clone()];
    Ok((Box::new(wrap(detector)), manifests))
}
