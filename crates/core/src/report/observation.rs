//! What was seen of one face in one frame, as plain numbers: the currency between vision and summary.
//!
//! Nothing here can identify a person or rebuild a picture: a track number that lives in memory only, a flag, and scores.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;

/// The eight expressions of the wire format, whatever a model calls its classes (FER+ and `AffectNet` names).
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Expression {
    /// No visible expression.
    Neutral,
    /// Happiness.
    Happiness,
    /// Surprise.
    Surprise,
    /// Sadness.
    Sadness,
    /// Anger.
    Anger,
    /// Disgust.
    Disgust,
    /// Fear.
    Fear,
    /// Contempt.
    Contempt,
}

impl Expression {
    /// All expressions in the order of the wire format; `ALL[e as usize] == e`.
    pub const ALL: [Self; 8] = [
        Self::Neutral,
        Self::Happiness,
        Self::Surprise,
        Self::Sadness,
        Self::Anger,
        Self::Disgust,
        Self::Fear,
        Self::Contempt,
    ];

    /// The name on the wire, in configs and in manifests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Happiness => "happiness",
            Self::Surprise => "surprise",
            Self::Sadness => "sadness",
            Self::Anger => "anger",
            Self::Disgust => "disgust",
            Self::Fear => "fear",
            Self::Contempt => "contempt",
        }
    }
}

impl core::fmt::Display for Expression {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

impl core::str::FromStr for Expression {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|e| e.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|e| e.name()).collect();
            format!("unknown expression {name:?}; the names are {}", names.join(", "))
        })
    }
}

/// What a model can say, fixed when it is loaded: the classes it has and the names of its action units.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Vocabulary {
    /// The expressions the model has, in wire order; empty if it has no expression head.
    pub expressions: Vec<Expression>,
    /// Whether it gives valence and arousal.
    pub valence_arousal: bool,
    /// The names of its action units ("AU12"), in the order of [`Emotion::action_units`].
    pub action_units: Vec<String>,
}

/// The emotion scores of one face at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Emotion {
    /// Probabilities indexed by `Expression as usize`, summing to 1; 0 for a class the model lacks.
    /// `None` if the model has no expression head.
    pub expression: Option<[f32; 8]>,
    /// Valence and arousal, each in -1..=1, if the model gives them.
    pub valence_arousal: Option<[f32; 2]>,
    /// Action unit activations in 0..=1, in the order of [`Vocabulary::action_units`]; empty if the model has none.
    pub action_units: Vec<f32>,
}

impl Emotion {
    /// Whether every score is a number. A broken model's NaN must not poison a whole window's means.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        let expression = self.expression.iter().flatten();
        expression
            .chain(self.valence_arousal.iter().flatten())
            .chain(&self.action_units)
            .all(|p| p.is_finite())
    }

    /// Moves every score towards another reading of the same model by a share of the difference, 0 (not at all) to 1.
    /// A head that only one of the two has is taken as the other has it.
    pub fn approach(&mut self, other: &Self, share: f64) {
        let mix = |old: f32, new: f32| (f64::from(old) + share * (f64::from(new) - f64::from(old))) as f32;
        self.expression = mix_arrays(self.expression, other.expression, mix);
        self.valence_arousal = mix_arrays(self.valence_arousal, other.valence_arousal, mix);
        if self.action_units.len() == other.action_units.len() {
            for (old, new) in self.action_units.iter_mut().zip(&other.action_units) {
                *old = mix(*old, *new);
            }
        } else {
            self.action_units.clone_from(&other.action_units);
        }
    }
}

fn mix_arrays<const N: usize>(
    old: Option<[f32; N]>,
    new: Option<[f32; N]>,
    mix: impl Fn(f32, f32) -> f32,
) -> Option<[f32; N]> {
    match (old, new) {
        (Some(old), Some(new)) => Some(core::array::from_fn(|i| mix(old[i], new[i]))),
        (_, new) => new,
    }
}

/// Identifies a track within this run of the process. Never leaves it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrackId(pub u64);

/// One tracked face in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Which track.
    pub track: TrackId,
    /// Whether the head is turned towards the camera.
    pub facing: bool,
    /// The smoothed scores; `None` where the face was too small or too far turned to classify, or the site forbids it.
    pub emotion: Option<Emotion>,
}

/// Faces that were found and counted, but not classified.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Skipped {
    /// Faces under the minimum size.
    pub small: u32,
    /// Faces too far turned away.
    pub turned: u32,
}

/// Everything one analysed frame says.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameAnalysis {
    /// When the frame was captured.
    pub at: Moment,
    /// The tracked faces in it.
    pub faces: Vec<Observation>,
    /// Faces not classified in this frame (they are among `faces`, with no emotion).
    pub skipped: Skipped,
    /// What the model can say; shared by all scenes of a run.
    pub vocabulary: Arc<Vocabulary>,
}

/// What the camera is doing, as a consumer of summaries needs to know it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraState {
    /// Pictures arrive.
    Ok,
    /// Pictures arrive but show nothing: a covered lens or a dark room.
    Blind,
    /// No pictures: unplugged, stalled, or taken by another program.
    Lost,
    /// Closed on request.
    Paused,
}
