//! A clip: pictures one after the other, each with its time, and what is read of the faces in them. For the commands
//! that somebody gives with a file of their own; the daemon calls none of it.

mod ffmpeg;
pub mod filter;
mod folder;
pub mod reader;
pub mod source;

use std::time::Duration;

use image::RgbImage;

use emotiond_core::geometry::Face;
use emotiond_core::report::score::Scores;
use emotiond_core::report::trigger::TriggerEvent;

/// One picture of a clip.
pub struct ClipFrame {
    /// Its number, from 1. In a folder of numbered pictures the number in the file's name.
    pub number: u64,
    /// When it is shown, from the start of the clip.
    pub time: Duration,
    /// The picture.
    pub picture: RgbImage,
}

/// One face of a frame.
#[derive(Clone, Debug)]
pub struct ClipFace {
    /// The number of its track, from 1 in the order of appearance. It means nothing beyond one run over one clip.
    pub track: u64,
    /// Where it is.
    pub face: Face,
    /// What is read of it; `None` without an emotion model.
    pub scores: Option<Scores>,
    /// What networks that read sequences say of its last seconds, of those that have seen enough of it.
    pub sequences: Vec<Scores>,
}

/// What is read of one frame.
#[derive(Clone, Debug)]
pub struct ClipReading {
    /// The frame's number.
    pub number: u64,
    /// When it is shown.
    pub time: Duration,
    /// Its faces.
    pub faces: Vec<ClipFace>,
    /// What the configured triggers say.
    pub events: Vec<TriggerEvent>,
}
