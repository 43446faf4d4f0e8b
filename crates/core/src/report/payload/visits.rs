//! What the `summary` message says of visits.

use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::Serialize;

use super::number::{Seconds, Share};
use crate::report::visits::{Times, VisitSummary};

/// How long people stayed and looked.
#[derive(Clone, Debug, Default, JsonSchema, Serialize)]
#[schemars(inline)]
pub(super) struct VisitsPayload {
    /// Tracks that counted for the first time: visits that began.
    visits: u32,
    /// Visits that have now faced the camera for a second; null if withheld.
    watchers: Option<u32>,
    /// How long the visits that ended lasted, from the first sight to the last; null if withheld.
    dwell: Option<TimesPayload>,
    /// How long the same visits faced the camera; null if withheld.
    facing_time: Option<TimesPayload>,
    /// Facing time as a share of dwell, of the visits that ended; null if none did or if withheld.
    attraction: Option<Share>,
    /// For how many seconds the one who is there longest has been there at the window's end; null if nobody is.
    longest: Option<Seconds>,
}

/// A length of time of each visit that ended.
#[derive(Clone, Debug, JsonSchema, Serialize)]
#[schemars(rename = "Times")]
struct TimesPayload {
    /// Visits that ended.
    ended: u32,
    /// Mean in seconds; null if none ended.
    mean: Option<Seconds>,
    /// Visits of 0 to 5, 5 to 15, 15 to 30, 30 to 60, 60 to 300 seconds, and longer.
    #[schemars(length(equal = 6))]
    histogram: Vec<u32>,
}

impl From<&VisitSummary> for VisitsPayload {
    fn from(visits: &VisitSummary) -> Self {
        Self {
            visits: visits.began,
            watchers: visits.watchers,
            dwell: visits.dwell.as_ref().map(Into::into),
            facing_time: visits.facing.as_ref().map(Into::into),
            attraction: visits.attraction().map(Share),
            longest: visits.longest.map(|time| Seconds(time.as_secs_f64())),
        }
    }
}

impl From<&Times> for TimesPayload {
    fn from(times: &Times) -> Self {
        Self { ended: times.ended, mean: times.mean().map(Seconds), histogram: times.histogram.to_vec() }
    }
}
