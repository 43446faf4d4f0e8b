//! What was seen of one face in one frame, as plain numbers: the currency between vision and summary.
//!
//! Nothing here can identify a person or rebuild a picture: a track number that lives in memory only, a flag, and scores.

use alloc::vec::Vec;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::moment::Moment;
use crate::report::score::Scores;

/// Identifies a track within this run of the process. Never leaves it.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TrackId(pub u64);

/// One tracked face in one frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Observation {
    /// Which track.
    pub track: TrackId,
    /// Whether the head is turned towards the camera.
    pub facing: bool,
    /// The smoothed scores; `None` where the face was too small or too far turned to classify, or the site forbids it.
    pub scores: Option<Scores>,
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
