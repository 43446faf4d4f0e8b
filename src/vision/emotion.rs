//! Emotion scores of a face.

pub mod blend;
pub mod heads;
pub mod sequence;
pub mod small;

use std::path::Path;
use std::sync::Arc;

use anyhow::Context;
use image::RgbImage;
use zeroize::{Zeroize, Zeroizing};

use crate::capture::frame::warp::{Cropper, Square};
use crate::host::wipe::wipe;
use crate::inference::manifest::{Align, Crop, Head, Manifest, Task};
use crate::inference::{ModelError, Network};
use emotiond_core::geometry::{Face, FaceFrame, Point};
use emotiond_core::report::score::{Scores, Vocabulary};

/// How a face is shown to a model.
///
/// A network says slightly different things of a face and of its mirror image, although nothing that it is asked about
/// has a side; the mean of both is nearer to what raters say (`docs/decisions/0007-both-ways.md`).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flip {
    /// As the picture shows it.
    Plain,
    /// As a mirror would show it.
    Mirrored,
}

impl Flip {
    /// The other of the two.
    #[must_use]
    pub fn other(self) -> Self {
        match self {
            Self::Plain => Self::Mirrored,
            Self::Mirrored => Self::Plain,
        }
    }
}

/// Estimates the emotion that a face shows.
pub trait EmotionModel: Send {
    /// What the model can say.
    fn vocabulary(&self) -> Arc<Vocabulary>;

    /// How many faces of the picture are to be read, before the first of them is: a crowd may be read at less cost each.
    fn expect(&mut self, _faces: usize) {}

    /// The scores of one face of a picture: the model crops and aligns it as its manifest says.
    ///
    /// # Errors
    /// If the network cannot be run.
    fn read(&mut self, picture: &RgbImage, face: &Face, flip: Flip) -> anyhow::Result<Scores>;

    /// The mean of the plain and the mirrored reading: twice the work of [`read`](Self::read), for a single picture.
    ///
    /// # Errors
    /// If the network cannot be run.
    fn read_both_ways(&mut self, picture: &RgbImage, face: &Face) -> anyhow::Result<Scores> {
        let mut scores = self.read(picture, face, Flip::Plain)?;
        scores.approach(&self.read(picture, face, Flip::Mirrored)?, 0.5);
        Ok(scores)
    }

    /// The number of values that describe a face as a whole, if the model gives any.
    fn embedding_length(&self) -> Option<usize> {
        None
    }

    /// Moves the embedding of the face that was read last to `into`, of which it is then the only copy outside of the
    /// network; nothing if the model gives none.
    fn take_embedding(&mut self, into: &mut Zeroizing<Vec<f32>>) {
        into.zeroize();
    }

    /// Overwrites what is left in memory of the last face.
    fn scrub(&mut self) {}
}

/// A TensorFlow Lite network of any shape that a manifest describes.
#[derive(Debug)]
pub struct TfliteEmotion {
    network: Network,
    crop: Crop,
    heads: Vec<Head>,
    /// Per head: the index of its tensor, its first value and the number of its values; `None` for a read-out.
    sources: Vec<Option<(usize, usize, usize)>>,
    /// The output that is the embedding.
    embedding: Option<usize>,
    vocabulary: Arc<Vocabulary>,
    cropper: Cropper,
    pixels: Vec<u8>,
    outputs: Vec<Vec<f32>>,
}

