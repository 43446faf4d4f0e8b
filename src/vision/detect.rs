//! Face detection.

mod follow;
pub mod nms;
mod tiles;
pub mod yunet;

use std::path::Path;

use image::RgbImage;
use serde::Deserialize;

use follow::FollowingDetector;
use tiles::Tiles;
pub use yunet::Yunet;

use crate::inference::ModelError;
use crate::inference::manifest::{self, Manifest, Task};
use emotiond_core::Moment;
use emotiond_core::geometry::Face;

/// Finds faces in a picture.
pub trait FaceDetector: Send {
    /// The faces in an RGB picture, best first, in the picture's pixels.
    ///
    /// # Errors
    /// If the network cannot be run.
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>>;

    /// The same for the next picture of a stream, taken at `at`: where the last one showed faces may be used.
    ///
    /// # Errors
    /// If the network cannot be run.
    fn follow(&mut self, _at: Moment, picture: &RgbImage) -> anyhow::Result<Vec<Face>> {
        self.detect(picture)
    }

    /// Says that the next picture does not continue the last one: another photograph, or a camera that was away.
    fn restart(&mut self) {}

    /// Forgets what is left in memory of the last picture, for which the network runs once more.
    fn scrub(&mut self) {}
}

/// How far away faces are: the configuration's `camera.range`.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum CameraRange {
    /// Somebody before the camera: the detector's smaller file, whose manifest has `-near` at the end of its name.
    Near,
    /// A room: the whole picture, once.
    #[default]
    Room,
    /// A hall or a classroom: parts of the picture as well, in turns.
    Hall,
}

impl CameraRange {
    /// The word in the configuration.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Near => "near",
            Self::Room => "room",
            Self::Hall => "hall",
        }
    }

    /// The manifest's name or path for this range, from the configured one.
    #[must_use]
    pub fn manifest(self, name: &str) -> String {
        match self {
            Self::Near => format!("{}-near", name.strip_suffix(".toml").unwrap_or(name)),
            Self::Room | Self::Hall => name.to_owned(),
        }
    }

    /// The detector for this range, opened by its manifest's name or path, and the manifests of its networks.
    ///
    /// Beside a network for whole pictures there may be one for parts of them, whose manifest has `-part` at the end of
    /// its name.
    ///
    /// # Errors
    /// See [`open`].
    pub fn open(
        self,
        folder: &Path,
        name: &str,
    ) -> Result<(Box<dyn FaceDetector>, Vec<Manifest>), ModelError> {
        let whole = open(folder, &self.manifest(name))?;
        let mut manifests = vec![whole.manifest().clone()];
        if self == Self::Hall {
            return Ok((Box::new(Tiles::new(whole)), manifests));
        }
        let part = format!("{}-part", name.strip_suffix(".toml").unwrap_or(name));
        if !manifest::locate(folder, &part).exists() {
            return Ok((Box::new(whole), manifests));
        }
        let part = open(folder, &part)?;
        manifests.push(part.manifest().clone());
        Ok((Box::new(FollowingDetector::new(whole, part)), manifests))
    }
}

/// Opens the detector that a manifest describes, by the manifest's name in `folder` or by its path.
///
/// # Errors
/// If the model is missing, does not fit its manifest or is no detector.
pub fn open(folder: &Path, name: &str) -> Result<Yunet, ModelError> {
    let manifest = Manifest::read(&manifest::locate(folder, name))?;
    match manifest.task.clone() {
        Task::FaceDetector(detector) => Yunet::load(manifest, &detector),
        Task::Emotion { .. } | Task::Sequence(..) => {
            let reason = "expected kind = \"face_detector\", found \"emotion\"".to_owned();
            Err(ModelError::Manifest { path: manifest.path, reason })
        }
    }
}
