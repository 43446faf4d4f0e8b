//! From the numbers of a network's outputs to emotion scores.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, bail};

use crate::inference::manifest::{Activation, Head};
use emotiond_core::report::expression::Expression;
use emotiond_core::report::score::{ACTION_UNITS, EXPRESSION, ScoreHead, Scores, Vocabulary};

/// What a set of heads can say; one head of the vocabulary for each.
#[must_use]
pub fn vocabulary(heads: &[Head]) -> Vocabulary {
    let described = |head: &Head| match head {
        Head::Expression { labels, .. } => ScoreHead::expression(labels),
        Head::ActionUnits { labels, .. } => ScoreHead::action_units(labels),
        Head::ValenceArousal { .. } | Head::Circumplex { .. } => ScoreHead::valence_arousal(),
    };
    Vocabulary::new(heads.iter().map(described).collect())
}

/// The number of values a head takes from its tensor; `None` for a read-out, which takes none.
#[must_use]
pub fn values(head: &Head) -> Option<usize> {
    match head {
        Head::Expression { labels, .. } => Some(labels.len()),
        Head::ActionUnits { labels, .. } => Some(labels.len()),
        Head::ValenceArousal { .. } => Some(2),
        Head::Circumplex { .. } => None,
    }
}

/// The scores that heads read from their values, given in the order of the heads (nothing for a read-out), described by
/// their [`vocabulary`].
///
/// # Errors
/// If an output is not a number, or no expression has any probability.
pub fn read(heads: &[Head], vocabulary: &Arc<Vocabulary>, values: &[&[f32]]) -> Result<Scores> {
    if values.iter().copied().flatten().any(|value| value.is_nan()) {
        bail!("an output of the network is not a number; its file may be damaged");
    }
    let mut scores = vec![0.0; vocabulary.scores()];
    let place = heads.iter().position(|head| matches!(head, Head::Expression { .. }));
    let expression = place.map_or(&[][..], |place| values[place]);
    for ((head, values), (_, range)) in heads.iter().zip(values).zip(vocabulary.heads()) {
        let scores = &mut scores[range];
        match head {
            Head::Expression { labels, activation, temperature, bias, prior, .. } => {
                let logits = scaled(values, temperature, bias.as_deref());
                let probabilities = distribution(&logits, *activation, prior.as_deref())?;
                for (label, probability) in labels.iter().zip(probabilities) {
                    // The vocabulary has the labels in wire order, the tensor has them in its own.
                    scores[labels.iter().filter(|other| *other < label).count()] = probability;
                }
            }
            Head::ActionUnits { activation, thresholds, .. } => {
                activate(scores, values, |value| match activation {
                    Activation::Sigmoid => sigmoid(value),
                    _ => value.clamp(0.0, 1.0),
                });
                for (score, threshold) in scores.iter_mut().zip(thresholds.iter().flatten()) {
                    *score = above(*score, *threshold);
                }
            }
            Head::ValenceArousal { activation, linear, .. } => {
                let mapped = linear.as_ref().map(|rows| linear_of(rows, expression, values));
                activate(scores, mapped.as_ref().map_or(*values, |mapped| &mapped[..]), |value| {
                    match activation {
                        Activation::Tanh => value.tanh(),
                        _ => value.clamp(-1.0, 1.0),
                    }
                });
            }
            // Reads the other heads' scores, so after them.
            Head::Circumplex { .. } => {}
        }
    }
    for (head, (_, range)) in heads.iter().zip(vocabulary.heads()) {
        if let Head::Circumplex { points, action_units } = head {
            let point = read_out(points, action_units, vocabulary, &scores);
            scores[range].copy_from_slice(&point);
        }
    }
    Ok(Scores::new(Arc::clone(vocabulary), scores))
}

fn activate(scores: &mut [f32], values: &[f32], activation: impl Fn(f32) -> f32) {
    for (score, value) in scores.iter_mut().zip(values) {
        *score = activation(*value);
    }
}

/// A linear layer over the raw values of the expressions, and of valence and arousal.
fn linear_of(rows: &[Vec<f32>; 2], expression: &[f32], affect: &[f32]) -> [f32; 2] {
    let inputs = || expression.iter().chain(affect).copied().chain([1.0]);
    [0, 1].map(|axis: usize| rows[axis].iter().zip(inputs()).map(|(weight, value)| weight * value).sum())
}

/// An activation moved so that its threshold is at 0.5, and 0 and 1 stay where they are.
fn above(activation: f32, threshold: f32) -> f32 {
    if activation < threshold {
        0.5 * activation / threshold
    } else {
        0.5 + 0.5 * (activation - threshold) / (1.0 - threshold)
    }
}

