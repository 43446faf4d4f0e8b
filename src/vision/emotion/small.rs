//! Two networks that say the same things of a face: one with a large input, and one with a small input for a crowd, whose
//! faces have no more pixels than that (`docs/decisions/0021-small-faces.md`).

use std::path::Path;
use std::sync::Arc;

use image::RgbImage;

use super::{EmotionModel, Flip, TfliteEmotion, square};
use crate::inference::ModelError;
use crate::inference::manifest::{self, Manifest};
use emotiond_core::geometry::Face;
use emotiond_core::report::score::{Scores, Vocabulary};

/// What is at the end of the name of the manifest for small faces.
const ENDING: &str = "-small";

/// So many faces are read by the large network, whatever their size.
const FEW: usize = 3;

/// Reads the small faces of a crowd with a network of their own.
struct SizedEmotion {
    large: TfliteEmotion,
    small: TfliteEmotion,
    /// Whether there are more faces in the picture than a few.
    crowd: bool,
}

impl SizedEmotion {
    fn of(&mut self, face: &Face) -> &mut TfliteEmotion {
        let (crop, input) = (&self.small.crop, &self.small.manifest().input);
        // A larger input would show no more of the picture than the crop's own pixels do.
        let holds_all = square(crop, face, Flip::Plain).side <= input.width.min(input.height) as f32;
        if self.crowd && holds_all { &mut self.small } else { &mut self.large }
    }
}

impl EmotionModel for SizedEmotion {
    fn vocabulary(&self) -> Arc<Vocabulary> {
        self.large.vocabulary()
    }

    fn expect(&mut self, faces: usize) {
        self.crowd = faces > FEW;
    }

    fn read(&mut self, picture: &RgbImage, face: &Face, flip: Flip) -> anyhow::Result<Scores> {
        self.of(face).read(picture, face, flip)
    }

    fn scrub(&mut self) {
        self.large.scrub();
        self.small.scrub();
    }
}

/// Opens the emotion model that a manifest describes, by the manifest's name in `folder` or by its path, and the manifests
/// of its networks.
///
/// Beside it there may be one for the small faces of a crowd, whose manifest has `-small` at the end of its name. A model
/// with an embedding does without: embeddings of two networks cannot be compared.
///
/// One of another version, or with other heads, is left alone: whoever puts his own network in the place of the large one
/// has not taught the small one.
///
/// # Errors
/// If a file does not fit its manifest.
pub fn open(folder: &Path, name: &str) -> Result<(Box<dyn EmotionModel>, Vec<Manifest>), ModelError> {
    let large = TfliteEmotion::load(&manifest::locate(folder, name))?;
    let mut manifests = vec![large.manifest().clone()];
    let path = manifest::locate(folder, &format!("{}{ENDING}", name.strip_suffix(".toml").unwrap_or(name)));
    if large.embedding.is_some() || !path.exists() {
        return Ok((Box::new(large), manifests));
    }
    let small = TfliteEmotion::load(&path)?;
    let (of, by) = (large.manifest(), small.manifest());
    if by.version != of.version || small.vocabulary() != large.vocabulary() {
        log::warn!(
            "{} {} is not used: version, heads and labels have to be those of {} {} beside it",
            by.name,
            by.version,
            of.name,
            of.version
        );
        return Ok((Box::new(large), manifests));
    }
    manifests.push(small.manifest().clone());
    Ok((Box::new(SizedEmotion { large, small, crowd: false }), manifests))
}
