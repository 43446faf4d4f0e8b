//! Live pictures from another process: Motion JPEG or raw frames through a named pipe, a Unix socket or standard input.
//!
//! Watched like a camera: an end or a silence is an error, after which the stream is opened again. What waits in the pipe
//! when it is opened again is older than the request to look, and is thrown away.

mod assembler;
#[cfg(any(test, feature = "harness"))]
pub mod fuzz;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::frame::{Frame, PixelFormat};
use super::pipe::PipeReader;
use super::v4l2::csi;
use super::v4l2::negotiate::ModeRequest;
use super::{Context, Delivery, FrameSource, Input, Losses, Opener, Properties, SourceError, Timeline};
use assembler::Assembler;

/// Bytes read at a time: what a pipe holds unless told otherwise.
const CHUNK: usize = 64 << 10;
/// The most that is thrown away when a stream is opened again: what a pipe holds at the most by default.
const STALE: usize = 1 << 20;

const REMEDY: &str = "check the program that writes it";

/// A stream that is read.
pub struct StreamSource {
    what: String,
    reader: PipeReader,
    assembler: Arc<Mutex<Assembler>>,
    chunk: Zeroizing<Vec<u8>>,
    timeout: Duration,
    endless: bool,
    context: Context,
    losses: Losses,
}

impl StreamSource {
    /// What a stream declares of itself.
    pub const PROPERTIES: Properties =
        Properties { timeline: Timeline::Live, delivery: Delivery::Newest, reopens: true };

    /// Returns what opens the stream. Raw frames are of the mode's format and size, `stride` bytes from row to row.
    pub(super) fn opener(
        input: Input,
        mode: &ModeRequest,
        stride: u32,
        timeout: Duration,
        context: Context,
    ) -> Opener {
        let format = mode.format.unwrap_or(PixelFormat::Mjpeg);
        let assembler = Assembler::new(format, mode.width, mode.height, stride);
        // Raw frames have no marks, so the count of bytes has to outlive a pause of standard input.
        let assembler = Arc::new(Mutex::new(assembler));
        let mut opened = false;
        Box::new(move || {
            let what = input.to_string();
            let control = Arc::clone(&context.control);
            let reader = match &input {
                Input::Stdin => PipeReader::stdin(control)?,
                Input::Path(path) => PipeReader::new(open(path)?, what.clone(), control),
            };
            let mut source = Self {
                what,
                reader,
                assembler: Arc::clone(&assembler),
                chunk: Zeroizing::new(vec![0; CHUNK]),
                timeout,
                endless: input == Input::Stdin,
                context: context.clone(),
                losses: Losses::default(),
            };
            source.assembler().restart(input == Input::Stdin);
            if std::mem::replace(&mut opened, true) {
                source.discard_stale()?;
            }
            Ok(Box::new(source))
        })
    }

    /// Throws away what has been written before now.
    fn discard_stale(&mut self) -> Result<(), SourceError> {
        let mut discarded = 0;
        while discarded < STALE {
            match self.reader.read(&mut self.chunk, Instant::now())? {
                None => break,
                Some(0) => return Err(self.ended()),
                Some(read) => {
                    discarded += read;
                    let mut assembler = self.assembler.lock().unwrap_or_else(PoisonError::into_inner);
                    assembler.skip(&self.chunk[..read]);
                }
            }
        }
        Ok(())
    }

    fn ended(&self) -> SourceError {
        let what = self.what.clone();
        if self.endless { SourceError::Exhausted { what } } else { SourceError::Closed { what } }
    }

    fn damaged(&self, frames: u64) -> SourceError {
        SourceError::Damaged { what: self.what.clone(), after: self.timeout, frames, remedy: REMEDY }
    }

    fn assembler(&self) -> std::sync::MutexGuard<'_, Assembler> {
        // Held by one source at a time, whose thread ends the process if it panics.
        self.assembler.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FrameSource for StreamSource {
    fn next(&mut self) -> Result<Frame, SourceError> {
        let until = Instant::now() + self.timeout;
        let mut damaged = 0;
        loop {
            let picture = self.assembler().next();
            let broken = self.assembler().take_broken();
            damaged += broken;
            self.losses.corrupt += broken;
            if let Some(picture) = picture {
                return Ok(picture.into_frame(self.context.clock.now()));
            }
            match self.reader.read(&mut self.chunk, until)? {
                Some(0) => return Err(self.ended()),
                Some(read) => {
                    let mut assembler = self.assembler.lock().unwrap_or_else(PoisonError::into_inner);
                    assembler.push(&self.chunk[..read]);
                    // A flood without a frame in it never waits, so the time-out above does not see it.
                    if Instant::now() < until {
                        continue;
                    }
                    return Err(self.damaged(damaged));
                }
                None if damaged > 0 => return Err(self.damaged(damaged)),
                None => {
                    let (what, after) = (self.what.clone(), self.timeout);
                    return Err(SourceError::TimedOut { what, after, remedy: REMEDY });
                }
            }
        }
    }

    fn describe(&self) -> String {
        format!("{} from {}", self.assembler().describe(), self.what)
    }

    fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }
}

/// Opens a named pipe for reading, or connects to a Unix socket; never waits for the other end.
fn open(path: &Path) -> Result<File, SourceError> {
    let what = || path.display().to_string();
    let ours = path == Path::new(csi::SOCKET);
    let explain = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused if ours => SourceError::Gone {
            what: what(),
            reason: error.to_string(),
            remedy: "run `sudo systemctl enable --now emotiond-rpicam.socket`",
        },
        io::ErrorKind::NotFound => SourceError::Gone {
            what: what(),
            reason: error.to_string(),
            remedy: "start the program that writes it, or check the path",
        },
        // The socket is there and nobody listens on it.
        io::ErrorKind::ConnectionRefused => SourceError::Gone {
            what: what(),
            reason: error.to_string(),
            remedy: "start the program that listens on it",
        },
        io::ErrorKind::PermissionDenied => SourceError::Denied {
            what: what(),
            remedy: "let the user that emotiond runs as read it (a socket has to be writable for it too)",
        },
        _ => SourceError::Io { what: what(), error },
    };
    let kind = std::fs::metadata(path).map_err(explain)?.file_type();
    if kind.is_fifo() {
        // Without waiting for a program that writes: the stop flag could not reach that wait.
        let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("a flag of open() is an int");
        return OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(explain);
    }
    if kind.is_socket() {
        let stream = UnixStream::connect(path).map_err(explain)?;
        return Ok(File::from(OwnedFd::from(stream)));
    }
    let (reason, remedy) = if kind.is_file() || kind.is_dir() {
        ("it is a recording, not a stream", "write replay: in place of stream:")
    } else if kind.is_char_device() {
        ("it is a device, not a stream", "write v4l2: in place of stream: for a camera")
    } else {
        ("it is neither a named pipe nor a socket", "make a named pipe with `mkfifo`")
    };
    Err(SourceError::unsupported(what(), reason, remedy))
}

#[cfg(test)]
mod tests;
