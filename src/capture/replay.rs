//! Recorded pictures in place of a camera: an image, a folder of images, a Motion JPEG file or stream.

mod material;

use std::sync::Arc;
use std::time::{Duration, Instant};

use emotiond_core::Moment;
use material::{Material, Piece};

use super::pipe::{POLL_INTERVAL, PipeReader};
use super::{Context, Delivery, FrameSource, Input, Losses, Properties, SourceError, Timeline};
use crate::capture::frame::Frame;

/// How long a single image is shown if nothing else is asked for.
pub const STILL_DURATION: Duration = Duration::from_secs(30);

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Speed {
    /// As fast as frames are taken; every frame that is due is analysed.
    #[default]
    Full,
    /// Each frame at its time, as a camera would deliver it.
    RealTime,
}

/// How a recording is played.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ReplaySettings {
    /// Nominal frames a second. Default: 25.
    pub fps: f64,
    /// Default: [`Speed::Full`].
    pub speed: Speed,
    /// Nominal time after which it ends, starting over as often as needed (standard input cannot start over, and ends
    /// when it ends). Default: an image lasts [`STILL_DURATION`], anything else is played once.
    pub duration: Option<Duration>,
}

impl Default for ReplaySettings {
    fn default() -> Self {
        Self { fps: 25.0, speed: Speed::default(), duration: None }
    }
}

impl ReplaySettings {
    /// What a recording declares of itself. In real time it is dated like a camera, so that a pause takes the time that
    /// it takes; at full speed its clock is its frame rate.
    #[must_use]
    pub fn properties(&self) -> Properties {
        match self.speed {
            Speed::Full => Properties {
                timeline: Timeline::Nominal { fps: self.fps() },
                delivery: Delivery::Every,
                reopens: false,
            },
            Speed::RealTime => {
                Properties { timeline: Timeline::Live, delivery: Delivery::Newest, reopens: false }
            }
        }
    }

    /// A rate of nothing would never end a window; the configuration refuses it, and nobody else means it.
    fn fps(&self) -> f64 {
        if self.fps.is_finite() { self.fps.clamp(0.001, 1e6) } else { 25.0 }
    }
}

/// A recording that is played.
pub struct ReplaySource {
    what: String,
    material: Material,
    fps: f64,
    speed: Speed,
    context: Context,
    /// The moment of frame 0 and when it was, once it was.
    start: Option<(Moment, Instant)>,
    /// Number of the next frame; damaged ones count, for time passes with them.
    index: u64,
    /// Number of frames after which it ends.
    end: Option<u64>,
    losses: Losses,
}

impl ReplaySource {
    /// Opens an image (JPEG, PNG), a folder of images (in the order of their names), a Motion JPEG file, or Motion JPEG
    /// on standard input. Whatever lies between the frames of a stream is skipped.
    ///
    /// # Errors
    /// [`SourceError::Unsupported`] with the file's name if it cannot be read or is none of these.
    pub fn open(input: &Input, settings: &ReplaySettings, context: Context) -> Result<Self, SourceError> {
        let material = match input {
            Input::Path(path) => Material::open(path)?,
            Input::Stdin => {
                Material::pipe(PipeReader::stdin(Arc::clone(&context.control))?, input.to_string())
            }
        };
        Ok(Self::of(input.to_string(), material, settings, context))
    }

    fn of(what: String, material: Material, settings: &ReplaySettings, context: Context) -> Self {
        let fps = settings.fps();
        let still = material.is_still().then_some(STILL_DURATION);
        let end = settings.duration.or(still).map(|duration| (duration.as_secs_f64() * fps).ceil() as u64);
        Self {
            what,
            material,
            fps,
            speed: settings.speed,
            context,
            start: None,
            index: 0,
            end,
            losses: Losses::default(),
        }
    }

    /// The moment of frame `index`; in real time, once it has come.
    fn due(&mut self) -> Result<Moment, SourceError> {
        let clock = &self.context.clock;
        let (origin, began) = *self.start.get_or_insert_with(|| (clock.now(), Instant::now()));
        let offset = Duration::from_secs_f64(self.index as f64 / self.fps);
        if self.speed == Speed::Full {
            return Ok(origin + offset);
        }
        loop {
            let left = offset.saturating_sub(began.elapsed());
            if left.is_zero() {
                // Later than due if whoever writes it is slower than its rate says: then that is when it was.
                return Ok(clock.now());
            }
            self.context.control.check()?;
            std::thread::sleep(left.min(POLL_INTERVAL));
        }
    }

    /// In real time the last frame is shown for its time too, before the end.
    fn over(&mut self) -> SourceError {
        match self.due() {
            Ok(_) => SourceError::End,
            Err(error) => error,
        }
    }
}

impl FrameSource for ReplaySource {
    fn next(&mut self) -> Result<Frame, SourceError> {
        loop {
            self.context.control.check()?;
            if self.end.is_some_and(|end| self.index >= end) {
                return Err(self.over());
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
                Piece::End => return Err(self.over()),
            }
        }
    }

    fn describe(&self) -> String {
        let speed = match self.speed {
            Speed::Full => "as fast as they are analysed",
            Speed::RealTime => "in real time",
        };
        let (kind, what) = (self.material.kind(), &self.what);
        format!("{kind} {what} as {} fps, {speed}", super::v4l2::rate_text(self.fps))
    }

    fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }
}

#[cfg(test)]
mod tests;
