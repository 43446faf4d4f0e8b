//! The messages `info`, `health` and `event`. `device`, `boot` and `schema` are added when they are encoded.

use alloc::borrow::ToOwned as _;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::string::ToString as _;
use alloc::vec::Vec;

use serde::Serialize;

use super::number::{Share, tenths, thousandths};
use super::{SCHEMA, Stamp};
use crate::report::expression::Expression;
use crate::report::observation::CameraState;
use crate::report::policy::Policy;
use crate::report::reading::ReadingTimes;
use crate::report::score::{ACTION_UNITS, COMPOUND, EXPRESSION, SEQUENCE, VALENCE_AROUSAL, Vocabulary};
use crate::report::trigger::{Phase, TriggerEvent};

/// A model in use.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct ModelInfo {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file, 64 hexadecimal digits.
    pub sha256: String,
}

/// What privacy lets through.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct PrivacyInfo {
    /// What is published.
    #[serde(flatten)]
    pub policy: Policy,
    /// The legal basis that the operator claims for emotion at a site that forbids it by default.
    pub legal_basis: Option<String>,
    /// All of this in plain words, for the notice on the wall.
    pub notice: String,
}

/// What the summaries of this device can contain.
#[derive(Clone, Debug, Eq, PartialEq, Serialize)]
pub struct Capabilities {
    /// The expressions in every distribution.
    pub expressions: Vec<Expression>,
    /// Whether there is valence and arousal.
    pub valence_arousal: bool,
    /// The action units.
    pub action_units: Vec<String>,
    /// The compound expressions.
    pub compound: Vec<String>,
    /// The labels of each network that reads sequences, by its name in a summary.
    pub sequences: BTreeMap<String, Vec<String>>,
}

impl From<&Vocabulary> for Capabilities {
    fn from(vocabulary: &Vocabulary) -> Self {
        let labels = |head| vocabulary.head(head).map_or(&[][..], |(head, _)| &head.labels);
        Self {
            expressions: labels(EXPRESSION).iter().filter_map(|label| label.parse().ok()).collect(),
            valence_arousal: vocabulary.head(VALENCE_AROUSAL).is_some(),
            action_units: labels(ACTION_UNITS).to_vec(),
            compound: labels(COMPOUND).to_vec(),
            sequences: vocabulary
                .heads()
                .filter_map(|(head, _)| Some((head.name.strip_prefix(SEQUENCE)?.into(), head.labels.clone())))
                .collect(),
        }
    }
}

/// The `info` message: what this device is.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Info {
    /// The daemon's version.
    pub version: String,
    /// The models in use.
    pub models: Vec<ModelInfo>,
    /// The kind of site, by its name in the config.
    pub site: String,
    /// What privacy lets through.
    pub privacy: PrivacyInfo,
    /// The usual length of a window in seconds.
    #[serde(serialize_with = "thousandths")]
    pub window: f64,
    /// What summaries can contain.
    pub capabilities: Capabilities,
    /// The names of the triggers, each an `event/<name>`.
    pub triggers: Vec<String>,
}

/// Times of one stage in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Latency {
    /// Mean.
    #[serde(serialize_with = "tenths")]
    pub mean: f64,
    /// Longest.
    #[serde(serialize_with = "tenths")]
    pub max: f64,
}

/// How often emotion was read of the faces that count and can be read.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct ReadingRate {
    /// Readings of a face a second, on average.
    #[serde(serialize_with = "thousandths")]
    rate: f64,
    /// Share of face-time with a reading younger than a second.
    fresh: Share,
}

impl ReadingRate {
    /// `None` if there was nobody to read.
    #[must_use]
    pub fn of(readings: &ReadingTimes) -> Option<Self> {
        Some(Self { rate: readings.rate()?, fresh: Share(readings.freshness()?) })
    }
}

