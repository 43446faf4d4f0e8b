//! The tables of a network that reads sequences.

use std::time::Duration;

use serde::Deserialize;

use super::{Activation, HeadKind, RawHead};
use crate::inference::manifest::{SequenceHead, SequenceInput, SequenceSource, Source};
use emotiond_core::report::score::{SEQUENCE, ScoreHead, ScoreKind};
use emotiond_core::sequence::{SequenceSettings, StepLayout};

/// The most values of a track's steps: a megabyte each.
const LARGEST: usize = 1 << 18;

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

/// The one head of such a network.
pub(super) fn check_head(heads: Vec<RawHead>, input: &SequenceInput) -> Result<SequenceHead, String> {
    let Ok([head]) = <[RawHead; 1]>::try_from(heads) else {
        return Err("a sequence model needs exactly one [[head]]".to_owned());
    };
    let (kind, allowed) = match head.kind {
        HeadKind::Classes => (ScoreKind::Distribution, [Activation::None, Activation::Softmax]),
        HeadKind::Activations => (ScoreKind::Activations, [Activation::None, Activation::Sigmoid]),
        other => {
            return Err(format!("a sequence model has a head of kind classes or activations, not {other:?}"));
        }
    };
    if !allowed.contains(&head.activation) {
        return Err(format!("the head has activation {:?}; expected one of {allowed:?}", head.activation));
    }
    let plain = head.from.is_none()
        && head.temperature.is_none()
        && head.bias.is_none()
        && head.prior.is_none()
        && head.thresholds.is_none()
        && head.circumplex.is_none()
        && head.linear.is_none()
        && head.action_units.is_none();
    if !plain {
        return Err(
            "the head of a sequence model has kind, name, output, slice, labels and activation alone"
                .to_owned(),
        );
    }
    // They become parts of the names of signals and of keys in messages.
    let word = |text: &String| {
        !text.is_empty()
            && text.len() <= 40
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_')
    };
    let name = head.name.filter(word).ok_or("the head of a sequence model needs a name of a-z, 0-9 and _")?;
    let unique: std::collections::BTreeSet<_> = head.labels.iter().collect();
    if head.labels.is_empty() || unique.len() < head.labels.len() || !head.labels.iter().all(word) {
        return Err(format!(
            "the head has labels = {:?}; expected different words of a-z, 0-9 and _",
            head.labels
        ));
    }
    if name == "engagement" && !input.attention {
        return Err(
            "engagement is a measure of attention: it needs attention = true under [sequence]".to_owned()
        );
    }
    let Some(output) = head.output else { return Err("the head needs output = <index or name>".to_owned()) };
    Ok(SequenceHead {
        source: Source { output, slice: head.slice },
        activation: head.activation,
        scores: ScoreHead { name: format!("{SEQUENCE}{name}"), kind, labels: head.labels },
    })
}