/// Values divided by the temperature, which is one or one for each, and moved by the bias.
fn scaled(values: &[f32], temperature: &[f32], bias: Option<&[f32]>) -> Vec<f32> {
    let temperatures = temperature.iter().copied().cycle();
    let biases = bias.into_iter().flatten().copied().chain(std::iter::repeat(0.0));
    values.iter().zip(temperatures).zip(biases).map(|((value, over), bias)| value / over + bias).collect()
}

/// Probabilities that sum to 1: activation, then the prior divided out.
fn distribution(values: &[f32], activation: Activation, prior: Option<&[f32]>) -> Result<Vec<f32>> {
    let mut probabilities: Vec<f32> = match activation {
        Activation::Softmax => {
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            // Relative to the largest, so that no exponential overflows.
            values.iter().map(|value| (value - largest).exp()).collect()
        }
        Activation::Sigmoid => values.iter().map(|value| sigmoid(*value)).collect(),
        Activation::None | Activation::Tanh => values.iter().map(|value| value.clamp(0.0, 1.0)).collect(),
    };
    if let Some(prior) = prior {
        for (probability, prior) in probabilities.iter_mut().zip(prior) {
            *probability /= prior;
        }
    }
    let sum: f32 = probabilities.iter().sum();
    if !(sum > 0.0 && sum.is_finite()) {
        bail!("the network's output has no probability for any expression: {values:?}");
    }
    for probability in &mut probabilities {
        *probability /= sum;
    }
    Ok(probabilities)
}

