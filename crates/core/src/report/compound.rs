//! Compound expressions, such as happily surprised: read out of the smoothed probabilities of the two expressions that
//! each is made of, without a network of its own.

use alloc::borrow::ToOwned as _;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::report::expression::{COMPOUNDS, Expression};
use crate::report::score::{COMPOUND, EXPRESSION, ScoreHead, ScoreKind, Scores, Vocabulary};

/// How two probabilities become the strength of what is made of both.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CompoundMean {
    /// The root of their product: without one of the two there is nothing, however strong the other is.
    Geometric,
    /// Half of their sum.
    Arithmetic,
}

/// Adds a head of compound expressions to the scores of one vocabulary.
#[derive(Debug)]
pub struct CompoundReader {
    mean: CompoundMean,
    /// The scores of the model, and those with the head added.
    before: Arc<Vocabulary>,
    after: Arc<Vocabulary>,
    /// The places of the two expressions of each.
    pairs: Vec<[usize; 2]>,
}

impl CompoundReader {
    /// A reader of all compounds whose expressions a model has; `None` if it has those of none.
    #[must_use]
    pub fn new(mean: CompoundMean, model: &Arc<Vocabulary>) -> Option<Self> {
        let (expression, range) = model.head(EXPRESSION)?;
        let place =
            |name: &str| Some(range.start + expression.labels.iter().position(|label| label == name)?);
        let known = |(name, [a, b]): &(&str, [Expression; 2])| {
            Some(((*name).to_owned(), [place(a.name())?, place(b.name())?]))
        };
        let (labels, pairs): (Vec<String>, Vec<[usize; 2]>) = COMPOUNDS.iter().filter_map(known).unzip();
        if pairs.is_empty() {
            return None;
        }
        let head = ScoreHead { name: COMPOUND.to_owned(), kind: ScoreKind::Activations, labels };
        let heads = model.heads().map(|(head, _)| head.clone()).chain([head]).collect();
        Some(Self { mean, before: Arc::clone(model), after: Arc::new(Vocabulary::new(heads)), pairs })
    }

    /// What the scores with the compounds are.
    #[must_use]
    pub fn vocabulary(&self) -> &Arc<Vocabulary> {
        &self.after
    }

    /// The scores with the compounds behind them. Those of another vocabulary stay as they are.
    #[must_use]
    pub fn read(&self, scores: Scores) -> Scores {
        if *scores.vocabulary() != self.before {
            return scores;
        }
        let mut values = scores.values().to_vec();
        let strength = |pair: &[usize; 2]| {
            let [a, b] = pair.map(|place| scores.values()[place]);
            match self.mean {
                CompoundMean::Geometric => libm::sqrtf(a * b),
                CompoundMean::Arithmetic => f32::midpoint(a, b),
            }
        };
        values.extend(self.pairs.iter().map(strength));
        Scores::new(Arc::clone(&self.after), values)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(mean: CompoundMean, probabilities: &[f32]) -> Vec<f32> {
        let model = Arc::new(Vocabulary::new(vec![ScoreHead::expression(&Expression::ALL)]));
        let reader = CompoundReader::new(mean, &model).unwrap();
        let scores = reader.read(Scores::new(model, probabilities.to_vec()));
        assert_eq!(scores.vocabulary(), reader.vocabulary());
        scores.head(COMPOUND).unwrap().1.to_vec()
    }

    /// The name of the strongest compound.
    fn strongest(mean: CompoundMean, probabilities: &[f32]) -> &'static str {
        let strengths = read(mean, probabilities);
        let place = (0..strengths.len()).max_by(|a, b| strengths[*a].total_cmp(&strengths[*b])).unwrap();
        COMPOUNDS[place].0
    }

    #[test]
    fn a_lone_strong_class_wins_by_the_arithmetic_mean_only() {
        // In wire order: neutral, happiness, surprise, sadness, anger, disgust, fear, contempt.
        let probabilities = [0.0, 0.6, 0.0, 0.2, 0.2, 0.0, 0.0, 0.0];
        assert_eq!(strongest(CompoundMean::Geometric, &probabilities), "sadly_angry");
        assert_eq!(strongest(CompoundMean::Arithmetic, &probabilities), "happily_surprised");
        assert!((read(CompoundMean::Geometric, &probabilities)[6] - 0.2).abs() < 1e-6);
    }

    #[test]
    fn a_model_without_the_classes_has_no_compound() {
        let few = Arc::new(Vocabulary::new(vec![ScoreHead::expression(&[
            Expression::Neutral,
            Expression::Happiness,
            Expression::Surprise,
        ])]));
        let reader = CompoundReader::new(CompoundMean::Geometric, &few).unwrap();
        assert_eq!(reader.vocabulary().head(COMPOUND).unwrap().0.labels, ["happily_surprised"]);
        let none = Arc::new(Vocabulary::new(vec![ScoreHead::valence_arousal()]));
        assert!(CompoundReader::new(CompoundMean::Geometric, &none).is_none());
    }

    proptest! {
        #[test]
        fn strengths_are_shares_and_the_geometric_one_is_never_the_greater(
            weights in prop::collection::vec(0.0_f32..1.0, 8),
        ) {
            let sum: f32 = weights.iter().sum();
            prop_assume!(sum > 0.01);
            let probabilities: Vec<f32> = weights.iter().map(|weight| weight / sum).collect();
            let geometric = read(CompoundMean::Geometric, &probabilities);
            let arithmetic = read(CompoundMean::Arithmetic, &probabilities);
            for (geometric, arithmetic) in geometric.iter().zip(arithmetic) {
                prop_assert!((0.0..=0.5001).contains(geometric));
                prop_assert!(*geometric <= arithmetic + 1e-6);
            }
        }
    }
}
