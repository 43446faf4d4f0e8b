//! The expressions of the wire format.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

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

/// The compound expressions of C-EXPR-DB (Kollias, "Multi-Label Compound Expression Recognition", CVPR 2023), each with
/// the two expressions that it is made of.
pub const COMPOUNDS: [(&str, [Expression; 2]); 7] = [
    ("fearfully_surprised", [Expression::Fear, Expression::Surprise]),
    ("happily_surprised", [Expression::Happiness, Expression::Surprise]),
    ("sadly_surprised", [Expression::Sadness, Expression::Surprise]),
    ("disgustedly_surprised", [Expression::Disgust, Expression::Surprise]),
    ("angrily_surprised", [Expression::Anger, Expression::Surprise]),
    ("sadly_fearful", [Expression::Sadness, Expression::Fear]),
    ("sadly_angry", [Expression::Sadness, Expression::Anger]),
];

impl Expression {
    /// All expressions in the order of the wire format.
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

impl core::str::FromStr for Expression {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|e| e.name() == name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|e| e.name()).collect();
            format!("unknown expression {name:?}; the names are {}", names.join(", "))
        })
    }
}
