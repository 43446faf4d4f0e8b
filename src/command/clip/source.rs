//! Where the pictures of a clip come from.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};
use image::RgbImage;

use super::ClipFrame;
use super::ffmpeg::FfmpegClip;
use super::folder::FolderClip;
use crate::capture::frame::decode::decode;
use crate::capture::replay::{ReplaySettings, ReplaySource, Speed};
use crate::capture::{Context, FrameSource as _, Input, SourceError};
use crate::exit::{Code, Failure, OrExit as _};
use crate::host::clock::ManualClock;

/// The rate of pictures that do not say when they are shown.
const FPS: f64 = 25.0;

/// How the names of videos end.
const VIDEOS: [&str; 17] = [
    "3gp", "asf", "avi", "flv", "m2ts", "m4v", "mjpeg", "mjpg", "mkv", "mov", "mp4", "mpeg", "mpg", "mts",
    "ts", "webm", "wmv",
];

/// A clip that is read.
pub enum ClipSource {
    /// Pictures of a folder.
    Folder(FolderClip),
    /// Motion JPEG, in a file or on standard input.
    Mjpeg(MjpegClip),
    /// A video.
    Video(FfmpegClip),
}

impl ClipSource {
    /// Opens a folder, a Motion JPEG file (`.mjpeg`, `.mjpg`), Motion JPEG on standard input (`-`), or a video, which
    /// ffmpeg decodes. `fps` is the rate of pictures, which have none of their own; with `resample` it is also the one that
    /// a video is brought to, of which else every frame is read.
    ///
    /// # Errors
    /// If there is no such file, no picture in it, or no ffmpeg for it.
    pub fn open(path: &Path, fps: Option<f64>, resample: bool) -> Result<Self, Failure> {
        let rate = fps.unwrap_or(FPS);
        if path == Path::new("-") {
            return MjpegClip::open(&Input::Stdin, rate).or_exit(Code::Data).map(Self::Mjpeg);
        }
        let shown = || format!("cannot read {}", path.display());
        let kind = std::fs::metadata(path).with_context(shown).or_exit(Code::NoInput)?;
        if kind.is_dir() {
            return FolderClip::open(path, rate).or_exit(Code::NoInput).map(Self::Folder);
        }
        if ["mjpeg", "mjpg"].contains(&&*ending(path)) {
            let input = Input::Path(path.to_owned());
            return MjpegClip::open(&input, rate).or_exit(Code::Data).map(Self::Mjpeg);
        }
        FfmpegClip::open(path, fps.filter(|_| resample)).map(Self::Video)
    }

    /// The next frame that can be read; `None` at the end.
    ///
    /// # Errors
    /// If no more can be read.
    pub fn next(&mut self) -> anyhow::Result<Option<ClipFrame>> {
        match self {
            Self::Folder(folder) => Ok(folder.next()),
            Self::Mjpeg(clip) => clip.next(),
            Self::Video(video) => video.next(),
        }
    }

    /// How long the clip is, if that is known.
    #[must_use]
    pub fn length(&self) -> Option<Duration> {
        if let Self::Video(video) = self { video.length() } else { None }
    }

    /// To be called after the last frame.
    ///
    /// # Errors
    /// If frames could not be read, or the clip is cut off.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        let broken = match self {
            Self::Folder(folder) => folder.broken(),
            Self::Mjpeg(clip) => clip.broken,
            Self::Video(video) => return video.finish(),
        };
        ensure!(broken == 0, "{broken} of the clip's frames could not be read; see above");
        Ok(())
    }
}

/// Whether a path names a video by its ending, rather than a picture.
#[must_use]
pub fn is_video(path: &Path) -> bool {
    VIDEOS.contains(&&*ending(path))
}

fn ending(path: &Path) -> String {
    path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}

/// A Motion JPEG stream.
pub struct MjpegClip {
    source: ReplaySource,
    fps: f64,
    broken: u64,
}

impl MjpegClip {
    fn open(input: &Input, fps: f64) -> Result<Self, SourceError> {
        let settings = ReplaySettings { fps, speed: Speed::Full, duration: None };
        // Frames are dated by their numbers, so that the clock stands still.
        let context = Context::new(Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH)));
        let source = ReplaySource::open(input, &settings, context)?;
        Ok(Self { source, fps, broken: 0 })
    }

    fn next(&mut self) -> anyhow::Result<Option<ClipFrame>> {
        loop {
            let frame = match self.source.next() {
                Ok(frame) => frame,
                Err(SourceError::End) => {
                    self.broken += self.source.take_losses().corrupt;
                    return Ok(None);
                }
                Err(error) => return Err(error.into()),
            };
            let time = frame.at.since_origin();
            let number = (time.as_secs_f64() * self.fps).round() as u64 + 1;
            let mut picture = RgbImage::new(0, 0);
            match decode(&frame, &mut picture) {
                Ok(()) => return Ok(Some(ClipFrame { number, time, picture })),
                Err(error) => {
                    self.broken += 1;
                    log::error!("frame {number}: {error}");
                }
            }
        }
    }
}
