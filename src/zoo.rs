//! Which models a configuration names, opened: the detector always, the emotion model only where the law allows it.

use std::path::{Path, PathBuf};

use crate::config::Settings;
use crate::emotion::{EmotionModel, TfliteEmotion};
use crate::faces::{BlazeFace, FaceDetector};
use crate::model::ModelError;
use crate::model::manifest::Manifest;
use crate::payload::ModelInfo;

/// Opened models and what `info` says of them.
pub struct Models {
    /// Finds faces.
    pub detector: Box<dyn FaceDetector>,
    /// Reads emotion; `None` where the site forbids it.
    pub emotion: Option<Box<dyn EmotionModel>>,
    /// Name, version and digest of each opened file, the detector's first.
    pub info: Vec<ModelInfo>,
    /// How many of them are the detector's.
    pub detectors: usize,
}

/// Opens the models. Where the site forbids emotion, the emotion model's files are not even looked for.
///
/// # Errors
/// Names the file and the remedy.
pub fn open(settings: &Settings) -> Result<Models, ModelError> {
    let folder = &settings.models.directory;
    let detector = BlazeFace::load(&manifest_path(folder, detector_name(&settings.models.detector)))?;
    let mut info = vec![describe(detector.manifest())];
    let emotion: Option<Box<dyn EmotionModel>> = if settings.privacy.emotion() {
        let model = TfliteEmotion::load(&manifest_path(folder, &settings.models.emotion))?;
        info.push(describe(model.manifest()));
        Some(Box::new(model))
    } else {
        None
    };
    Ok(Models { detector: Box::new(detector), emotion, info, detectors: 1 })
}

/// The detector behind `auto`.
fn detector_name(configured: &str) -> &str {
    if configured == "auto" { "blazeface-back" } else { configured }
}

/// The manifest that a name or a path stands for.
#[must_use]
pub fn manifest_path(folder: &Path, name: &str) -> PathBuf {
    let path = if name.contains('/') { PathBuf::from(name) } else { folder.join(name) };
    // A name may contain dots of its own (a version), so the ending is added, not replaced.
    if path.extension().is_some_and(|e| e == "toml") {
        path
    } else {
        format!("{}.toml", path.display()).into()
    }
}

fn describe(manifest: &Manifest) -> ModelInfo {
    ModelInfo {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256: manifest.sha256.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_looked_for_in_the_folder_and_a_path_is_taken_as_it_is() {
        let folder = Path::new("/models");
        for (name, path) in [
            ("net-1.2", "/models/net-1.2.toml"),
            ("net.toml", "/models/net.toml"),
            ("./net", "./net.toml"),
            ("/elsewhere/net.toml", "/elsewhere/net.toml"),
        ] {
            assert_eq!(manifest_path(folder, name), Path::new(path), "{name}");
        }
    }
}
