//! The `summary` message.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::number::{Share, Signed, apportion, thousandths};
use super::visits::VisitsPayload;
use super::{SCHEMA, Stamp};
use crate::report::expression::Expression;
use crate::report::observation::{CameraState, Skipped};
use crate::report::policy::Suppressed;
use crate::report::reading::ReadingTimes;
use crate::report::score::{ACTION_UNITS, COMPOUND, EXPRESSION, SEQUENCE};
use crate::report::summary::{Faces, ScoreStatistics, ScoreSummary, Summary};
use crate::report::visits::VisitSummary;

/// What a device saw in one window of time.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(title = "emotiond summary")]
pub(super) struct SummaryPayload {
    /// Version of the wire format.
    #[schemars(extend("const" = SCHEMA))]
    schema: u32,
    /// Name of the device.
    device: String,
    /// Counts the windows of one boot, from 1, without gaps.
    #[schemars(range(min = 1))]
    sequence: u64,
    /// Tells one run of the daemon from the next.
    boot: String,
    /// The time summarized.
    window: WindowPayload,
    /// Who was there; null if the camera gave nothing to look at.
    faces: Option<FacesPayload>,
    /// What the faces showed, averaged over face-seconds.
    expression: Option<ExpressionPayload>,
    /// Unpleasant (-1) to pleasant (1).
    valence: Option<SpreadPayload>,
    /// Calm (-1) to excited (1).
    arousal: Option<SpreadPayload>,
    /// Mean activation of facial action units over face-seconds.
    action_units: Option<ScoreMeans>,
    /// Mean strength of each compound expression over face-seconds; null if they are not asked for.
    compound: Option<ScoreMeans>,
    /// What networks that read sequences say, by head and label, averaged over the face-seconds of which they said it;
    /// null if none is configured or none has spoken.
    sequences: Option<BTreeMap<String, ScoreMeans>>,
    /// Why there is no emotion: nobody was there, the site forbids it, or too few people were there at once.
    suppressed: Option<SuppressedName>,
    /// How far the window is to be trusted.
    quality: QualityPayload,
}

/// A window of time. The next one begins where this one ends.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Window")]
struct WindowPayload {
    /// RFC 3339, UTC, milliseconds.
    #[schemars(extend("format" = "date-time"))]
    start: String,
    /// RFC 3339, UTC, milliseconds.
    #[schemars(extend("format" = "date-time"))]
    end: String,
    /// Length by the monotonic clock. A multiple of the usual length is a gap in which nothing was observed; the last
    /// window of a run is shorter.
    #[serde(serialize_with = "thousandths")]
    #[schemars(range(min = 0))]
    seconds: f64,
}

/// Who was there.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Faces")]
struct FacesPayload {
    /// Mean number of faces over the time observed.
    #[serde(serialize_with = "thousandths")]
    #[schemars(range(min = 0))]
    mean: f64,
    /// Greatest number of faces at once.
    max: u32,
    /// Distinct tracks of two frames or more; one who leaves and comes back counts again.
    people: u32,
    /// Share of face-seconds turned to the camera; null if nobody was there or the site withholds it.
    facing: Option<Share>,
    /// Faces that were counted but not classified, summed over the frames.
    skipped: Skipped,
    /// Who came, left and looked.
    #[serde(flatten)]
    visits: VisitsPayload,
}

/// What the faces showed.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "ExpressionSummary")]
struct ExpressionPayload {
    /// The expression with the greatest share.
    dominant: Expression,
    /// Mean probability over face-seconds; sums to 1. A class the model lacks is left out.
    #[schemars(extend("propertyNames" = {"$ref": "#/$defs/Expression"}))]
    distribution: BTreeMap<Expression, Share>,
    /// Greatest smoothed probability of any face at any instant.
    #[schemars(extend("propertyNames" = {"$ref": "#/$defs/Expression"}))]
    intensity: BTreeMap<Expression, Share>,
    /// Share of face-seconds in which no expression of the face reached the probability that is configured for it.
    ambiguous: Share,
}

/// Mean and standard deviation over face-seconds.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Spread")]
struct SpreadPayload {
    /// Mean.
    mean: Signed,
    /// Standard deviation, of faces and moments together.
    std: Share,
}

/// How far the window is to be trusted.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Quality")]
struct QualityPayload {
    /// `ok` if anything was observed, else the state that held longest.
    camera: CameraState,
    /// Frames analysed.
    frames: u64,
    /// Frames captured or due but not analysed.
    dropped: u64,
    /// Frames that arrived damaged.
    corrupt: u64,
    /// Seconds for which frames speak; `faces.mean` times this is the face-seconds.
    #[serde(serialize_with = "thousandths")]
    #[schemars(range(min = 0))]
    observed: f64,
    /// Whether the wall clock was known to be synchronized when this was published.
    clock_synchronized: bool,
    /// How often emotion was read of each face; null where there was none to read, or nothing is said of it.
    readings: Option<ReadingsPayload>,
}

/// How often emotion was read of the faces that can be read.
#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Readings")]
struct ReadingsPayload {
    /// Readings of all faces.
    count: u64,
    /// Readings of a face a second, on average.
    #[serde(serialize_with = "thousandths")]
    #[schemars(range(min = 0))]
    rate: f64,
    /// Share of face-time with a reading younger than a second.
    fresh: Share,
    /// The greatest age of a reading that stood for a face, seconds.
    #[serde(serialize_with = "thousandths")]
    #[schemars(range(min = 0))]
    oldest: f64,
}

