//! What a source of frames is: what it declares of itself, how it is read, why no frame comes.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::frame::Frame;
use crate::host::clock::Clock;

/// What time is to a source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Timeline {
    /// Frames are of the moment in which they arrive; time passes whether they come or not.
    Live,
    /// Frame *n* is of moment *n* / fps. Time passes with the frames and with nothing else, so that what is made of a
    /// recording does not depend on the machine.
    Nominal {
        /// Frames a second.
        fps: f64,
    },
}

/// How frames are handed over to the analysis.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// The newest frame replaces an older one that the analysis was too slow for.
    Newest,
    /// The source waits until the analysis has taken the last frame.
    Every,
}

/// What a source declares of itself. Clock, hand-over and reopening go by it; no other code asks what kind of source
/// it has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Properties {
    /// What time is to it.
    pub timeline: Timeline,
    /// How its frames are handed over.
    pub delivery: Delivery,
    /// Whether it is opened again after a fault: a camera comes back, a damaged recording does not.
    pub reopens: bool,
}

/// Requests to the thread that captures, and its sign of life.
#[derive(Debug, Default)]
pub struct CaptureControl {
    /// Close the source and end.
    pub stop: AtomicBool,
    /// Close the source and wait.
    pub paused: AtomicBool,
    /// Rises while the thread runs, in its waits too; it stands still when a call into a driver does not return.
    pub pulse: AtomicU64,
}

impl CaptureControl {
    /// Counts a sign of life; returns an error if the source is to be closed. Called at least ten times a second in
    /// every wait.
    ///
    /// # Errors
    /// [`SourceError::Interrupted`].
    pub fn check(&self) -> Result<(), SourceError> {
        self.pulse.fetch_add(1, Ordering::Relaxed);
        if self.stop.load(Ordering::Relaxed) || self.paused.load(Ordering::Relaxed) {
            return Err(SourceError::Interrupted);
        }
        Ok(())
    }
}

/// What a source is opened with.
#[derive(Clone)]
pub struct Context {
    /// The clock that dates frames.
    pub clock: Arc<dyn Clock>,
    /// Requests and sign of life.
    pub control: Arc<CaptureControl>,
}

impl Context {
    /// A context with a control of its own.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, control: Arc::default() }
    }
}

/// A running source of frames. Dropping it closes the device.
pub trait FrameSource: Send {
    /// Waits for the next frame.
    ///
    /// # Errors
    /// See [`SourceError`]. After any of them the source is to be dropped.
    fn next(&mut self) -> Result<Frame, SourceError>;

    /// What is being captured, for a log line ("640×480 MJPG at 30 fps from USB Camera").
    fn describe(&self) -> String;

    /// Frames that the source itself knows to be lost or unusable since the last call (gaps in the driver's
    /// sequence numbers, buffers flagged as damaged).
    fn take_losses(&mut self) -> Losses {
        Losses::default()
    }
}

/// Where bytes are read from.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Input {
    /// A path.
    Path(PathBuf),
    /// Standard input, written `-`.
    Stdin,
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        if text == "-" { Self::Stdin } else { Self::Path(text.into()) }
    }
}

/// As messages name it.
impl fmt::Display for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => write!(f, "{}", path.display()),
            Self::Stdin => f.write_str("standard input"),
        }
    }
}

/// Opens a source; called again after every fault and every pause.
pub type Opener = Box<dyn FnMut() -> Result<Box<dyn FrameSource>, SourceError> + Send>;

/// Frames that never became a [`Frame`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Losses {
    /// Frames that the driver dropped.
    pub dropped: u64,
    /// Frames that arrived damaged.
    pub corrupt: u64,
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The recording is over. Not a failure.
    #[error("the recording is over")]
    End,
    /// [`CaptureControl`] asked to close the source. Not a failure.
    #[error("stopped or paused on request")]
    Interrupted,
    /// The device is not there, or has just been unplugged; or nothing has made the pipe yet.
    #[error("{what} is not there: {reason}; {remedy}")]
    Gone {
        /// Which device or pipe.
        what: String,
        /// What the system said.
        reason: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The source is open and delivers nothing.
    #[error("{what} delivered no frame for {after:?}; {remedy}")]
    TimedOut {
        /// Which source.
        what: String,
        /// How long it was waited for.
        after: Duration,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The source delivers, but nothing whole.
    #[error("{what} delivered only damaged frames for {after:?} ({frames} of them); {remedy}")]
    Damaged {
        /// Which source.
        what: String,
        /// How long a whole one was waited for.
        after: Duration,
        /// How many came.
        frames: u64,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The program at the other end of a pipe has closed it.
    #[error("the program that writes {what} has ended or closed it; start it again")]
    Closed {
        /// Which pipe.
        what: String,
    },
    /// Standard input has ended, and cannot be opened again.
    #[error(
        "{what} has ended, and a live stream should not; start emotiond and the program that writes it again"
    )]
    Exhausted {
        /// Which stream.
        what: String,
    },
    /// A recording that should hold frames holds none.
    #[error("{what} ended without a JPEG frame ({bytes} bytes came); {remedy}")]
    NoFrames {
        /// Which recording.
        what: String,
        /// How many bytes came.
        bytes: u64,
        /// What to do about it.
        remedy: &'static str,
    },
    /// A recorded picture is damaged or too large.
    #[error("{what} cannot be used: {reason}; give a whole picture of bounded size")]
    Picture {
        /// Which file.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Another program holds the device.
    #[error("{what} is in use by another program; stop that one (`fuser -v` names it)")]
    Busy {
        /// Which device.
        what: String,
    },
    /// No permission to open the device.
    #[error("no permission to open {what}; {remedy}")]
    Denied {
        /// Which device or pipe.
        what: String,
        /// What to do about it.
        remedy: &'static str,
    },
    /// The device or file can never work as it is; `remedy` says what to do instead.
    #[error("{what} cannot be used: {reason}; {remedy}")]
    Unsupported {
        /// Which device or file.
        what: String,
        /// What is wrong with it.
        reason: String,
        /// What to do about it.
        remedy: String,
    },
    /// Anything else the system said.
    #[error("reading {what} failed: {error}")]
    Io {
        /// Which device or file.
        what: String,
        /// What the system said. It is part of the message, and so no `source()`: a chain would print it twice.
        error: std::io::Error,
    },
}

impl SourceError {
    /// What can never work as it is, and what to do instead.
    pub(super) fn unsupported(what: impl Into<String>, reason: &str, remedy: &str) -> Self {
        Self::Unsupported { what: what.into(), reason: reason.to_owned(), remedy: remedy.to_owned() }
    }
}
