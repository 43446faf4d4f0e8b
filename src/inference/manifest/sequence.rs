//! Networks that read sequences: what their manifest says, and what has to hold.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Deserialize;

use super::{Activation, Source};
use emotiond_core::report::score::{SEQUENCE, ScoreHead, ScoreKind};
use emotiond_core::sequence::{SequenceSettings, StepLayout};

/// The most values of a track's steps: a megabyte each.
const LARGEST: usize = 1 << 18;

/// What a network that reads sequences takes.
#[derive(Clone, Debug)]
pub struct SequenceInput {
    /// What each step is made of.
    pub source: SequenceSource,
    /// Rate, number and layout of the steps.
    pub settings: SequenceSettings,
    /// The time between two runs for one face.
    pub every: Duration,
    /// Whether it measures attention, which a site may withhold where it allows emotion.
    pub attention: bool,
}

/// What each step of a sequence is made of.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceSource {
    /// Scores of the emotion model by the names of their signals.
    Scores(Vec<String>),
    /// The emotion model's embedding.
    Embedding,
}

/// What a network that reads sequences gives.
#[derive(Clone, Debug)]
pub struct SequenceHead {
    /// Where it is.
    pub source: Source,
    /// None, softmax or sigmoid.
    pub activation: Activation,
    /// What it means.
    pub scores: ScoreHead,
}

/// `[sequence]`, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SequenceTable {
    from: SequenceFrom,
    #[serde(default)]
    scores: Vec<String>,
    values: Option<usize>,
    rate: f64,
    steps: usize,
    least: Option<usize>,
    layout: LayoutName,
    #[serde(default = "second")]
    every: f64,
    #[serde(default)]
    attention: bool,
}

fn second() -> f64 {
    1.0
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum SequenceFrom {
    Scores,
    Embedding,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum LayoutName {
    Steps,
    DeviationAndSteps,
    Statistics,
}

impl SequenceTable {
    pub(super) fn check(self) -> Result<SequenceInput, String> {
        let (source, values) = match (self.from, self.values, self.scores) {
            (SequenceFrom::Scores, None, scores) if !scores.is_empty() => {
                let values = scores.len();
                (SequenceSource::Scores(scores), values)
            }
            (SequenceFrom::Embedding, Some(values), scores) if scores.is_empty() && values > 0 => {
                (SequenceSource::Embedding, values)
            }
            _ => {
                return Err(
                    "[sequence] takes from = \"scores\" with scores = [\"…\"], or from = \"embedding\" with \
                            values = <how many>"
                        .to_owned(),
                );
            }
        };
        let least = self.least.unwrap_or(self.steps);
        if !(0.1..=60.0).contains(&self.rate) {
            return Err(format!("[sequence] rate = {} is not in 0.1..=60", self.rate));
        }
        if !(0.1..=60.0).contains(&self.every) {
            return Err(format!("[sequence] every = {} is not in 0.1..=60", self.every));
        }
        if !(1..=4096).contains(&self.steps) || !(1..=self.steps).contains(&least) {
            let steps = self.steps;
            return Err(format!(
                "[sequence] steps = {steps} and least = {least}; 1 to 4096, and least at most steps"
            ));
        }
        if self.steps.saturating_mul(values) > LARGEST {
            return Err(format!(
                "[sequence] {} steps of {values} values are too many to keep; {LARGEST} numbers at most",
                self.steps
            ));
        }
        let layout = match self.layout {
            LayoutName::Steps => StepLayout::Steps,
            LayoutName::DeviationAndSteps => StepLayout::DeviationAndSteps,
            LayoutName::Statistics => StepLayout::Statistics,
        };
        Ok(SequenceInput {
            source,
            settings: SequenceSettings { rate: self.rate, steps: self.steps, least, values, layout },
            every: Duration::from_secs_f64(self.every),
            attention: self.attention,
        })
    }
}

impl SequenceHead {
    /// The one head of such a network.
    pub(super) fn check(
        kind: ScoreKind,
        name: Option<String>,
        labels: Vec<String>,
        source: Source,
        activation: Activation,
        input: &SequenceInput,
    ) -> Result<Self, String> {
        let allowed = match kind {
            ScoreKind::Activations => [Activation::None, Activation::Sigmoid],
            ScoreKind::Distribution | ScoreKind::Signed => [Activation::None, Activation::Softmax],
        };
        if !allowed.contains(&activation) {
            return Err(format!("the head has activation {activation:?}; expected one of {allowed:?}"));
        }
        // They become parts of the names of signals and of keys in messages.
        let word = |text: &String| {
            let letters = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
            !text.is_empty() && text.len() <= 40 && text.bytes().all(letters)
        };
        let name = name.filter(word).ok_or("the head of a sequence model needs a name of a-z, 0-9 and _")?;
        let unique: BTreeSet<_> = labels.iter().collect();
        if labels.is_empty() || unique.len() < labels.len() || !labels.iter().all(word) {
            return Err(format!(
                "the head has labels = {labels:?}; expected different words of a-z, 0-9 and _"
            ));
        }
        if name == "engagement" && !input.attention {
            return Err(
                "engagement is a measure of attention: it needs attention = true under [sequence]".to_owned()
            );
        }
        let scores = ScoreHead { name: format!("{SEQUENCE}{name}"), kind, labels };
        Ok(Self { source, activation, scores })
    }
}
