//! From the numbers of a network's outputs to emotion scores.

use anyhow::{Result, bail};

use crate::inference::manifest::{Activation, Head};
use emotiond_core::report::observation::{Emotion, Expression, Vocabulary};

/// What a set of heads can say.
#[must_use]
pub fn vocabulary(heads: &[Head]) -> Vocabulary {
    let mut vocabulary = Vocabulary::default();
    for head in heads {
        match head {
            Head::Expression { labels, .. } => {
                vocabulary.expressions = Expression::ALL.into_iter().filter(|e| labels.contains(e)).collect();
            }
            Head::ActionUnits { labels, .. } => vocabulary.action_units.clone_from(labels),
            Head::ValenceArousal { .. } | Head::Circumplex { .. } => vocabulary.valence_arousal = true,
        }
    }
    vocabulary
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

/// The scores that heads read from their values, given in the order of the heads (nothing for a read-out).
///
/// # Errors
/// If a network gave something that is not a number, or a distribution without mass.
pub fn read(heads: &[Head], values: &[&[f32]]) -> Result<Emotion> {
    if values.iter().copied().flatten().any(|value| value.is_nan()) {
        bail!("the network gave something that is not a number; its file may be damaged");
    }
    let mut emotion = Emotion { expression: None, valence_arousal: None, action_units: Vec::new() };
    for (head, values) in heads.iter().zip(values) {
        match head {
            Head::Expression { labels, activation, temperature, prior, .. } => {
                let probabilities = distribution(values, *activation, *temperature, prior.as_deref())?;
                let mut expression = [0.0; 8];
                for (label, probability) in labels.iter().zip(probabilities) {
                    expression[*label as usize] = probability;
                }
                emotion.expression = Some(expression);
            }
            Head::ActionUnits { activation, .. } => {
                let activate = |value: &f32| match activation {
                    Activation::Sigmoid => sigmoid(*value),
                    _ => value.clamp(0.0, 1.0),
                };
                emotion.action_units = values.iter().map(activate).collect();
            }
            Head::ValenceArousal { activation, .. } => {
                let activate = |value: f32| match activation {
                    Activation::Tanh => value.tanh(),
                    _ => value.clamp(-1.0, 1.0),
                };
                emotion.valence_arousal = Some([activate(values[0]), activate(values[1])]);
            }
            // Reads the other heads' scores, so after them.
            Head::Circumplex { .. } => {}
        }
    }
    if let Some(point) = heads.iter().find_map(|head| read_out(head, heads, &emotion)) {
        emotion.valence_arousal = Some(point);
    }
    Ok(emotion)
}

/// Probabilities that sum to 1: activation, then the prior divided out.
fn distribution(
    values: &[f32],
    activation: Activation,
    temperature: f32,
    prior: Option<&[f32]>,
) -> Result<Vec<f32>> {
    let mut probabilities: Vec<f32> = match activation {
        Activation::Softmax => {
            let largest = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            // Relative to the largest, so that no exponential overflows.
            values.iter().map(|value| ((value - largest) / temperature).exp()).collect()
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
        bail!("the network gave no probability to any expression: {values:?}");
    }
    for probability in &mut probabilities {
        *probability /= sum;
    }
    Ok(probabilities)
}

/// The expectation of the circumplex points under the expression distribution, moved by the action units.
fn read_out(head: &Head, heads: &[Head], emotion: &Emotion) -> Option<[f32; 2]> {
    let Head::Circumplex { points, action_units } = head else { return None };
    let expression = emotion.expression?;
    let mut sum = [0.0; 2];
    let mut add = |weight: f32, point: &[f32; 2]| {
        sum[0] += weight * point[0];
        sum[1] += weight * point[1];
    };
    for (label, point) in points {
        add(expression[*label as usize], point);
    }
    let names =
        heads.iter().find_map(|h| if let Head::ActionUnits { labels, .. } = h { Some(labels) } else { None });
    for (name, activation) in names.into_iter().flatten().zip(&emotion.action_units) {
        if let Some(point) = action_units.get(name) {
            add(*activation, point);
        }
    }
    Some(sum.map(|value| value.clamp(-1.0, 1.0)))
}

fn sigmoid(value: f32) -> f32 {
    1.0 / (1.0 + (-value).exp())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
            temperature: 1.0,
            prior: None,
        }
    }

    proptest! {
        #[test]
        fn a_distribution_sums_to_one_and_follows_its_labels(
            logits in prop::collection::vec(-60f32..60.0, 8),
            order in Just(Expression::ALL.to_vec()).prop_shuffle(),
            softmax in any::<bool>(),
        ) {
            let activation = if softmax { Activation::Softmax } else { Activation::Sigmoid };
            let plain = read(&[expression(&Expression::ALL, activation)], &[&logits]).unwrap().expression.unwrap();
            prop_assert!((plain.iter().sum::<f32>() - 1.0).abs() < 1e-5);
            prop_assert!(plain.iter().all(|p| (0.0..=1.0).contains(p)));
            let permuted: Vec<f32> = order.iter().map(|e| logits[*e as usize]).collect();
            let other = read(&[expression(&order, activation)], &[&permuted]).unwrap().expression.unwrap();
            for (a, b) in plain.iter().zip(other) {
                prop_assert!((a - b).abs() < 1e-6);
            }
        }

        #[test]
        fn a_higher_temperature_never_sharpens(logits in prop::collection::vec(-9f32..9.0, 5), temperature in 1f32..9.0) {
            let peak = |t| distribution(&logits, Activation::Softmax, t, None).unwrap().into_iter().fold(0.0, f32::max);
            prop_assert!(peak(temperature) <= peak(1.0) + 1e-6);
        }

        #[test]
        fn valence_and_arousal_stay_in_range(logits in prop::collection::vec(-9f32..9.0, 2), units in prop::collection::vec(-9f32..9.0, 1)) {
            let heads = [
                expression(&[Expression::Happiness, Expression::Sadness], Activation::Softmax),
                Head::ActionUnits { source: source(), labels: vec!["AU12".to_owned()], activation: Activation::Sigmoid },
                Head::Circumplex {
                    points: BTreeMap::from([(Expression::Happiness, [0.8, 0.5]), (Expression::Sadness, [-0.8, -0.4])]),
                    action_units: BTreeMap::from([("AU12".to_owned(), [0.9, 0.9])]),
                },
            ];
            let emotion = read(&heads, &[&logits, &units, &[]]).unwrap();
            let [valence, arousal] = emotion.valence_arousal.unwrap();
            prop_assert!(valence.abs() <= 1.0 && arousal.abs() <= 1.0);
            let happiness = emotion.expression.unwrap()[Expression::Happiness as usize];
            let expected = (1.6 * happiness - 0.8 + 0.9 * emotion.action_units[0]).clamp(-1.0, 1.0);
            prop_assert!((valence - expected).abs() < 1e-4);
        }
    }

    #[test]
    fn the_prior_is_divided_out() {
        let prior = [0.9, 0.1];
        let even = distribution(&[0.9, 0.1], Activation::None, 1.0, Some(&prior)).unwrap();
        assert!((even[0] - 0.5).abs() < 1e-6, "{even:?}");
    }

    #[test]
    fn nonsense_is_an_error_not_a_score() {
        let head = [expression(&[Expression::Fear, Expression::Anger], Activation::None)];
        assert!(read(&head, &[&[f32::NAN, 1.0]]).unwrap_err().to_string().contains("not a number"));
        assert!(read(&head, &[&[0.0, 0.0]]).unwrap_err().to_string().contains("no probability"));
    }

    #[test]
    fn a_class_the_model_lacks_has_no_probability() {
        let head = [expression(&[Expression::Fear, Expression::Anger], Activation::None)];
        let scores = read(&head, &[&[0.25, 0.75]]).unwrap().expression.unwrap();
        assert!((scores[Expression::Anger as usize] - 0.75).abs() < 1e-6);
        assert_eq!(scores.iter().filter(|p| **p > 0.0).count(), 2);
        assert_eq!(vocabulary(&head).expressions, [Expression::Anger, Expression::Fear]);
    }
}
