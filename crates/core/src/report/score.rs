//! What a model says of a face: numbers, and the description that gives them their names and meanings.
//!
//! Smoothing, windows and triggers work on the description, so that another score needs a manifest entry and a place in
//! the message, and nothing between the two.

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use crate::report::expression::{COMPOUNDS, Expression};

/// The name of the head with one probability for each expression.
pub const EXPRESSION: &str = "expression";
/// The name of the head with valence and arousal.
pub const VALENCE_AROUSAL: &str = "valence_arousal";
/// The name of the head with facial action units (FACS).
pub const ACTION_UNITS: &str = "action_units";
/// The name of the head with compound expressions.
pub(crate) const COMPOUND: &str = "compound";

/// How the names of heads of networks that read sequences begin; the rest is the network's own name for it.
pub const SEQUENCE: &str = "sequence.";

/// What the numbers of a head are.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ScoreKind {
    /// Probabilities of classes that exclude each other; 0..=1, summing to 1.
    Distribution,
    /// Numbers of their own with two ends; -1..=1.
    Signed,
    /// Numbers of their own that say how strongly something is there; 0..=1.
    Activations,
}

/// One head of a model: scores of one kind.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ScoreHead {
    /// Its name, the only one of its vocabulary.
    pub name: String,
    /// What its numbers are.
    pub kind: ScoreKind,
    /// The name of each number.
    pub labels: Vec<String>,
}

impl ScoreHead {
    /// A distribution over some of the expressions; its labels are in the order of the wire format, whatever the order
    /// of `expressions`.
    #[must_use]
    pub fn expression(expressions: &[Expression]) -> Self {
        let labels = Expression::ALL.into_iter().filter(|expression| expressions.contains(expression));
        Self {
            name: EXPRESSION.to_owned(),
            kind: ScoreKind::Distribution,
            labels: labels.map(|expression| expression.name().to_owned()).collect(),
        }
    }

    /// Valence and arousal.
    #[must_use]
    pub fn valence_arousal() -> Self {
        Self {
            name: VALENCE_AROUSAL.to_owned(),
            kind: ScoreKind::Signed,
            labels: ["valence", "arousal"].map(str::to_owned).into(),
        }
    }

    /// Action units ("AU12") in the order of a model.
    #[must_use]
    pub fn action_units(units: &[String]) -> Self {
        Self { name: ACTION_UNITS.to_owned(), kind: ScoreKind::Activations, labels: units.to_vec() }
    }

    /// The place of the label that a signal's name stands for: `valence` of a signed head, else `expression.happiness`.
    fn place(&self, signal: &str) -> Option<usize> {
        let label = match self.kind {
            ScoreKind::Signed => signal,
            ScoreKind::Distribution | ScoreKind::Activations => {
                signal.strip_prefix(self.name.as_str())?.strip_prefix('.')?
            }
        };
        self.labels.iter().position(|known| known == label)
    }
}

/// Checks the name of a score against what messages have a place for, so that a typing error in a configuration is found
/// before the models are opened. Whether a model has the score is another question: [`Vocabulary::place`].
///
/// # Errors
/// Says what is wrong with the name.
pub(crate) fn check_signal(name: &str) -> Result<(), String> {
    match name.split_once('.') {
        Some((EXPRESSION, expression)) => expression.parse::<Expression>().map(|_| ()),
        Some((ACTION_UNITS, unit)) if !unit.is_empty() => Ok(()),
        Some((COMPOUND, name)) if COMPOUNDS.iter().any(|(known, _)| *known == name) => Ok(()),
        // Which heads there are is known when their networks are opened.
        Some(("sequence", rest))
            if rest.split_once('.').is_some_and(|(head, label)| !head.is_empty() && !label.is_empty()) =>
        {
            Ok(())
        }
        None if ScoreHead::valence_arousal().place(name).is_some() => Ok(()),
        _ => Err(format!(
            "unknown signal {name:?}; the signals are expression.<name>, compound.<name>, action_units.<AU>, \
             sequence.<head>.<label>, valence, arousal, faces, facing, people, visit and dwell"
        )),
    }
}

/// What a model can say, fixed when it is loaded: its heads, in the order of the numbers of [`Scores`].
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Vocabulary {
    heads: Vec<ScoreHead>,
}

impl Vocabulary {
    /// The vocabulary of a model with these heads.
    #[must_use]
    pub fn new(heads: Vec<ScoreHead>) -> Self {
        Self { heads }
    }

