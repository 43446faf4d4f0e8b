//! The name of a source, as a config or the command line gives it.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::time::Duration;

use super::replay::{Pace, ReplayOptions, ReplaySource};
use super::v4l2::negotiate::ModeRequest;
use super::v4l2::{V4l2Options, V4l2Source};
use super::{FrameSource, SourceError};
use crate::clock::Clock;

/// Which source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Spec {
    /// `v4l2:/dev/video0`: a camera.
    V4l2(PathBuf),
    /// `replay:PATH`: an image, a folder of images, or a Motion JPEG file.
    Replay(PathBuf),
    /// `replay:-`: Motion JPEG on standard input.
    Stdin,
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            Some(("v4l2", path)) if !path.is_empty() => Ok(Self::V4l2(path.into())),
            Some(("replay", "-")) => Ok(Self::Stdin),
            Some(("replay", path)) if !path.is_empty() => Ok(Self::Replay(path.into())),
            _ => Err(format!(
                "{text:?} is not a source; give v4l2:/dev/video0 for a camera (`emotiond cameras` lists them), \
                 replay:PATH for an image, a folder of images or a Motion JPEG file, or replay:- for Motion JPEG on \
                 standard input"
            )),
        }
    }
}

impl std::fmt::Display for Spec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::V4l2(path) => write!(f, "v4l2:{}", path.display()),
            Self::Replay(path) => write!(f, "replay:{}", path.display()),
            Self::Stdin => f.write_str("replay:-"),
        }
    }
}

/// How to open whichever source it is; each takes what concerns it.
#[derive(Clone, Debug, Default)]
pub struct OpenOptions {
    /// What the analysis needs of a camera.
    pub requested: ModeRequest,
    /// After how long without a frame a camera counts as stalled. Default: 5 s.
    pub timeout: Option<Duration>,
    /// Frames a second of a replay. Default: 25.
    pub fps: Option<f64>,
    /// How fast a replay runs.
    pub pace: Pace,
    /// How long a replay lasts, starting over as often as needed. Default: an image 30 s, anything else once.
    pub duration: Option<Duration>,
    /// Set it to make a waiting source end within a tenth of a second (but for a read of standard input).
    pub stop: Arc<AtomicBool>,
    /// Goes up at least ten times a second while the source waits for the next frame, and stands still when a call into the
    /// driver does not come back.
    pub pulse: Arc<AtomicU64>,
}

/// Opens a source.
///
/// # Errors
/// See [`V4l2Source::open`] and [`ReplaySource::open`].
pub fn open(
    spec: &Spec,
    options: &OpenOptions,
    clock: Arc<dyn Clock>,
) -> Result<Box<dyn FrameSource>, SourceError> {
    let defaults = ReplayOptions::default();
    let replay = ReplayOptions {
        fps: options.fps.unwrap_or(defaults.fps),
        pace: options.pace,
        duration: options.duration,
        stop: options.stop.clone(),
        pulse: options.pulse.clone(),
    };
    match spec {
        Spec::V4l2(path) => {
            let mut camera = V4l2Options::new(path);
            camera.requested = options.requested;
            camera.timeout = options.timeout.unwrap_or(camera.timeout);
            camera.stop = options.stop.clone();
            camera.pulse = options.pulse.clone();
            Ok(Box::new(V4l2Source::open(&camera, clock)?))
        }
        Spec::Replay(path) => Ok(Box::new(ReplaySource::open(path, &replay, clock)?)),
        Spec::Stdin => Ok(Box::new(ReplaySource::stream(std::io::stdin(), "standard input", &replay, clock))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sources() {
        for text in
            ["v4l2:/dev/video0", "v4l2:/dev/v4l/by-id/usb-046d_HD-index0", "replay:-", "replay:a:b.jpg"]
        {
            assert_eq!(text.parse::<Spec>().unwrap().to_string(), text);
        }
        assert_eq!("replay:-".parse(), Ok(Spec::Stdin));
        for wrong in ["", "v4l2:", "replay:", "/dev/video0", "rtsp://camera"] {
            assert!(wrong.parse::<Spec>().unwrap_err().contains("replay:PATH"), "{wrong}");
        }
    }
}
