//! Recorded pictures in place of a camera: an image, a folder of images, a Motion JPEG file or stream.
//!
//! Its clock is the nominal frame rate: picture *n* is of moment *n* / fps, so that what is made of the pictures does not
//! depend on how fast the machine is.

mod material;

use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use material::{Material, Piece};

use super::{FrameSource, Losses, SourceError};
use crate::capture::frame::Frame;
use crate::clock::Clock;
use emotiond_core::Moment;

/// How long a single image is shown if nothing else is asked for.
pub const STILL_DURATION: Duration = Duration::from_secs(30);

/// How often a pause between two frames looks at the stop flag.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How fast a replay runs.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Pace {
    /// As fast as frames are taken. Frames are of moment *n* / fps, counted from zero.
    #[default]
    Fast,
    /// Each frame at its time. Frames are of moment *n* / fps, counted from the clock's now at the first one.
    Realtime,
}

/// How to replay.
#[derive(Clone, Debug)]
pub struct ReplayOptions {
    /// Nominal frames a second. Default: 25.
    pub fps: f64,
    /// Default: [`Pace::Fast`].
    pub pace: Pace,
    /// Nominal time after which it ends, starting over as often as needed (standard input cannot start over, and ends
    /// when it ends). Default: an image lasts [`STILL_DURATION`], anything else is played once.
    pub duration: Option<Duration>,
    /// Set it to make [`FrameSource::next`] give [`SourceError::End`] within a tenth of a second, but for a read of
    /// standard input.
    pub stop: Arc<AtomicBool>,
    /// See [`super::OpenOptions::pulse`]; it stands still while standard input is read.
    pub pulse: Arc<AtomicU64>,
}

impl Default for ReplayOptions {
    fn default() -> Self {
        Self { fps: 25.0, pace: Pace::default(), duration: None, stop: Arc::default(), pulse: Arc::default() }
    }
}

/// A replay that runs.
pub struct ReplaySource {
    what: String,
    material: Material,
    fps: f64,
    pace: Pace,
    stop: Arc<AtomicBool>,
    pulse: Arc<AtomicU64>,
    clock: Arc<dyn Clock>,
    /// The moment of frame 0 and when it was, once it was.
    start: Option<(Moment, Instant)>,
    /// Number of the next frame; damaged ones count, for time passes with them.
    index: u64,
    /// Number of frames after which it ends.
    end: Option<u64>,
    losses: Losses,
}

impl ReplaySource {
    /// Opens an image (JPEG, PNG), a folder of images (in the order of their names) or a Motion JPEG file.
    ///
    /// # Errors
    /// [`SourceError::Unsupported`] with the file's name if it cannot be read or is none of these.
    pub fn open(path: &Path, options: &ReplayOptions, clock: Arc<dyn Clock>) -> Result<Self, SourceError> {
        let material = Material::open(path)?;
        let still = material.is_still().then_some(STILL_DURATION);
        Ok(Self::of(path.display().to_string(), material, options.duration.or(still), options, clock))
    }

    /// Plays Motion JPEG from a stream, called `what` in messages. Whatever lies between its frames is skipped.
    #[must_use]
    pub fn stream(
        stream: impl Read + Send + 'static,
        what: &str,
        options: &ReplayOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let material = Material::stream(Box::new(stream), what);
        Self::of(what.to_owned(), material, options.duration, options, clock)
    }

    fn of(
        what: String,
        material: Material,
        duration: Option<Duration>,
        options: &ReplayOptions,
        clock: Arc<dyn Clock>,
    ) -> Self {
        // A rate of nothing would never end a window; a config refuses it, and nobody else means it.
        let fps = if options.fps.is_finite() { options.fps.clamp(0.001, 1e6) } else { 25.0 };
        let end = duration.map(|duration| (duration.as_secs_f64() * fps).ceil() as u64);
        Self {
            what,
            material,
            fps,
            pace: options.pace,
            stop: options.stop.clone(),
            pulse: options.pulse.clone(),
            clock,
            start: None,
            index: 0,
            end,
            losses: Losses::default(),
        }
    }

    /// The moment of the next frame; with [`Pace::Realtime`], once it has come.
    fn due(&mut self) -> Result<Moment, SourceError> {
        let offset = Duration::from_secs_f64(self.index as f64 / self.fps);
        if self.pace == Pace::Fast {
            return Ok(Moment::after_origin(offset));
        }
        let (origin, began) = *self.start.get_or_insert_with(|| (self.clock.now(), Instant::now()));
        loop {
            let left = offset.saturating_sub(began.elapsed());
            if left.is_zero() {
                return Ok(origin + offset);
            }
            if self.stop.load(Ordering::Relaxed) {
                return Err(SourceError::End);
            }
            self.pulse.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(left.min(POLL_INTERVAL));
        }
    }
}

impl FrameSource for ReplaySource {
    fn next(&mut self) -> Result<Frame, SourceError> {
        loop {
            if self.stop.load(Ordering::Relaxed) || self.end.is_some_and(|end| self.index >= end) {
                return Err(SourceError::End);
            }
            // Played once unless a duration says when to end.
            match self.material.next(self.end.is_some())? {
                Piece::Picture(picture) => {
                    let at = self.due()?;
                    self.index += 1;
                    return Ok(picture.into_frame(at));
                }
                Piece::Damaged(frames) => {
                    self.losses.corrupt += frames;
                    self.index += frames;
                }
                Piece::End => return Err(SourceError::End),
            }
        }
    }

    fn describe(&self) -> String {
        let pace = match self.pace {
            Pace::Fast => "as fast as they are analysed",
            Pace::Realtime => "in real time",
        };
        let (kind, what) = (self.material.kind(), &self.what);
        format!("{kind} {what} as {} fps, {pace}", crate::capture::v4l2::rate_text(self.fps))
    }

    fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }
}

#[cfg(test)]
mod tests;