    /// The number of scores of one face.
    #[must_use]
    pub fn scores(&self) -> usize {
        self.heads.iter().map(|head| head.labels.len()).sum()
    }

    /// Each head with the place of its scores.
    pub fn heads(&self) -> impl Iterator<Item = (&ScoreHead, Range<usize>)> {
        self.heads.iter().scan(0, |start, head| {
            let range = *start..*start + head.labels.len();
            *start = range.end;
            Some((head, range))
        })
    }

    /// A head by its name, with the place of its scores.
    #[must_use]
    pub fn head(&self, name: &str) -> Option<(&ScoreHead, Range<usize>)> {
        self.heads().find(|(head, _)| head.name == name)
    }

    /// The place of the score that a signal's name stands for, such as `valence` or `expression.happiness`.
    #[must_use]
    pub fn place(&self, signal: &str) -> Option<usize> {
        self.heads().find_map(|(head, range)| Some(range.start + head.place(signal)?))
    }
}

/// The scores of one face at one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct Scores {
    vocabulary: Arc<Vocabulary>,
    values: Vec<f32>,
}

impl Scores {
    /// Scores in the order of the vocabulary.
    ///
    /// # Panics
    /// If there are more or fewer of them than the vocabulary describes.
    #[must_use]
    pub fn new(vocabulary: Arc<Vocabulary>, values: Vec<f32>) -> Self {
        assert_eq!(values.len(), vocabulary.scores(), "one score for each label of {vocabulary:?}");
        Self { vocabulary, values }
    }

    /// What the numbers are.
    #[must_use]
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.vocabulary
    }

    /// All numbers.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// The labels and numbers of one head, if the model has it.
    #[must_use]
    pub fn head(&self, name: &str) -> Option<(&[String], &[f32])> {
        let (head, range) = self.vocabulary.head(name)?;
        Some((&head.labels, &self.values[range]))
    }

    /// One score by the name of its signal, such as `valence` or `expression.happiness`, if the model has it.
    #[must_use]
    pub fn get(&self, signal: &str) -> Option<f32> {
        self.vocabulary.place(signal).map(|place| self.values[place])
    }

    /// Whether every score is a number. A broken model's NaN must not poison a whole window's means.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// How far another reading is from this one: the greatest difference of a score, in units of what it may differ by
    /// (a signed score goes from -1 to 1, so that half its difference counts). 1 for another vocabulary.
    #[must_use]
    pub(crate) fn difference(&self, other: &Self) -> f64 {
        if self.vocabulary != other.vocabulary {
            return 1.0;
        }
        let heads = self.vocabulary.heads().flat_map(|(head, range)| {
            let unit = if head.kind == ScoreKind::Signed { 2.0 } else { 1.0 };
            self.values[range.clone()]
                .iter()
                .zip(&other.values[range])
                .map(move |(a, b)| (f64::from(*a) - f64::from(*b)).abs() / unit)
        });
        heads.fold(0.0, f64::max)
    }

    /// Moves every score towards another reading by a share of the difference, 0 (not at all) to 1. A reading of
    /// another vocabulary replaces this one.
    pub fn approach(&mut self, other: &Self, share: f64) {
        self.approach_by_head(other, |_| share);
    }

    /// Moves the heads that another model has too, with the same labels, towards its scores by a share of the difference,
    /// 0 (not at all) to 1. A weighted mean of two distributions is a distribution.
    pub fn blend(&mut self, other: &Self, share: f32) {
        for (head, range) in self.vocabulary.heads() {
            let Some((_, theirs)) = other.vocabulary.head(&head.name).filter(|(same, _)| *same == head)
            else {
                continue;
            };
            for (own, other) in self.values[range].iter_mut().zip(&other.values[theirs]) {
                *own += share * (other - *own);
            }
        }
    }

    /// The same with a share for each head, by its name.
    pub(crate) fn approach_by_head(&mut self, other: &Self, share: impl Fn(&str) -> f64) {
        if self.vocabulary != other.vocabulary {
            self.clone_from(other);
            return;
        }
        for (head, range) in self.vocabulary.heads() {
            let share = share(&head.name);
            for (old, new) in self.values[range.clone()].iter_mut().zip(&other.values[range]) {
                *old = (f64::from(*old) + share * (f64::from(*new) - f64::from(*old))) as f32;
            }
        }
    }
}

#[cfg(test)]
mod tests;
