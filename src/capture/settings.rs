//! Which source to capture from, and with what.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::replay::{ReplaySettings, ReplaySource};
use super::source::{Input, Opener};
use super::stream::StreamSource;
use super::v4l2::V4l2Source;
use super::v4l2::negotiate::ModeRequest;
use super::{Context, Properties};

/// Which source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Spec {
    /// `v4l2:/dev/video0`: a camera.
    V4l2(PathBuf),
    /// `stream:…`: live pictures from another process.
    Stream(Input),
    /// `replay:…`: a recording. An image, a folder of images or a Motion JPEG file; from standard input Motion JPEG.
    Replay(Input),
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':').filter(|(_, path)| !path.is_empty()) {
            Some(("v4l2", path)) => Ok(Self::V4l2(path.into())),
            Some(("stream", input)) => Ok(Self::Stream(input.into())),
            Some(("replay", input)) => Ok(Self::Replay(input.into())),
            _ => Err(format!(
                "{text:?} is not a source; write v4l2:/dev/video0 for a camera (`emotiond cameras` lists them), \
                 stream:PATH for live pictures from a named pipe or a Unix socket, replay:PATH for a recording (an image, \
                 a folder of images or a Motion JPEG file); stream:- and replay:- read standard input"
            )),
        }
    }
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, input) = match self {
            Self::V4l2(path) => return write!(f, "v4l2:{}", path.display()),
            Self::Stream(input) => ("stream", input),
            Self::Replay(input) => ("replay", input),
        };
        match input {
            Input::Path(path) => write!(f, "{kind}:{}", path.display()),
            Input::Stdin => write!(f, "{kind}:-"),
        }
    }
}

/// The camera or its stand-in, and how often to look.
#[derive(Clone, Debug, PartialEq)]
pub struct CameraSettings {
    /// What to capture from.
    pub source: Spec,
    /// What analysis needs of a camera; of a stream of raw frames their size and format, and Motion JPEG if it names no
    /// format.
    pub mode: ModeRequest,
    /// Bytes from one row of a raw frame to the next; 0: rows are packed.
    pub stride: u32,
    /// How long a live source may be silent before it counts as lost.
    pub timeout: Duration,
    /// How a recording is played.
    pub replay: ReplaySettings,
}

impl CameraSettings {
    /// What the source declares of itself.
    #[must_use]
    pub fn properties(&self) -> Properties {
        match &self.source {
            Spec::V4l2(_) => V4l2Source::PROPERTIES,
            Spec::Stream(_) => StreamSource::PROPERTIES,
            Spec::Replay(_) => self.replay.properties(),
        }
    }

    /// What the process has to reach to open the source, again and again.
    #[must_use]
    pub fn access(&self) -> SourceAccess {
        match &self.source {
            Spec::V4l2(_) => SourceAccess::Devices,
            Spec::Stream(Input::Path(path)) => SourceAccess::Folder(path.clone()),
            Spec::Replay(Input::Path(path)) => SourceAccess::Path(path.clone()),
            Spec::Stream(Input::Stdin) | Spec::Replay(Input::Stdin) => SourceAccess::Nothing,
        }
    }

    /// Returns what opens the source, as often as asked.
    #[must_use]
    pub fn opener(self, context: Context) -> Opener {
        match self.source.clone() {
            Spec::V4l2(path) => Box::new(move || {
                Ok(Box::new(V4l2Source::open(&path, &self.mode, self.timeout, context.clone())?))
            }),
            Spec::Stream(input) => {
                StreamSource::opener(input, &self.mode, self.stride, self.timeout, context)
            }
            Spec::Replay(input) => {
                Box::new(move || Ok(Box::new(ReplaySource::open(&input, &self.replay, context.clone())?)))
            }
        }
    }
}

/// What has to be reached to open a source.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum SourceAccess {
    /// Devices: a camera may come back as another node.
    Devices,
    /// A file or folder that is read.
    Path(PathBuf),
    /// The folder of a file, which another program makes again.
    Folder(PathBuf),
    /// What is open already.
    Nothing,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_sources() {
        for text in [
            "v4l2:/dev/video0",
            "v4l2:/dev/v4l/by-id/usb-046d_HD-index0",
            "stream:-",
            "stream:/run/camera",
            "replay:-",
            "replay:a:b.jpg",
        ] {
            assert_eq!(text.parse::<Spec>().unwrap().to_string(), text);
        }
        assert_eq!("replay:-".parse(), Ok(Spec::Replay(Input::Stdin)));
        for wrong in ["", "v4l2:", "replay:", "stream:", "/dev/video0", "rtsp://camera"] {
            assert!(wrong.parse::<Spec>().unwrap_err().contains("replay:PATH"), "{wrong}");
        }
    }
}
