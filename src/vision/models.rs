//! Which models a configuration names, opened: the detector always, the emotion model only where the law allows it.

use crate::inference::ModelError;
pub use crate::inference::manifest::locate as manifest_path;
use crate::inference::manifest::{Manifest, Task};
use crate::vision::detect::{CameraRange, FaceDetector};
use crate::vision::emotion::blend::BlendedEmotion;
use crate::vision::emotion::sequence::Sequences;
use crate::vision::emotion::{EmotionModel, small};
use emotiond_core::report::payload::ModelInfo;
use emotiond_core::report::policy::Policy;
use std::path::PathBuf;

/// Which models to load.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelSettings {
    /// Folder of the manifests.
    pub directory: PathBuf,
    /// Face detector: a manifest's name or path.
    pub detector: String,
    /// How far away faces are.
    pub range: CameraRange,
    /// Emotion model: a manifest's name or path.
    pub emotion: String,
    /// A second emotion model, likewise, whose scores are blended in with this weight, 0..=1.
    pub blend: Option<(String, f32)>,
    /// Models that read sequences of what it says, likewise.
    pub sequences: Vec<String>,
}

/// Opened models and what `info` says of them.
pub struct Models {
    /// Finds faces.
    pub detector: Box<dyn FaceDetector>,
    /// Reads emotion; `None` where the site forbids it.
    pub emotion: Option<Box<dyn EmotionModel>>,
    /// Read the last seconds of what that says; none where the site forbids it.
    pub sequences: Sequences,
    /// Name, version and digest of each opened file.
    pub info: Vec<ModelInfo>,
}

/// Opens the models; where the site forbids emotion, the files of models for it are not even looked for, and one that
/// measures attention is opened only where it may be said who looks and for how long.
///
/// # Errors
/// Names the file and the remedy.
pub fn open(settings: &ModelSettings, policy: &Policy) -> Result<Models, ModelError> {
    let folder = &settings.directory;
    let (detector, manifests) = settings.range.open(folder, &settings.detector)?;
    let mut info: Vec<_> = manifests.iter().map(describe).collect();
    let (mut emotion, mut sequences) = (None, Sequences::default());
    if policy.emotion {
        let mut load = |name: &str| -> Result<Box<dyn EmotionModel>, ModelError> {
            let (model, manifests) = small::open(folder, name)?;
            info.extend(manifests.iter().map(describe));
            Ok(model)
        };
        let mut model = load(&settings.emotion)?;
        if let Some((name, weight)) = &settings.blend {
            let blended = BlendedEmotion::new(model, load(name)?, *weight);
            if !blended.is_possible() {
                let reason =
                    "it has no head with the labels of one of models.emotion, so nothing can be blended"
                        .to_owned();
                return Err(ModelError::Manifest { path: manifest_path(folder, name), reason });
            }
            model = Box::new(blended);
        }
        for name in &settings.sequences {
            let manifest = Manifest::read(&manifest_path(folder, name))?;
            if let Task::Sequence(input, _) = &manifest.task
                && input.attention
                && !policy.watchers
            {
                log::warn!(
                    "the sequence model {name:?} measures attention, which `site` or `privacy` withholds; it is not opened"
                );
                continue;
            }
            info.push(describe(&manifest));
            sequences.open(manifest, model.as_ref())?;
        }
        emotion = Some(model);
    }
    Ok(Models { detector, emotion, sequences, info })
}

fn describe(manifest: &Manifest) -> ModelInfo {
    ModelInfo {
        name: manifest.name.clone(),
        version: manifest.version.clone(),
        sha256: manifest.sha256.clone(),
    }
}
