//! What was seen of one face in one frame, as plain numbers: the currency between vision and summary.
//!
//! Nothing here can identify a person or rebuild a picture: a track number that lives in memory only, a flag, and scores.

use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::report::reading::Reading;
use crate::report::score::Scores;

/// Identifies a track within this run of the process. Never leaves the daemon.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrackId(pub u64);

/// The beginning or the end of a track: what visits are counted by.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Passage {
    /// A face was seen that continues no other.
    Began {
        /// Its track.
        track: TrackId,
        /// When it was seen first.
        at: Moment,
    },
    /// A track was given up, seconds after its face was seen last.
    Ended {
        /// Which one; nothing is to be kept of it.
        track: TrackId,
        /// When its face was seen first.
        first: Moment,
        /// When its face was seen last.
        last: Moment,
    },
}

/// One tracked face in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Which track.
    pub track: TrackId,
    /// Whether the head is turned towards the camera.
    pub facing: bool,
    /// The smoothed scores by what was last read; `None` where the face was too small or too far turned to classify, has
    /// not been read yet, or the site forbids it.
    pub scores: Option<Scores>,
    /// What networks that read sequences say of its last seconds; only of those that have seen enough of it.
    pub sequences: Vec<Scores>,
    /// When it was last read.
    pub reading: Reading,
}

/// Faces that were found and counted, but not classified.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, JsonSchema, PartialEq, Serialize)]
pub struct Skipped {
    /// Faces under the minimum size.
    pub small: u32,
    /// Faces too far turned away.
    pub turned: u32,
}

/// Everything one analysed frame says.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameAnalysis {
    /// When the frame was captured.
    pub at: Moment,
    /// The tracked faces in it.
    pub faces: Vec<Observation>,
    /// Faces not classified in this frame (they are among `faces`, without scores).
    pub skipped: Skipped,
}

/// What the camera is doing, as a consumer of summaries needs to know it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, JsonSchema, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CameraState {
    /// Pictures arrive.
    Ok,
    /// Pictures arrive but show nothing: a covered lens or a dark room.
    Blind,
    /// No pictures: unplugged, stalled, or taken by another program.
    Lost,
    /// Closed on request.
    Paused,
}

impl CameraState {
    /// The word for it on the wire.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Blind => "blind",
            Self::Lost => "lost",
            Self::Paused => "paused",
        }
    }
}
