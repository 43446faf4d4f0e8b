//! The wire format: topics and versioned JSON.
//!
//! The wall clock is read once a message, here, into a [`Stamp`]; what happened earlier is dated back from it by its age
//! on the monotonic clock. So a window's length on the wire is right even if the wall clock was stepped within it, and
//! a clock that is corrected late dates even earlier windows correctly, if they are published after the correction.
//! Sequence numbers have no gaps within a boot; neighbouring windows are known by them, not by equal time stamps, which
//! may differ by a step or by a rounded millisecond.

mod number;
mod report;
mod schema;
mod summary;
mod topic;
mod visits;

use alloc::borrow::ToOwned as _;
use alloc::format;
use alloc::string::String;

use jiff::Timestamp;
use serde::Serialize;

use report::EventPayload;
pub use report::{Capabilities, Health, Info, Latency, ModelInfo, PrivacyInfo, ReadingRate};
pub use schema::schema_text;
use summary::SummaryPayload;
pub use topic::{DeviceName, InvalidDeviceName};

use crate::Moment;
use crate::report::observation::CameraState;
use crate::report::summary::Summary;
use crate::report::trigger::TriggerEvent;

/// The version of the wire format. A field more does not change it; a field less or another meaning does.
pub(crate) const SCHEMA: u32 = 1;

/// A topic below `emotiond/<device>/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Topic {
    /// `status`, retained, `online` or `offline`.
    Status,
    /// `info`, retained.
    Info,
    /// `summary`.
    Summary,
    /// `event/<trigger>`.
    Event(String),
    /// `health`.
    Health,
    /// `pause/state`, retained, `ON` or `OFF`.
    PauseState,
    /// `camera/state`, retained: `ok`, `blind`, `lost` or `paused`.
    CameraState,
    /// `trigger/<trigger>/state`, retained: `ON` while its condition is met, else `OFF`.
    TriggerState(String),
    /// `response/<request>`.
    Response(String),
}

/// A message ready to be sent: numbers and names only, by construction of the types that make it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Where it goes.
    pub topic: Topic,
    /// What it says: JSON, or a bare word for `status` and the topics that end in `state`.
    pub body: String,
}

impl Message {
    /// `online` or `offline`.
    #[must_use]
    pub fn status(online: bool) -> Self {
        Self { topic: Topic::Status, body: if online { "online" } else { "offline" }.to_owned() }
    }

    /// `ON` if paused, else `OFF`.
    #[must_use]
    pub fn pause_state(paused: bool) -> Self {
        Self { topic: Topic::PauseState, body: if paused { "ON" } else { "OFF" }.to_owned() }
    }

    /// What the camera does, as summaries say it.
    #[must_use]
    pub fn camera_state(state: CameraState) -> Self {
        Self { topic: Topic::CameraState, body: state.name().to_owned() }
    }

    /// `ON` while the condition of the trigger of that name is met, else `OFF`.
    #[must_use]
    pub fn trigger_state(trigger: &str, active: bool) -> Self {
        let body = if active { "ON" } else { "OFF" }.to_owned();
        Self { topic: Topic::TriggerState(trigger.to_owned()), body }
    }

    fn json<T: Serialize>(topic: Topic, payload: &T) -> Self {
        let body =
            serde_json::to_string(payload).expect("the payload types hold strings and finite numbers only");
        Self { topic, body }
    }
}

/// Both clocks at one instant.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stamp {
    /// The monotonic clock.
    pub now: Moment,
    /// The wall clock at the same instant.
    pub wall: Timestamp,
    /// Whether the wall clock is known to be synchronized.
    pub synchronized: bool,
}

impl Stamp {
    /// The wall time of a moment, in RFC 3339 with milliseconds, UTC.
    #[must_use]
    pub fn date(&self, moment: Moment) -> String {
        let wall = if moment <= self.now {
            self.wall.checked_sub(self.now - moment)
        } else {
            self.wall.checked_add(moment - self.now)
        };
        // Outside the years -9999 to 9999 there is no date; the epoch is as wrong, and can be written.
        let time = wall.unwrap_or(Timestamp::UNIX_EPOCH);
        let rounded = time.round(jiff::Unit::Millisecond).unwrap_or(time);
        format!("{rounded:.3}")
    }
}

/// Writes messages under one device's name, and numbers the summaries.
#[derive(Debug)]
pub struct Encoder {
    device: String,
    boot: String,
    sequence: u64,
}

impl Encoder {
    /// An encoder for one run. `boot` tells the run's sequence numbers from those of other runs; they begin at 1.
    #[must_use]
    pub fn new(device: String, boot: String) -> Self {
        Self { device, boot, sequence: 1 }
    }

    /// The `summary` message of a window, with the next sequence number.
    #[must_use]
    pub fn summary(&mut self, summary: &Summary, stamp: &Stamp) -> Message {
        let payload = SummaryPayload::new(summary, &self.device, &self.boot, self.sequence, stamp);
        self.sequence += 1;
        Message::json(Topic::Summary, &payload)
    }

    /// The `event/<trigger>` message of an event.
    #[must_use]
    pub fn event(&self, event: &TriggerEvent, stamp: &Stamp) -> Message {
        let payload = EventPayload::new(event, &self.device, &self.boot, stamp);
        Message::json(Topic::Event(event.name.clone()), &payload)
    }

    /// The `info` message.
    #[must_use]
    pub fn info(&self, info: &Info) -> Message {
        Message::json(Topic::Info, &self.enveloped(info))
    }

    /// The `health` message.
    #[must_use]
    pub fn health(&self, health: &Health) -> Message {
        Message::json(Topic::Health, &self.enveloped(health))
    }

    /// A report in the envelope that all JSON messages have, for `info`, `health` and the responses that carry them.
    #[must_use]
    pub fn enveloped<'a, T: Serialize>(&'a self, report: &'a T) -> impl Serialize + 'a {
        Envelope { schema: SCHEMA, device: &self.device, boot: &self.boot, report }
    }
}

#[derive(Serialize)]
struct Envelope<'a, T> {
    schema: u32,
    device: &'a str,
    boot: &'a str,
    #[serde(flatten)]
    report: &'a T,
}

#[cfg(test)]
mod tests;