/// The expectation of the circumplex points under the expression distribution, moved by the action units.
fn read_out(
    points: &BTreeMap<Expression, [f32; 2]>,
    action_units: &BTreeMap<String, [f32; 2]>,
    vocabulary: &Vocabulary,
    scores: &[f32],
) -> [f32; 2] {
    let mut sum = [0.0; 2];
    let mut add = |head: &str, point_of: &dyn Fn(&str) -> Option<[f32; 2]>| {
        let Some((head, range)) = vocabulary.head(head) else { return };
        for (label, weight) in head.labels.iter().zip(&scores[range]) {
            if let Some(point) = point_of(label) {
                sum[0] += weight * point[0];
                sum[1] += weight * point[1];
            }
        }
    };
    add(EXPRESSION, &|label| points.get(&label.parse().ok()?).copied());
    add(ACTION_UNITS, &|label| action_units.get(label).copied());
    sum.map(|value| value.clamp(-1.0, 1.0))
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::inference::manifest::{OutputRef, Source};

    fn source() -> Source {
        Source { output: OutputRef::Index(0), slice: None }
    }

    fn expression(labels: &[Expression], activation: Activation) -> Head {
        Head::Expression {
            source: source(),
            labels: labels.to_vec(),
            activation,
            temperature: vec![1.0],
            bias: None,
            prior: None,
        }
    }

    fn read(heads: &[Head], values: &[&[f32]]) -> Result<Scores> {
        super::read(heads, &Arc::new(vocabulary(heads)), values)
    }

    fn probabilities(scores: &Scores) -> Vec<f32> {
        scores.head(EXPRESSION).unwrap().1.to_vec()
    }

    proptest! {
        #[test]
        fn a_distribution_sums_to_one_and_follows_its_labels(
            logits in prop::collection::vec(-60f32..60.0, 8),
            order in Just(Expression::ALL.to_vec()).prop_shuffle(),
            softmax in any::<bool>(),
        ) {
            let activation = if softmax { Activation::Softmax } else { Activation::Sigmoid };
            let plain = probabilities(&read(&[expression(&Expression::ALL, activation)], &[&logits]).unwrap());
            prop_assert!((plain.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            prop_assert!(plain.iter().all(|p| (0.0..=1.0).contains(p)));
            let place = |e| Expression::ALL.iter().position(|other| other == e).unwrap();
            let permuted: Vec<f32> = order.iter().map(|e| logits[place(e)]).collect();
            let other = probabilities(&read(&[expression(&order, activation)], &[&permuted]).unwrap());
            for (a, b) in plain.iter().zip(other) {
                prop_assert!((a - b).abs() < 1e-6);
            }
        }

        #[test]
        fn a_higher_temperature_never_sharpens(logits in prop::collection::vec(-9f32..9.0, 5), temperature in 1f32..9.0) {
            let peak = |t| {
                let logits = scaled(&logits, &[t], None);
                distribution(&logits, Activation::Softmax, None).unwrap().into_iter().fold(0.0, f32::max)
            };
            prop_assert!(peak(temperature) <= peak(1.0) + 1e-6);
        }

        #[test]
        fn a_threshold_becomes_a_half_and_keeps_the_order(a in 0f32..=1.0, b in 0f32..=1.0, threshold in 0.01f32..0.99) {
            prop_assert!((above(threshold, threshold) - 0.5).abs() < 1e-6);
            prop_assert!((above(0.0, threshold), above(1.0, threshold)) == (0.0, 1.0));
            prop_assert!((above(a, threshold) <= above(b, threshold)) || a > b);
        }

        #[test]
        fn a_bias_favours_its_class_and_temperatures_may_differ(
            logits in prop::collection::vec(-9f32..9.0, 3),
            bias in 0.1f32..5.0,
        ) {
            let read = |temperature: &[f32], bias: &[f32]| {
                distribution(&scaled(&logits, temperature, Some(bias)), Activation::Softmax, None).unwrap()
            };
            let (plain, moved) = (read(&[1.0], &[0.0; 3]), read(&[1.0], &[bias, 0.0, 0.0]));
            // The odds of the first class against each other one rise by the same factor.
            prop_assert!(moved[0] >= plain[0]);
            let odds = |p: &[f32]| (p[0] / p[1]).ln();
            prop_assume!(plain.iter().chain(&moved).all(|p| *p > 1e-6));
            prop_assert!((odds(&moved) - odds(&plain) - bias).abs() < 1e-2);
            let even = read(&[2.0, 2.0, 2.0], &[0.0; 3]);
            prop_assert_eq!(even, read(&[2.0], &[0.0; 3]));
        }

        #[test]
        fn valence_and_arousal_stay_in_range(logits in prop::collection::vec(-9f32..9.0, 2), units in prop::collection::vec(-9f32..9.0, 1)) {
            let heads = [
                expression(&[Expression::Happiness, Expression::Sadness], Activation::Softmax),
                Head::ActionUnits { source: source(), labels: vec!["AU12".to_owned()], activation: Activation::Sigmoid, thresholds: None },
                Head::Circumplex {
                    points: BTreeMap::from([(Expression::Happiness, [0.8, 0.5]), (Expression::Sadness, [-0.8, -0.4])]),
                    action_units: BTreeMap::from([("AU12".to_owned(), [0.9, 0.9])]),
                },
            ];
            let scores = read(&heads, &[&logits, &units, &[]]).unwrap();
            let [valence, arousal, happiness, unit] =
                ["valence", "arousal", "expression.happiness", "action_units.AU12"].map(|name| scores.get(name).unwrap());
            prop_assert!(valence.abs() <= 1.0 && arousal.abs() <= 1.0);
            let expected = (1.6 * happiness - 0.8 + 0.9 * unit).clamp(-1.0, 1.0);
            prop_assert!((valence - expected).abs() < 1e-4);
        }
    }

    #[test]
    fn a_linear_layer_maps_all_outputs_to_valence_and_arousal() {
        let rows = [vec![1.0, -1.0, 0.5, 0.0, 0.25], vec![0.0, 0.0, 0.0, 2.0, -1.0]];
        let affect =
            Head::ValenceArousal { source: source(), activation: Activation::Tanh, linear: Some(rows) };
        // Labels in another order than the wire's: the rows go by the tensor's.
        let heads = [affect, expression(&[Expression::Sadness, Expression::Happiness], Activation::Softmax)];
        let scores = read(&heads, &[&[0.2, 0.4], &[3.0, 2.0]]).unwrap();
        let expected = [(3.0_f32 - 2.0 + 0.1 + 0.25).tanh(), (0.8_f32 - 1.0).tanh()];
        for (name, expected) in ["valence", "arousal"].iter().zip(expected) {
            assert!((scores.get(name).unwrap() - expected).abs() < 1e-6, "{name}");
        }
    }

    #[test]
    fn the_prior_is_divided_out() {
        let prior = [0.9, 0.1];
        let even = distribution(&[0.9, 0.1], Activation::None, Some(&prior)).unwrap();
        assert!((even[0] - 0.5).abs() < 1e-6, "{even:?}");
    }

    #[test]
    fn nonsense_is_an_error_not_a_score() {
        let head = [expression(&[Expression::Fear, Expression::Anger], Activation::None)];
        assert!(read(&head, &[&[f32::NAN, 1.0]]).unwrap_err().to_string().contains("not a number"));
        assert!(read(&head, &[&[0.0, 0.0]]).unwrap_err().to_string().contains("no probability"));
    }

    #[test]
    fn a_class_the_model_lacks_has_no_score() {
        let head = [expression(&[Expression::Fear, Expression::Anger], Activation::None)];
        let scores = read(&head, &[&[0.25, 0.75]]).unwrap();
        assert!((scores.get("expression.anger").unwrap() - 0.75).abs() < 1e-6);
        assert_eq!(scores.get("expression.neutral"), None);
        assert_eq!(scores.head(EXPRESSION).unwrap().0, ["anger", "fear"]);
    }
}
