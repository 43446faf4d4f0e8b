//! Tumbling windows on the monotonic clock, and what is said of each.
//!
//! # What the numbers mean
//!
//! A frame speaks for the time until the next one, but for no longer than [`SummarySettings::hold`]: a stall must not
//! stretch the last face over a minute. That time, cut at the window's edges, is the frame's *weight*; the sum of
//! weights is the time *observed*. A window edge loses nothing: the rest of the weight goes to the next window.
//!
//! A track counts from its second frame on (see [`SummarySettings::confirm`]), so that a false detection that lives
//! for one frame is nobody. Only tracks that count contribute to anything but `skipped`.
//!
//! With w the weight of a frame, F its faces and S ⊆ F those with scores p:
//!
//! * face-seconds Σ w·|F|; `mean` = face-seconds / Σ w; `max` = greatest |F|; `people` = distinct tracks;
//! * `facing` = Σ w·|facing F| / Σ w·|F|;
//! * every average of scores goes over face-seconds: at each instant the mean over the faces there, p̄ = Σ p / |S|,
//!   and the instants weighed by the face-seconds they hold, Σ w·|S|·p̄ / Σ w·|S|. So one face that stays ten seconds
//!   weighs as much as a crowd of ten that is there for one, where a mean over time alone would let it outvote them.
//!   The result does not depend on how the time is cut into frames or windows;
//! * the spread is the standard deviation over the same face-seconds: of faces and of moments;
//! * `intensity` is the greatest smoothed probability of any counted face at any instant of the window;
//! * `ambiguous` is the share of the face-seconds with scores in which a face's greatest smoothed probability of an
//!   expression was below [`SummarySettings::ambiguous`]: it might have been one thing or another.
//!
//! # No window lost or doubled
//!
//! Time is settled once: a cursor goes from the start to the end of the run, and every crossing of a window's end emits
//! that window. An event of the past (a frame that was still being analysed) counts as of the cursor. After a stall of more
//! than [`SummarySettings::backlog`] windows those without any observation are merged into one gap, which is seen by
//! its length and by its camera state: the windows together still cover the time without hole or overlap.

mod window;

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::moment::Moment;
use crate::report::observation::{CameraState, FrameAnalysis, Passage, Skipped, TrackId};
use crate::report::policy::{Policy, Suppressed};
use crate::report::reading::{Reading, ReadingTimes};
use crate::report::score::{Scores, Vocabulary};
use crate::report::visits::{VisitSummary, Visits};
use window::Window;

/// How windows are cut and what they may say.
#[derive(Clone, Debug, PartialEq)]
pub struct SummarySettings {
    /// The length of a window; more than zero.
    pub window: Duration,
    /// The greatest time one frame speaks for. More than the longest usual time between analysed frames.
    pub hold: Duration,
    /// How long to wait for frames that were captured in a window but are still being analysed when it ends.
    pub grace: Duration,
    /// The frame from which on a track counts; 1 counts every detection.
    pub confirm: u32,
    /// The probability, 0..=1, that one expression has to reach for a face not to count as ambiguous.
    pub ambiguous: f64,
    /// The greatest number of windows without observation that one stall may emit one by one.
    pub backlog: u32,
    /// What it may say.
    pub policy: Policy,
}

impl Default for SummarySettings {
    fn default() -> Self {
        Self {
            window: Duration::from_secs(10),
            hold: Duration::from_secs(2),
            grace: Duration::from_millis(500),
            confirm: 2,
            ambiguous: 0.4,
            backlog: 60,
            policy: Policy::default(),
        }
    }
}

/// What the faces of a window showed by one score.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ScoreStatistics {
    /// Mean over face-seconds, in the range of the score.
    pub mean: f64,
    /// Standard deviation over face-seconds, 0..=1.
    pub std: f64,
    /// The greatest smoothed value of any face at any instant.
    pub peak: f64,
}

/// What the faces of a window showed.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoreSummary {
    /// What the numbers are.
    pub vocabulary: Arc<Vocabulary>,
    /// One entry for each score, in the order of the vocabulary.
    pub statistics: Vec<ScoreStatistics>,
    /// Share of their face-seconds in which no expression was likely enough, 0..=1; 0 where the model has none.
    pub ambiguous: f64,
}

impl ScoreSummary {
    /// The labels and statistics of one head, if the model has it.
    #[must_use]
    pub fn head(&self, name: &str) -> Option<(&[String], &[ScoreStatistics])> {
        let (head, range) = self.vocabulary.head(name)?;
        Some((&head.labels, &self.statistics[range]))
    }