#[derive(Clone, Copy, Debug, JsonSchema, Serialize)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Suppressed")]
enum SuppressedName {
    Nobody,
    Site,
    MinPeople,
}

/// Names and means in the order of their head.
#[derive(Clone, Debug, JsonSchema)]
struct ScoreMeans(#[schemars(with = "BTreeMap<String, Share>")] Vec<(String, Share)>);

impl Serialize for ScoreMeans {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, share)| (name, share)))
    }
}

impl SummaryPayload {
    /// A window as it goes on the wire.
    #[must_use]
    pub(super) fn new(summary: &Summary, device: &str, boot: &str, sequence: u64, stamp: &Stamp) -> Self {
        let scores = summary.scores.as_ref();
        let quality = &summary.quality;
        Self {
            schema: SCHEMA,
            device: device.to_owned(),
            sequence,
            boot: boot.to_owned(),
            window: WindowPayload {
                start: stamp.date(summary.start),
                end: stamp.date(summary.end),
                seconds: (summary.end - summary.start).as_secs_f64(),
            },
            faces: summary.faces.as_ref().map(|faces| FacesPayload::new(faces, summary.visits.as_ref())),
            expression: scores.and_then(ExpressionPayload::of),
            valence: scores.and_then(|scores| scores.get("valence")).map(Into::into),
            arousal: scores.and_then(|scores| scores.get("arousal")).map(Into::into),
            action_units: scores.and_then(|scores| ScoreMeans::of(scores, ACTION_UNITS)),
            compound: scores.and_then(|scores| ScoreMeans::of(scores, COMPOUND)),
            sequences: sequences(&summary.sequences),
            suppressed: summary.suppressed.map(|why| match why {
                Suppressed::Nobody => SuppressedName::Nobody,
                Suppressed::Site => SuppressedName::Site,
                Suppressed::MinPeople => SuppressedName::MinPeople,
            }),
            quality: QualityPayload {
                camera: quality.camera,
                frames: quality.frames,
                dropped: quality.dropped,
                corrupt: quality.corrupt,
                observed: quality.observed.as_secs_f64(),
                clock_synchronized: stamp.synchronized,
                readings: quality.readings.and_then(ReadingsPayload::of),
            },
        }
    }
}

/// Every head of every network, by its name without what all of them begin with.
fn sequences(networks: &[ScoreSummary]) -> Option<BTreeMap<String, ScoreMeans>> {
    let heads = networks.iter().flat_map(|scores| {
        scores.vocabulary.heads().filter_map(|(head, _)| {
            let name = head.name.strip_prefix(SEQUENCE)?;
            Some((name.to_owned(), ScoreMeans::of(scores, &head.name)?))
        })
    });
    let heads: BTreeMap<_, _> = heads.collect();
    (!heads.is_empty()).then_some(heads)
}

impl ReadingsPayload {
    /// `None` if there was nobody to read.
    fn of(readings: ReadingTimes) -> Option<Self> {
        let oldest = readings.oldest.as_secs_f64();
        Some(Self {
            count: readings.count,
            rate: readings.rate()?,
            fresh: Share(readings.freshness()?),
            oldest,
        })
    }
}

impl ExpressionPayload {
    /// `None` if the model has no expression at all.
    fn of(scores: &ScoreSummary) -> Option<Self> {
        let (labels, statistics) = scores.head(EXPRESSION)?;
        let named = labels.iter().zip(statistics);
        let classes: Vec<(Expression, ScoreStatistics)> =
            named.filter_map(|(label, statistics)| Some((label.parse().ok()?, *statistics))).collect();
        let means: Vec<f64> = classes.iter().map(|(_, statistics)| statistics.mean).collect();
        // Before rounding, so that it is right; the first in wire order of two that are equal.
        let mut ranked = classes.clone();
        ranked.sort_by(|(a, p), (b, q)| q.mean.total_cmp(&p.mean).then(a.cmp(b)));
        let expressions = || classes.iter().map(|(expression, _)| *expression);
        Some(Self {
            dominant: ranked.first()?.0,
            distribution: expressions().zip(apportion(&means)).collect(),
            intensity: expressions().zip(classes.iter().map(|(_, seen)| Share(seen.peak))).collect(),
            ambiguous: Share(scores.ambiguous),
        })
    }
}

impl ScoreMeans {
    /// `None` if there is no such head.
    fn of(scores: &ScoreSummary, head: &str) -> Option<Self> {
        let (labels, statistics) = scores.head(head)?;
        let means = statistics.iter().map(|statistics| Share(statistics.mean));
        Some(Self(labels.iter().cloned().zip(means).collect()))
    }
}

impl FacesPayload {
    fn new(faces: &Faces, visits: Option<&VisitSummary>) -> Self {
        let Faces { mean, max, people, facing, skipped } = *faces;
        let visits = visits.map(Into::into).unwrap_or_default();
        Self { mean, max, people, facing: facing.map(Share), skipped, visits }
    }
}

impl From<ScoreStatistics> for SpreadPayload {
    fn from(score: ScoreStatistics) -> Self {
        Self { mean: Signed(score.mean), std: Share(score.std) }
    }
}
