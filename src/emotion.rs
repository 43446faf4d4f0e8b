//! Emotion scores of a face.

use std::sync::Arc;

use image::RgbImage;

use crate::geometry::Face;
use crate::observation::{Emotion, Vocabulary};

/// Reads emotion off a face.
pub trait EmotionModel: Send {
    /// What the model can say.
    fn vocabulary(&self) -> Arc<Vocabulary>;

    /// The scores of one face of a picture: the model crops and aligns it as its manifest says.
    ///
    /// # Errors
    /// If the network cannot be run.
    fn read(&mut self, picture: &RgbImage, face: &Face) -> anyhow::Result<Emotion>;
}
