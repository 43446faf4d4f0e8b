//! The manifest beside every model file: what the network takes, what it gives, and where it comes from.
//!
//! Parsed from TOML into [`Manifest`], which can only be built valid. Adding a model is adding two files.

mod raw;
mod sequence;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::error::ModelError;
use crate::host::file;
use emotiond_core::report::expression::Expression;
pub use sequence::{SequenceHead, SequenceInput, SequenceSource};

/// The largest manifest, in bytes: a hundred times what the shipped ones take.
const LARGEST: u64 = 256 << 10;

/// A checked manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    /// Where it was read from.
    pub path: PathBuf,
    /// The model's name, as log lines and `info` call it.
    pub name: String,
    /// The model's own version.
    pub version: String,
    /// The model file, beside the manifest.
    pub file: PathBuf,
    /// SHA-256 of the model file, 64 lower-case hexadecimal digits.
    pub sha256: String,
    /// Licence of the weights.
    pub licence: String,
    /// Where the file comes from.
    pub source: String,
    /// The data sets the network was trained on, with their terms.
    pub training_data: Vec<String>,
    /// The network's input; of one that reads sequences, which has no picture, nothing.
    pub input: NetworkInput,
    /// What the network is for.
    pub task: Task,
}

/// What a network is for.
#[derive(Clone, Debug)]
pub enum Task {
    /// Finding faces in a picture.
    FaceDetector(YunetDetector),
    /// Reading emotion off the crop of a face.
    Emotion {
        /// How the face is cut out.
        crop: Crop,
        /// What the outputs mean.
        heads: Vec<Head>,
        /// The output that describes the face as a whole, for networks that read sequences. It stays in memory.
        embedding: Option<OutputRef>,
    },
    /// Reading the last seconds of what the emotion model says of one face.
    Sequence(SequenceInput, SequenceHead),
}

/// The one input tensor: NHWC, batch 1.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkInput {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// Order of the channels.
    pub color: Color,
    /// Per channel in the tensor's order, or one for all: the network takes `(pixel - mean) / std`, pixels in 0..=255.
    pub mean: Vec<f32>,
    /// See `mean`.
    pub std: Vec<f32>,
}

/// Order of an input tensor's channels.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Color {
    /// Red, green, blue.
    Rgb,
    /// Blue, green, red.
    Bgr,
    /// One channel of luma (ITU-R BT.601).
    Gray,
}

impl Color {
    /// The number of channels.
    #[must_use]
    pub fn channels(self) -> usize {
        if self == Self::Gray { 1 } else { 3 }
    }
}

/// The square cut out around a face: `scale` and `offset` are in units of the longer side of the detector's box or, with
/// [`Align::Landmarks`], of the face's frame ([`emotiond_core::geometry::FaceFrame`]).
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Crop {
    /// What it follows.
    pub align: Align,
    /// Side of the square.
    pub scale: f32,
    /// The same for the face's mirror image, if it is another: two looks that differ more err less alike.
    pub mirrored_scale: Option<f32>,
    /// Shift of the square's centre from the box's or the frame's, along the turned axes.
    #[serde(default)]
    pub offset: [f32; 2],
}

/// What a crop follows.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Align {
    /// The eyes and the mouth, whatever the detector's box.
    Landmarks,
    /// The box, turned so that the line through the eyes becomes horizontal.
    Eyes,
    /// The box as it stands.
    None,
}

/// An anchor-free detector: each cell of each level gives 16 numbers, the logits of class and objectness, the box's
/// centre and the logarithm of its size, and five points, all from the cell's corner in strides.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct YunetDetector {
    /// Stride of each level in input pixels.
    pub strides: Vec<u32>,
    /// The tensor of each level, rows × columns × 16.
    pub outputs: Vec<OutputRef>,
    /// The least score of a face, 0..=1.
    pub min_score: f32,
    /// Boxes overlapping by more than this (intersection over union) are one face.
    pub overlap: f32,
}

/// Names an output tensor: its index as the TensorFlow Lite C API lists them, or its name in the file.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(untagged)]
pub enum OutputRef {
    /// By index.
    Index(usize),
    /// By name.
    Name(String),
}

/// The part of an output tensor that a head reads.
#[derive(Clone, Debug)]
pub struct Source {
    /// The tensor.
    pub output: OutputRef,
    /// First element and number of elements of the flattened tensor; all of it without.
    pub slice: Option<[usize; 2]>,
}

/// The function between a network's raw output and its meaning.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Already applied in the file.
    #[default]
    None,
    /// Logits to a distribution.
    Softmax,
    /// Logits to independent probabilities.
    Sigmoid,
    /// To -1..=1.
    Tanh,
}

/// What an output means.
#[derive(Clone, Debug)]
pub enum Head {
    /// A distribution over expressions.
    Expression {
        /// Where it is.
        source: Source,
        /// The classes in the tensor's order.
        labels: Vec<Expression>,
        /// None, softmax or sigmoid.
        activation: Activation,
        /// Divides logits before the softmax: one number, or one for each label.
        temperature: Vec<f32>,
        /// Added to the logits after that, one number for each label.
        bias: Option<Vec<f32>>,
        /// The class prior of the training, divided out of the probabilities.
        prior: Option<Vec<f32>>,
    },
    /// Facial action units (FACS), each 0..=1.
    ActionUnits {
        /// Where they are.
        source: Source,
        /// Their names in the tensor's order.
        labels: Vec<String>,
        /// None or sigmoid.
        activation: Activation,
        /// The activation of each from which on it is there; it becomes 0.5.
        thresholds: Option<Vec<f32>>,
    },
    /// Valence and arousal as two numbers of a tensor, -1..=1.
    ValenceArousal {
        /// Where they are.
        source: Source,
        /// None or tanh.
        activation: Activation,
        /// One row for valence and one for arousal: a weight for each raw value of the expression head, in the tensor's
        /// order, two for those of this one, and a bias. The activation comes after that.
        linear: Option<[Vec<f32>; 2]>,
    },
    /// Valence and arousal read out of the expression distribution: the expectation of a point per expression.
    Circumplex {
        /// Valence and arousal of each expression of the model.
        points: BTreeMap<Expression, [f32; 2]>,
        /// Valence and arousal added per unit of activation of an action unit.
        action_units: BTreeMap<String, [f32; 2]>,
    },
}

/// The manifest that a name (in `folder`) or a path (with a slash) stands for.
#[must_use]
pub fn locate(folder: &Path, name: &str) -> PathBuf {
    let path = if name.contains('/') { PathBuf::from(name) } else { folder.join(name) };
    // A name may contain dots of its own (a version), so the ending is added, not replaced.
    if path.extension().is_some_and(|e| e == "toml") {
        path
    } else {
        format!("{}.toml", path.display()).into()
    }
}

impl Manifest {
    /// Reads and checks a manifest.
    ///
    /// # Errors
    /// If the file cannot be read, is not a manifest of this format, or contradicts itself.
    pub fn read(path: &Path) -> Result<Self, ModelError> {
        let text = file::read_text(path, LARGEST)
            .map_err(|error| ModelError::Unreadable { path: path.to_owned(), error })?;
        Self::parse(path, &text)
    }

    /// Checks the text of a manifest; `path` says where the model file is to be looked for, and is named in errors.
    ///
    /// # Errors
    /// If the text is not a manifest of this format, or contradicts itself.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ModelError> {
        toml::from_str::<raw::RawManifest>(text)
            .map_err(|error| error.to_string())
            .and_then(|raw| raw.check(path))
            .map_err(|reason| ModelError::Manifest { path: path.to_owned(), reason })
    }
}

#[cfg(test)]
mod tests;
