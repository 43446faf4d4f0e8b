//! Reads bytes from another process without ever waiting where a stop or a pause cannot reach.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{CaptureControl, SourceError};

/// How often a wait looks at the control.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A pipe, socket or standard input.
pub(super) struct PipeReader {
    file: File,
    what: String,
    control: Arc<CaptureControl>,
}

impl PipeReader {
    pub(super) fn new(file: File, what: String, control: Arc<CaptureControl>) -> Self {
        Self { file, what, control }
    }

    /// This process's standard input, as a descriptor of its own.
    pub(super) fn stdin(control: Arc<CaptureControl>) -> Result<Self, SourceError> {
        let what = "standard input".to_owned();
        match io::stdin().as_fd().try_clone_to_owned() {
            Ok(descriptor) => Ok(Self::new(descriptor.into(), what, control)),
            Err(error) => Err(SourceError::Io { what, error }),
        }
    }

    /// Reads what has arrived, waiting for it at most until `until`. Returns 0 at the end of the stream, and `None` if
    /// nothing came in time.
    pub(super) fn read(&mut self, chunk: &mut [u8], until: Instant) -> Result<Option<usize>, SourceError> {
        loop {
            self.control.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if !self.ready(left.min(POLL_INTERVAL))? {
                if left.is_zero() {
                    return Ok(None);
                }
                continue;
            }
            match self.file.read(chunk) {
                Ok(read) => return Ok(Some(read)),
                Err(error)
                    if matches!(error.kind(), io::ErrorKind::Interrupted | io::ErrorKind::WouldBlock) => {}
                Err(error) => return Err(SourceError::Io { what: self.what.clone(), error }),
            }
        }
    }

    /// Whether there is something to read, an end included, within `wait`.
    fn ready(&self, wait: Duration) -> Result<bool, SourceError> {
        let mut descriptors = [PollFd::new(&self.file, PollFlags::IN)];
        let wait = Timespec::try_from(wait).expect("a tenth of a second is within range");
        match poll(&mut descriptors, Some(&wait)) {
            Ok(ready) => Ok(ready > 0),
            Err(rustix::io::Errno::INTR) => Ok(false),
            Err(error) => Err(SourceError::Io { what: self.what.clone(), error: error.into() }),
        }
    }
}
