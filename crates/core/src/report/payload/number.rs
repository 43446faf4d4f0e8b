//! Numbers rounded for the wire: the scores of a model that is right 60 % of the time do not justify sixteen digits.

use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

/// Rounds to three decimals; never writes a negative zero.
pub(super) fn thousandths<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(round(*value, 1000.0))
}

/// Rounds to one decimal.
pub(super) fn tenths<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(round(*value, 10.0))
}

fn round(value: f64, parts: f64) -> f64 {
    // What is no number cannot be written; the stages before let none through, and zero is in every field's range.
    let value = if value.is_finite() { value } else { 0.0 };
    libm::round(value * parts) / parts + 0.0
}

/// A probability, a share or an activation, 0 to 1.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Share(
    #[serde(serialize_with = "thousandths")]
    #[schemars(range(min = 0, max = 1))]
    pub(super) f64,
);

/// A valence or arousal, -1 to 1.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Signed(
    #[serde(serialize_with = "thousandths")]
    #[schemars(range(min = -1, max = 1))]
    pub(super) f64,
);

/// A length of time in seconds.
#[derive(Clone, Copy, Debug, JsonSchema, PartialEq, Serialize)]
#[serde(transparent)]
pub(super) struct Seconds(
    #[serde(serialize_with = "thousandths")]
    #[schemars(range(min = 0))]
    pub(super) f64,
);

/// Rounds a distribution to thousandths that still sum to 1: all down, then those with the greatest remainder up.
pub(super) fn apportion(distribution: &[f64]) -> Vec<Share> {
    let total: f64 = distribution.iter().sum();
    let scaled: Vec<f64> =
        distribution.iter().map(|p| if total > 0.0 { p / total * 1000.0 } else { 0.0 }).collect();
    // A conversion to an integer cuts the fraction off.
    let mut parts: Vec<u32> = scaled.iter().map(|p| *p as u32).collect();
    let mut order: Vec<usize> = (0..parts.len()).collect();
    let fraction = |place: usize| scaled[place] - libm::floor(scaled[place]);
    order.sort_by(|&a, &b| fraction(b).total_cmp(&fraction(a)).then(a.cmp(&b)));
    let left = 1000_u32.saturating_sub(parts.iter().sum());
    for place in order.into_iter().take(if total > 0.0 { left as usize } else { 0 }) {
        parts[place] += 1;
    }
    parts.into_iter().map(|part| Share(f64::from(part) / 1000.0)).collect()
}