    /// The statistics of one score by the name of its signal, such as `valence` or `expression.happiness`.
    #[must_use]
    pub fn get(&self, signal: &str) -> Option<ScoreStatistics> {
        self.vocabulary.place(signal).map(|place| self.statistics[place])
    }
}

/// Who was there.
#[derive(Clone, Debug, PartialEq)]
pub struct Faces {
    /// Mean number of faces over the time observed.
    pub mean: f64,
    /// The greatest number of faces at once.
    pub max: u32,
    /// Distinct tracks; a person who leaves and comes back counts again.
    pub people: u32,
    /// Share of face-seconds turned to the camera, 0..=1; `None` if withheld or nobody was there.
    pub facing: Option<f64>,
    /// Faces not classified, summed over the frames analysed.
    pub skipped: Skipped,
}

/// How far the window is to be trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Quality {
    /// `Ok` if anything was observed; else the state that held longest. A camera that should work but gave no
    /// picture counts as `Lost`.
    pub camera: CameraState,
    /// Frames analysed.
    pub frames: u64,
    /// Frames captured or due but not analysed.
    pub dropped: u64,
    /// Frames that arrived damaged.
    pub corrupt: u64,
    /// The time observed.
    pub observed: Duration,
    /// How often faces were read; `None` if there is nothing to say of what they showed.
    pub readings: Option<ReadingTimes>,
}

/// What one window says. Moments, not wall time: that is stamped when it is published.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// When it began.
    pub start: Moment,
    /// When it ended; the next one begins here.
    pub end: Moment,
    /// Who was there; `None` if nothing was observed.
    pub faces: Option<Faces>,
    /// How long they stayed and looked; there if `faces` is.
    pub visits: Option<VisitSummary>,
    /// What they showed, if there were scores and nothing suppresses them.
    pub scores: Option<ScoreSummary>,
    /// What networks that read sequences said of them, under the same conditions; one entry for each that spoke.
    pub sequences: Vec<ScoreSummary>,
    /// Why there is no emotion.
    pub suppressed: Option<Suppressed>,
    /// How far to trust it.
    pub quality: Quality,
}

/// A face of the last frame, if its track counts.
#[derive(Debug)]
struct HeldFace {
    track: TrackId,
    facing: bool,
    scores: Option<Scores>,
    sequences: Vec<Scores>,
    reading: Reading,
}

/// Turns analysed frames and camera states into one summary a window.
#[derive(Debug)]
pub struct Windows {
    settings: SummarySettings,
    /// Everything before this is settled.
    cursor: Moment,
    current: Window,
    /// The faces of the last frame, and the moment up to which they speak.
    held: Option<(Vec<HeldFace>, Moment)>,
    camera: CameraState,
    camera_since: Moment,
    /// Frames a track was seen in, and when last.
    seen: BTreeMap<TrackId, (u32, Moment)>,
    visits: Visits,
    /// Readings that [`Self::take_readings`] has not told of yet.
    readings: ReadingTimes,
    ready: Vec<Summary>,
}

impl Windows {
    /// Windows from `start` on. The camera counts as lost until told otherwise, or until the first frame analysed.
    #[must_use]
    pub fn new(settings: SummarySettings, start: Moment) -> Self {
        assert!(!settings.window.is_zero(), "settings are validated: a window is longer than zero");
        Self {
            visits: Visits::new(settings.confirm, settings.hold),
            settings,
            cursor: start,
            current: Window::new(start),
            held: None,
            camera: CameraState::Lost,
            camera_since: start,
            seen: BTreeMap::new(),
            readings: ReadingTimes::default(),
            ready: Vec::new(),
        }
    }

    /// Takes in an analysed frame. A frame older than what is settled counts as of the cursor; one that was captured
    /// before the camera was lost, covered or paused counts as analysed and says nothing of who is there.
    pub fn frame(&mut self, analysis: &FrameAnalysis) {
        self.settle(analysis.at);
        if self.camera == CameraState::Lost && analysis.at >= self.camera_since {
            self.camera = CameraState::Ok;
            self.camera_since = analysis.at;
        }
        self.current.frames += 1;
        self.current.skip(analysis.skipped);
        if self.camera != CameraState::Ok || analysis.at < self.camera_since {
            return;
        }
        self.visits.frame(analysis);
        let mut faces = Vec::with_capacity(analysis.faces.len());
        for face in &analysis.faces {
            let (frames, last) = self.seen.entry(face.track).or_insert((0, self.cursor));
            *frames = frames.saturating_add(1);
            *last = self.cursor;
            if *frames >= self.settings.confirm {
                let scores = face.scores.clone().filter(Scores::is_finite);
                let sequences = face.sequences.iter().filter(|scores| scores.is_finite()).cloned().collect();
                let reading = face.reading;
                faces.push(HeldFace { track: face.track, facing: face.facing, scores, sequences, reading });
            }
        }
        let read = faces.iter().filter(|face| face.reading == Reading::At(analysis.at)).count() as u64;
        self.current.readings.count += read;
        self.readings.count += read;
        self.held = Some((faces, self.cursor + self.settings.hold));
    }

