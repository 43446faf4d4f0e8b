//! What a trigger can watch, and its value in one frame.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::report::observation::{Expression, FrameAnalysis};
use crate::report::summary::EmotionPolicy;

/// The name of a signal, as it stands in a config.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Signal {
    /// `expression.<name>`.
    Expression(Expression),
    /// `valence`.
    Valence,
    /// `arousal`.
    Arousal,
    /// `action_units.<AU>`.
    ActionUnit(String),
    /// `faces`.
    Faces,
    /// `facing`.
    Facing,
}

impl Signal {
    /// Whether the signal says something about emotion, so that a site may forbid it.
    #[must_use]
    pub fn is_emotion(&self) -> bool {
        !matches!(self, Self::Faces | Self::Facing)
    }
}

impl core::fmt::Display for Signal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Expression(expression) => write!(f, "expression.{expression}"),
            Self::Valence => f.write_str("valence"),
            Self::Arousal => f.write_str("arousal"),
            Self::ActionUnit(unit) => write!(f, "action_units.{unit}"),
            Self::Faces => f.write_str("faces"),
            Self::Facing => f.write_str("facing"),
        }
    }
}

impl core::str::FromStr for Signal {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name.split_once('.') {
            Some(("expression", expression)) => expression.parse().map(Self::Expression),
            Some(("action_units", unit)) if !unit.is_empty() => Ok(Self::ActionUnit(unit.to_owned())),
            None if name == "valence" => Ok(Self::Valence),
            None if name == "arousal" => Ok(Self::Arousal),
            None if name == "faces" => Ok(Self::Faces),
            None if name == "facing" => Ok(Self::Facing),
            _ => Err(format!(
                "unknown signal {name:?}; the signals are expression.<name>, action_units.<AU>, valence, arousal, \
                 faces and facing"
            )),
        }
    }
}

/// What privacy lets through to triggers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Gate {
    /// Whether the site allows emotion signals.
    pub emotion: EmotionPolicy,
    /// Whether `facing` may be used.
    pub facing: bool,
    /// A frame with fewer faces gives no emotion signal.
    pub min_people: u32,
}

/// The values of all signals in one frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    expression: [Option<f64>; 8],
    valence_arousal: Option<[f64; 2]>,
    action_units: BTreeMap<String, f64>,
    faces: Option<f64>,
    facing: Option<f64>,
}

impl Signals {
    /// No value for any signal: there is no picture to speak of.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The signals of one frame, as far as privacy lets them through.
    #[must_use]
    pub fn of(analysis: &FrameAnalysis, gate: &Gate) -> Self {
        let count = analysis.faces.len();
        let facing = analysis.faces.iter().filter(|face| face.facing).count();
        let mut signals = Self {
            faces: Some(count as f64),
            facing: (gate.facing && count > 0).then(|| facing as f64 / count as f64),
            ..Self::default()
        };
        if gate.emotion == EmotionPolicy::Forbidden || (count as u64) < u64::from(gate.min_people) {
            return signals;
        }
        let (mut sum, mut scored) = ([0.0; 2], 0);
        for emotion in
            analysis.faces.iter().filter_map(|face| face.emotion.as_ref()).filter(|e| e.is_finite())
        {
            // A class the model lacks has no value, rather than one that is below every level.
            if let Some(scores) = emotion.expression {
                for &expression in &analysis.vocabulary.expressions {
                    let peak = signals.expression[expression as usize].get_or_insert(0.0);
                    *peak = peak.max(f64::from(scores[expression as usize]));
                }
            }
            if let Some([valence, arousal]) = emotion.valence_arousal {
                sum = [sum[0] + f64::from(valence), sum[1] + f64::from(arousal)];
                scored += 1;
            }
            for (name, &score) in analysis.vocabulary.action_units.iter().zip(&emotion.action_units) {
                let peak = signals.action_units.entry(name.clone()).or_insert(0.0);
                *peak = peak.max(f64::from(score));
            }
        }
        signals.valence_arousal = (scored > 0).then(|| sum.map(|sum| sum / f64::from(scored)));
        signals
    }

    /// The value of a signal, if it has one.
    #[must_use]
    pub fn get(&self, signal: &Signal) -> Option<f64> {
        match signal {
            Signal::Expression(expression) => self.expression[*expression as usize],
            Signal::Valence => self.valence_arousal.map(|values| values[0]),
            Signal::Arousal => self.valence_arousal.map(|values| values[1]),
            Signal::ActionUnit(unit) => self.action_units.get(unit).copied(),
            Signal::Faces => self.faces,
            Signal::Facing => self.facing,
        }
    }
}
