//! Two emotion models that read each face, and the weighted mean of what both say.

use std::sync::Arc;

use image::RgbImage;
use zeroize::Zeroizing;

use super::{EmotionModel, Flip};
use emotiond_core::geometry::Face;
use emotiond_core::report::score::{Scores, Vocabulary};

/// Speaks with the vocabulary, and gives the embedding, of the first of two models.
pub struct BlendedEmotion {
    first: Box<dyn EmotionModel>,
    second: Box<dyn EmotionModel>,
    /// The weight of the second, 0..=1.
    weight: f32,
}

impl BlendedEmotion {
    /// Blends two models; heads that the second does not have, with the same labels, are those of the first.
    #[must_use]
    pub fn new(first: Box<dyn EmotionModel>, second: Box<dyn EmotionModel>, weight: f32) -> Self {
        Self { first, second, weight }
    }

    /// Whether there is anything that both say.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        let second = self.second.vocabulary();
        self.first.vocabulary().heads().any(|(head, _)| second.heads().any(|(other, _)| other == head))
    }
}

impl EmotionModel for BlendedEmotion {
    fn vocabulary(&self) -> Arc<Vocabulary> {
        self.first.vocabulary()
    }

    fn expect(&mut self, faces: usize) {
        self.first.expect(faces);
        self.second.expect(faces);
    }

    fn read(&mut self, picture: &RgbImage, face: &Face, flip: Flip) -> anyhow::Result<Scores> {
        let mut scores = self.first.read(picture, face, flip)?;
        scores.blend(&self.second.read(picture, face, flip)?, self.weight);
        Ok(scores)
    }

    fn embedding_length(&self) -> Option<usize> {
        self.first.embedding_length()
    }

    fn take_embedding(&mut self, into: &mut Zeroizing<Vec<f32>>) {
        self.first.take_embedding(into);
    }

    fn scrub(&mut self) {
        self.first.scrub();
        self.second.scrub();
    }
}