    /// Takes in that a track began, before the first frame that shows it, or that it ended. An end counts for the
    /// window that is open, or for the next one in which anything is observed.
    pub fn passage(&mut self, passage: Passage) {
        self.visits.passage(passage);
    }

    /// The visits under way.
    #[must_use]
    pub fn visits(&self) -> &Visits {
        &self.visits
    }

    /// Takes in a change of the camera's state (or its confirmation, which changes nothing). One that is older
    /// than the last change, as from a frame that was still being analysed when the camera was closed, is ignored.
    pub fn camera(&mut self, at: Moment, state: CameraState) {
        self.settle(at);
        if state != self.camera && at >= self.camera_since {
            self.camera = state;
            self.camera_since = at;
            self.held = None;
        }
    }

    /// Counts frames that were captured or due but not analysed.
    pub fn dropped(&mut self, at: Moment, frames: u64) {
        self.settle(at - self.settings.grace);
        self.current.dropped += frames;
    }

    /// Counts frames that arrived damaged.
    pub fn corrupt(&mut self, at: Moment, frames: u64) {
        self.settle(at - self.settings.grace);
        self.current.corrupt += frames;
    }

    /// How often the faces that count were read, since the last call.
    pub fn take_readings(&mut self) -> ReadingTimes {
        core::mem::take(&mut self.readings)
    }

    /// The windows that have ended and had their grace, in order.
    pub fn advance(&mut self, now: Moment) -> Vec<Summary> {
        self.settle(now - self.settings.grace);
        core::mem::take(&mut self.ready)
    }

    /// The windows that are left at the end of the run; the last one is partial unless it ends with the run.
    #[must_use]
    pub fn finish(mut self, now: Moment) -> Vec<Summary> {
        self.settle(now);
        if self.cursor > self.current.start {
            self.close(self.cursor);
        }
        self.ready
    }

    /// Moves the cursor on, crediting the time passed and closing the windows crossed.
    fn settle(&mut self, to: Moment) {
        while self.cursor < to {
            let end = self.current.start + self.settings.window;
            // Where what holds now ceases to hold, if that is within this window.
            let speaks = self.held.as_ref().map_or(self.cursor, |(_, until)| *until);
            if speaks <= self.cursor && self.cursor == self.current.start && self.current.is_untouched() {
                let whole = (to - self.cursor).as_nanos() / self.settings.window.as_nanos();
                if whole > u128::from(self.settings.backlog) {
                    self.merge(u32::try_from(whole).unwrap_or(u32::MAX));
                    continue;
                }
            }
            let step = if speaks > self.cursor { to.min(end).min(speaks) } else { to.min(end) };
            let passed = step - self.cursor;
            match &self.held {
                Some((faces, until)) if *until > self.cursor => {
                    let mut readings = ReadingTimes::default();
                    faces.iter().for_each(|face| readings.stand(self.cursor, passed, face.reading));
                    self.readings.merge(&readings);
                    self.current.readings.merge(&readings);
                    self.current.observe(passed, faces, self.settings.ambiguous);
                }
                _ => self.current.unobserved(passed, self.camera),
            }
            self.cursor = step;
            if step == end {
                self.close(end);
            }
        }
    }

    /// Closes so many whole windows without observation as one gap.
    fn merge(&mut self, windows: u32) {
        let end = self.cursor + self.settings.window * windows;
        self.current.unobserved(end - self.cursor, self.camera);
        self.cursor = end;
        self.close(end);
    }

    fn close(&mut self, end: Moment) {
        let window = core::mem::replace(&mut self.current, Window::new(end));
        let mut summary = window.summarize(end, &self.settings.policy);
        if let Some(faces) = &summary.faces {
            let held = self.held.iter().filter(|(_, until)| *until >= end);
            let there: Vec<TrackId> = held.flat_map(|(faces, _)| faces).map(|face| face.track).collect();
            summary.visits = Some(self.visits.tell(end, &there, faces.max, &self.settings.policy));
        }
        self.ready.push(summary);
        // A tracker gives a face up within seconds; a minute is more than enough to remember who counts.
        let horizon = end - Duration::from_secs(60);
        self.seen.retain(|_, (_, last)| *last >= horizon);
    }
}

#[cfg(test)]
mod tests;
