//! What a trigger can watch, and its value in one frame.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::report::observation::FrameAnalysis;
use crate::report::policy::Policy;
use crate::report::score::{self, ScoreKind, Scores, Vocabulary};
use crate::report::visits::{Staying, Visits};

/// The name of a signal, as it stands in a config.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Signal {
    /// A score by its name in a vocabulary, such as `expression.happiness`, `action_units.AU12` or `valence`.
    Score(String),
    /// `faces`.
    Faces,
    /// `facing`.
    Facing,
    /// `people`.
    People,
    /// `visit`: has no level; its starts and ends are those of each visit.
    Visit,
    /// `dwell`.
    Dwell,
}

impl core::fmt::Display for Signal {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Score(name) => name,
            Self::Faces => "faces",
            Self::Facing => "facing",
            Self::People => "people",
            Self::Visit => "visit",
            Self::Dwell => "dwell",
        })
    }
}

impl core::str::FromStr for Signal {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        match name {
            "faces" => Ok(Self::Faces),
            "facing" => Ok(Self::Facing),
            "people" => Ok(Self::People),
            "visit" => Ok(Self::Visit),
            "dwell" => Ok(Self::Dwell),
            score => score::check_signal(score).map(|()| Self::Score(score.to_owned())),
        }
    }
}

/// The values of all signals in one frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Signals {
    scores: Option<SceneScores>,
    /// Of each network that reads sequences.
    sequences: Vec<SceneScores>,
    faces: Option<f64>,
    facing: Option<f64>,
    people: Option<f64>,
    dwell: Option<f64>,
    /// The visits under way that may be told of.
    pub(super) staying: Vec<Staying>,
}

/// One number for each score of a vocabulary: what the faces of a frame show together.
#[derive(Clone, Debug, PartialEq)]
struct SceneScores {
    vocabulary: Arc<Vocabulary>,
    values: Vec<f64>,
}

impl SceneScores {
    /// The mean of signed scores and the greatest of others; `None` without a face that has scores.
    fn of<'a>(mut faces: impl Iterator<Item = &'a Scores>) -> Option<Self> {
        let first = faces.next()?;
        let vocabulary = Arc::clone(first.vocabulary());
        let mut values: Vec<f64> = first.values().iter().copied().map(f64::from).collect();
        let mut count = 1.0;
        for scores in faces.filter(|scores| *scores.vocabulary() == vocabulary) {
            count += 1.0;
            for (head, range) in vocabulary.heads() {
                for (value, score) in values[range.clone()].iter_mut().zip(&scores.values()[range]) {
                    *value = match head.kind {
                        ScoreKind::Signed => *value + f64::from(*score),
                        ScoreKind::Distribution | ScoreKind::Activations => value.max(f64::from(*score)),
                    };
                }
            }
        }
        for (_, range) in vocabulary.heads().filter(|(head, _)| head.kind == ScoreKind::Signed) {
            values[range].iter_mut().for_each(|sum| *sum /= count);
        }
        Some(Self { vocabulary, values })
    }

    /// One for each network that reads sequences.
    fn of_sequences(analysis: &FrameAnalysis) -> Vec<Self> {
        let all =
            || analysis.faces.iter().flat_map(|face| &face.sequences).filter(|scores| scores.is_finite());
        let mut found: Vec<Self> = Vec::new();
        for scores in all() {
            if found.iter().all(|known| known.vocabulary != *scores.vocabulary()) {
                let alike = all().filter(|other| other.vocabulary() == scores.vocabulary());
                found.extend(Self::of(alike));
            }
        }
        found
    }
}

impl Signals {
    /// No value for any signal: there is no picture to speak of.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The signals of one frame, as far as the policy lets them through.
    #[must_use]
    pub fn of(analysis: &FrameAnalysis, policy: &Policy) -> Self {
        let count = analysis.faces.len();
        let facing = analysis.faces.iter().filter(|face| face.facing).count();
        let people = u32::try_from(count).unwrap_or(u32::MAX);
        let scores = analysis.faces.iter().filter_map(|face| face.scores.as_ref());
        let suppressed = policy.suppresses(people).is_some();
        Self {
            scores: SceneScores::of(scores.filter(|scores| !suppressed && scores.is_finite())),
            sequences: if suppressed { Vec::new() } else { SceneScores::of_sequences(analysis) },
            faces: Some(count as f64),
            facing: (policy.facing && count > 0).then(|| facing as f64 / count as f64),
            ..Self::default()
        }
    }

    /// The same with the visits under way after that frame.
    #[must_use]
    pub fn with_visits(self, visits: &Visits, policy: &Policy) -> Self {
        let staying: Vec<Staying> = visits.staying().collect();
        let enough = staying.len() as u64 >= u64::from(policy.min_people);
        let longest = staying.iter().map(|visit| visit.dwell).max();
        Self {
            people: Some(staying.len() as f64),
            dwell: longest.filter(|_| enough).map(|dwell| dwell.as_secs_f64()),
            staying: staying.into_iter().filter(|visit| visit.company >= policy.min_people).collect(),
            ..self
        }
    }

    /// The value of a signal, if it has one.
    #[must_use]
    pub fn get(&self, signal: &Signal) -> Option<f64> {
        match signal {
            Signal::Score(name) => {
                let value = |scores: &SceneScores| Some(scores.values[scores.vocabulary.place(name)?]);
                self.scores.iter().chain(&self.sequences).find_map(value)
            }
            Signal::Faces => self.faces,
            Signal::Facing => self.facing,
            Signal::People | Signal::Visit => self.people,
            Signal::Dwell => self.dwell,
        }
    }
}