/// The `health` message: how the daemon is. Rates and latencies are of the time since the last one; counters are of the
/// run.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Health {
    /// When this was written, RFC 3339.
    pub time: String,
    /// Seconds since the start of the run.
    #[serde(serialize_with = "tenths")]
    pub uptime: f64,
    /// The camera's state.
    pub camera: CameraState,
    /// Frames captured a second.
    #[serde(serialize_with = "tenths")]
    pub captured_fps: f64,
    /// Frames analysed a second.
    #[serde(serialize_with = "tenths")]
    pub fps: f64,
    /// How often each face was read; null if there was none to read.
    pub readings: Option<ReadingRate>,
    /// Processor time of the process, in cores.
    #[serde(serialize_with = "thousandths")]
    pub cpu: f64,
    /// Milliseconds by stage; stages that did not run are left out.
    pub latency: BTreeMap<&'static str, Latency>,
    /// Frames captured or due but not analysed.
    pub dropped: u64,
    /// Frames that arrived damaged.
    pub corrupt: u64,
    /// Messages delivered.
    pub published: u64,
    /// Messages waiting for the broker, in memory and on disk.
    pub queued: u64,
    /// Summaries among them that are on disk, where a restart finds them; null if there is no disk to keep them on or
    /// it cannot be reached.
    pub queue_on_disk: Option<u64>,
    /// How that disk does: `ok`; `failing` (full, read-only or broken: summaries are kept in memory), `replaced` (its
    /// file was damaged in this run, what it held is lost, and a new one serves), `off` (none is configured).
    pub queue_disk: &'static str,
    /// Messages given up because the queue was full.
    pub dropped_messages: u64,
    /// Summaries among them: each a window that no consumer will see.
    pub dropped_summaries: u64,
    /// The hottest sensor in °C, if there is one.
    pub temperature: Option<f64>,
    /// Resident memory in MiB.
    pub memory: Option<f64>,
    /// Whether the wall clock is known to be synchronized.
    pub clock_synchronized: bool,
}

impl Health {
    /// One line for `systemctl status`.
    #[must_use]
    pub fn status_line(&self) -> String {
        let camera = match self.camera {
            CameraState::Ok => "camera ok",
            CameraState::Blind => "camera sees nothing",
            CameraState::Lost => "camera lost",
            CameraState::Paused => "paused",
        };
        let mut line = format!("{camera}, {:.1} frames/s analysed", self.fps);
        if self.queued > 0 {
            line += &format!(", {} messages waiting", self.queued);
        }
        if self.queue_disk == "failing" {
            line += ", the queue's disk fails";
        }
        if let Some(memory) = self.memory {
            line += &format!(", {memory:.0} MiB");
        }
        line
    }
}

/// The `event/<trigger>` message.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct EventPayload {
    schema: u32,
    device: String,
    boot: String,
    /// The trigger's name.
    trigger: String,
    /// The signal's name.
    signal: String,
    /// `start` or `end`.
    phase: &'static str,
    /// When the frame that decided it was captured, RFC 3339.
    time: String,
    /// The signal in that frame; null if it had no value, as when the last face left.
    #[serde(serialize_with = "optional_thousandths")]
    value: Option<f64>,
    /// For how many seconds the condition has been met.
    #[serde(serialize_with = "thousandths")]
    seconds: f64,
}

impl EventPayload {
    /// An event as it goes on the wire.
    #[must_use]
    pub(super) fn new(event: &TriggerEvent, device: &str, boot: &str, stamp: &Stamp) -> Self {
        Self {
            schema: SCHEMA,
            device: device.to_owned(),
            boot: boot.to_owned(),
            trigger: event.name.clone(),
            signal: event.signal.to_string(),
            phase: match event.phase {
                Phase::Start => "start",
                Phase::End => "end",
            },
            time: stamp.date(event.at),
            value: event.value,
            seconds: event.lasted.as_secs_f64(),
        }
    }
}

fn optional_thousandths<S: serde::Serializer>(value: &Option<f64>, serializer: S) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => thousandths(value, serializer),
        None => serializer.serialize_none(),
    }
}