impl TfliteEmotion {
    /// Loads the emotion model that a manifest describes.
    ///
    /// # Errors
    /// If the manifest is not one of an emotion model, or the model file does not fit it.
    pub fn load(manifest: &Path) -> Result<Self, ModelError> {
        let manifest = Manifest::read(manifest)?;
        let Task::Emotion { crop, heads, embedding } = manifest.task.clone() else {
            let reason = "expected kind = \"emotion\"".to_owned();
            return Err(ModelError::Manifest { path: manifest.path, reason });
        };
        let pixels = vec![0; manifest.input.width as usize * manifest.input.height as usize * 3];
        let network = Network::load(manifest)?;
        let sources = heads.iter().map(|head| locate(&network, head)).collect::<Result<_, _>>()?;
        let embedding = embedding.map(|output| network.find_output(&output)).transpose()?;
        let vocabulary = Arc::new(heads::vocabulary(&heads));
        let outputs = vec![Vec::new(); network.outputs().len()];
        Ok(Self {
            network,
            crop,
            heads,
            sources,
            embedding,
            vocabulary,
            cropper: Cropper::default(),
            pixels,
            outputs,
        })
    }

    /// The manifest it was loaded by.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.network.manifest()
    }
}

impl EmotionModel for TfliteEmotion {
    fn vocabulary(&self) -> Arc<Vocabulary> {
        Arc::clone(&self.vocabulary)
    }

    fn read(&mut self, picture: &RgbImage, face: &Face, flip: Flip) -> anyhow::Result<Scores> {
        let input = &self.network.manifest().input;
        let square = square(&self.crop, face, flip);
        let mirrored = flip == Flip::Mirrored;
        self.cropper.crop(picture, &square, (input.width, input.height), mirrored, &mut self.pixels);
        let run = self.network.run(&self.pixels);
        wipe(&mut self.pixels);
        run.context("failed to read the emotion of a face")?;
        for (index, output) in self.outputs.iter_mut().enumerate() {
            self.network.read(index, output)?;
        }
        let values: Vec<&[f32]> = self
            .sources
            .iter()
            .map(|source| {
                source.map_or(&[][..], |(index, start, len)| &self.outputs[index][start..start + len])
            })
            .collect();
        heads::read(&self.heads, &self.vocabulary, &values)
            .with_context(|| format!("failed to read the outputs of {}", self.network.manifest().name))
    }

    fn embedding_length(&self) -> Option<usize> {
        self.embedding.map(|index| self.network.outputs()[index].len())
    }

    fn take_embedding(&mut self, into: &mut Zeroizing<Vec<f32>>) {
        into.zeroize();
        if let Some(index) = self.embedding {
            into.extend_from_slice(&self.outputs[index]);
            self.outputs[index].zeroize();
        }
    }

    fn scrub(&mut self) {
        self.outputs.iter_mut().for_each(Zeroize::zeroize);
        let _ran = self.network.scrub();
    }
}

/// The square of a picture that a model is to see of a face.
#[must_use]
pub fn square(crop: &Crop, face: &Face, flip: Flip) -> Square {
    let scale = match (flip, crop.mirrored_scale) {
        (Flip::Mirrored, Some(scale)) => scale,
        _ => crop.scale,
    };
    let boxed = |angle| FaceFrame {
        center: face.bounds.center(),
        unit: face.bounds.width.max(face.bounds.height),
        angle,
    };
    let FaceFrame { center, unit, angle } = match crop.align {
        Align::Landmarks => face.frame(),
        Align::Eyes => boxed(face.roll()),
        Align::None => boxed(0.0),
    };
    let (sin, cos) = angle.sin_cos();
    let [x, y] = crop.offset.map(|offset| offset * unit);
    Square {
        center: Point { x: center.x + cos * x - sin * y, y: center.y + sin * x + cos * y },
        side: scale * unit,
        angle,
    }
}

/// Where a head's values are, checked against the file.
fn locate(network: &Network, head: &Head) -> Result<Option<(usize, usize, usize)>, ModelError> {
    let (Head::Expression { source, .. }
    | Head::ActionUnits { source, .. }
    | Head::ValenceArousal { source, .. }) = head
    else {
        return Ok(None);
    };
    let wanted = heads::values(head).expect("a head with a source takes values");
    network.locate(source, wanted).map(Some)
}

#[cfg(test)]
#[path = "emotion_tests.rs"]
mod tests;
