//! Which models a configuration names, opened: the detector always, the emotion model only where the law allows it.

use crate::inference::ModelError;
use crate::inference::manifest::Manifest;
pub use crate::inference::manifest::locate as manifest_path;
use crate::vision::detect::{CameraRange, FaceDetector};
use crate::vision::emotion::{EmotionModel, TfliteEmotion};
use emotiond_core::report::payload::ModelInfo;
use std::path::PathBuf;

/// Which models to load.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ModelSettings {
    /// Folder of the manifests.
    pub directory: PathBuf,
    /// Face detector: a manifest's name or path.
    pub detector: String,
    /// How far away faces are.
    pub range: CameraRange,
    /// Emotion model: a manifest's name or path.
    pub emotion: String,
}

/// Opened models and what `info` says of them.
pub struct Models {
    /// Finds faces.
    pub detector: Box<dyn FaceDetector>,
    /// Reads emotion; `None` where the site forbids it.
    pub emotion: Option<Box<dyn EmotionModel>>,
    /// Name, version and digest of each opened file.
    pub info: Vec<ModelInfo>,
}

/// Opens the models; where the site forbids `emotion`, that model's files are not even looked for.
///
/// # Errors
/// Names the file and the remedy.
pub fn open(settings: &ModelSettings, emotion: bool) -> Result<Models, ModelError> {
    let folder = &settings.directory;
    let (detector, manifest) = settings.range.open(folder, &settings.detector)?;
    let mut info = vec![describe(&manifest)];
    let emotion: Option<Box<dyn EmotionModel>> = if emotion {
        let model = TfliteEmotion::load(&manifest_path(folder, &settings.emotion))?;
        info.push(describe(model.manifest()));
        Some(Box::new(model))
    } else {
        None
    };
    Ok(Models { detector, emotion, info })
}

fn describe(manifest: &Manifest) -> ModelInfo {
    ModelInfo {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256: manifest.sha256.clone(),
    }
}
