//! What a source of frames is.

use std::time::Duration;

use crate::capture::frame::Frame;

/// A running source of frames. Dropping it closes the device.
pub trait FrameSource: Send {
    /// Waits for the next frame.
    ///
    /// # Errors
    /// See [`SourceError`]; after [`SourceError::Gone`] and [`SourceError::End`] the source is to be dropped.
    fn next(&mut self) -> Result<Frame, SourceError>;

    /// What is being captured, for a log line ("640×480 MJPG at 30 fps from USB Camera").
    fn describe(&self) -> String;

    /// Frames the source itself knows to be lost or unusable since the last call (gaps in the driver's
    /// sequence numbers, buffers flagged as damaged).
    fn take_losses(&mut self) -> Losses {
        Losses::default()
    }
}

/// Frames that never became a [`Frame`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Losses {
    /// Frames the driver dropped.
    pub dropped: u64,
    /// Frames that arrived damaged.
    pub corrupt: u64,
}

/// Why no frame came.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The replay is over. Not a failure.
    #[error("the replay has ended")]
    End,
    /// The device is not there, or has just been unplugged.
    #[error("{what} is gone: {reason}; plug it in or check the path")]
    Gone {
        /// Which device.
        what: String,
        /// What the system said.
        reason: String,
    },
    /// The device is there but delivers nothing.
    #[error("{what} delivered no frame for {after:?}; check its cable and power")]
    TimedOut {
        /// Which device.
        what: String,
        /// How long it was waited for.
        after: Duration,
    },
    /// The device delivers, but nothing whole.
    #[error(
        "{what} delivered only damaged frames for {after:?} ({frames} of them); check its cable and power"
    )]
    Damaged {
        /// Which device.
        what: String,
        /// How long a whole one was waited for.
        after: Duration,
        /// How many came.
        frames: u64,
    },
    /// Another program holds the device.
    #[error("{what} is in use by another program; stop that one (`fuser -v` names it)")]
    Busy {
        /// Which device.
        what: String,
    },
    /// No permission to open the device.
    #[error("no permission to open {what}; add the user to the group that owns it (usually `video`)")]
    Denied {
        /// Which device.
        what: String,
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
