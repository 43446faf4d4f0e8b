//! Which models a configuration names, opened: the detector always, the emotion model only where the law allows it.

use crate::config::Settings;
use crate::inference::ModelError;
use crate::inference::manifest::Manifest;
pub use crate::inference::manifest::locate as manifest_path;
use crate::vision::detect::{self, FaceDetector};
use crate::vision::emotion::{EmotionModel, TfliteEmotion};
use emotiond_core::report::payload::ModelInfo;

/// Opened models and what `info` says of them.
pub struct Models {
    /// Finds faces.
    pub detector: Box<dyn FaceDetector>,
    /// Reads emotion; `None` where the site forbids it.
    pub emotion: Option<Box<dyn EmotionModel>>,
    /// Name, version and digest of each opened file.
    pub info: Vec<ModelInfo>,
}

/// Opens the models. Where the site forbids emotion, the emotion model's files are not even looked for.
///
/// # Errors
/// Names the file and the remedy.
pub fn open(settings: &Settings) -> Result<Models, ModelError> {
    let folder = &settings.models.directory;
    let (detector, manifests) = detect::open(folder, &settings.models.detector)?;
    let mut info: Vec<ModelInfo> = manifests.iter().map(describe).collect();
    let emotion: Option<Box<dyn EmotionModel>> = if settings.privacy.policy.emotion {
        let model = TfliteEmotion::load(&manifest_path(folder, &settings.models.emotion))?;
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
