//! A streaming V4L2 camera.

pub mod csi;
mod device;
pub mod list;
mod mode;
pub mod negotiate;

use std::path::Path;
use std::time::{Duration, Instant};

use log::{debug, warn};
use rustix::event::PollFlags;
use rustix::io::Errno;
use v4l::buffer::{Flags, Type};
use v4l::io::mmap::Stream;
use v4l::io::traits::{CaptureStream, Stream as _};
use v4l::video::Capture;
use v4l::video::capture::Parameters;
use v4l::{Format, FourCC, Fraction};

use super::pipe::POLL_INTERVAL;
use super::{Context, Delivery, FrameSource, Losses, Properties, SourceError, Timeline};
use crate::capture::frame::{Frame, PixelFormat};
use crate::exit::panics;
use device::{Identity, Opened, objection};
pub use mode::Choice;
use mode::fourcc_text;
pub(super) use mode::rate_text;
use negotiate::{ModeRequest, negotiate};

/// Buffers asked of the driver: one being copied, one being filled, and two in reserve for a slow moment.
const BUFFERS: u32 = 4;

/// `poll`'s flag for "there is something to read", as the `v4l` crate takes it.
const READABLE: i16 = PollFlags::IN.bits() as i16;

const REMEDY: &str = "check its cable and power";

/// A camera that streams.
pub struct V4l2Source {
    /// `None` once it is being closed.
    stream: Option<Stream<'static>>,
    /// Whether the driver has been given buffers and told to start.
    started: bool,
    /// Declared after the stream: closed last.
    opened: Opened,
    card: String,
    mode: Choice,
    stride: u32,
    context: Context,
    timeout: Duration,
    last_sequence: Option<u32>,
    losses: Losses,
}

impl V4l2Source {
    /// What a camera declares of itself.
    pub const PROPERTIES: Properties =
        Properties { timeline: Timeline::Live, delivery: Delivery::Newest, reopens: true };

    /// Opens a camera in the cheapest mode that is good enough.
    ///
    /// # Errors
    /// [`SourceError::Gone`], [`SourceError::Denied`], [`SourceError::Busy`] or [`SourceError::Io`] as the system says;
    /// [`SourceError::Unsupported`] for what can never be used: not a camera, a Raspberry Pi sensor without libcamera, or
    /// no format that can be decoded.
    pub fn open(
        path: &Path,
        requested: &ModeRequest,
        timeout: Duration,
        context: Context,
    ) -> Result<Self, SourceError> {
        let opened = Opened::open(path)?;
        let identity = opened.identity()?;
        if let Some(error) = objection(&opened.what, &identity) {
            return Err(error);
        }
        let modes = opened.modes()?;
        let choice = negotiate(&modes, requested).ok_or_else(|| {
            let mut offered: Vec<_> = modes.iter().map(|mode| fourcc_text(mode.fourcc)).collect();
            offered.dedup();
            let wanted = match requested.format {
                Some(format) => format.name().to_owned(),
                None => PixelFormat::ALL.map(PixelFormat::name).join(", "),
            };
            let reason = format!("it offers [{}], of which none is {wanted}", offered.join(", "));
            SourceError::unsupported(opened.what.clone(), &reason, "use another camera")
        })?;
        let (mode, stride) = set_mode(&opened, &choice)?;
        let mut stream = opened.ask(|device| Stream::with_buffers(device, Type::VideoCapture, BUFFERS))?;
        // Without it a read of a driver that says "ready" and is not would wait for ever.
        stream.set_timeout(timeout.clamp(POLL_INTERVAL, Duration::from_secs(3600)));
        Ok(Self {
            stream: Some(stream),
            started: false,
            card: name(&identity),
            opened,
            mode,
            stride,
            context,
            timeout,
            last_sequence: None,
            losses: Losses::default(),
        })
    }

    /// Starts the camera. `v4l`'s own start is part of a blocking read that cannot be repeated after a time-out, so this
    /// does it step by step; buffer 0 is left to the first read, which queues it.
    fn start(&mut self) -> Result<(), SourceError> {
        let stream = self.stream.as_mut().expect("present until drop");
        for index in 1..BUFFERS as usize {
            // A driver may have made fewer buffers than were asked for.
            if let Err(error) = CaptureStream::queue(stream, index) {
                if error.kind() == std::io::ErrorKind::InvalidInput {
                    break;
                }
                return Err(self.opened.explain(error));
            }
        }
        stream.start().map_err(|error| self.opened.explain(error))?;
        self.started = true;
        Ok(())
    }

    /// Waits until a buffer is ready, or the time is over, or a stop is asked for.
    fn wait(&self, until: Instant, damaged: u64) -> Result<(), SourceError> {
        let stream = self.stream.as_ref().expect("present until drop");
        loop {
            self.context.control.check()?;
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(self.timed_out(damaged));
            }
            let slice = left.min(POLL_INTERVAL).as_millis().max(1) as i32;
            match stream.handle().poll(READABLE, slice) {
                Ok(0) => {}
                Ok(_) => return Ok(()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.opened.explain(error)),
            }
        }
    }

    /// Why there was no usable frame, `damaged` of which came.
    fn timed_out(&self, damaged: u64) -> SourceError {
        let (what, after) = (self.opened.what.clone(), self.timeout);
        match damaged {
            0 => SourceError::TimedOut { what, after, remedy: REMEDY },
            frames => SourceError::Damaged { what, after, frames, remedy: REMEDY },
        }
    }

    /// Takes the buffer that is ready; `None` if it holds no usable frame.
    fn take(&mut self) -> Result<Option<Frame>, SourceError> {
        let stream = self.stream.as_mut().expect("present until drop");
        let (bytes, meta) = match stream.next() {
            Ok(buffer) => buffer,
            Err(error) => {
                // The reader's bookkeeping is lost; stopping takes all buffers back from the driver.
                self.started = false;
                let stopped = self.stream.as_mut().expect("present until drop").stop();
                return Err(match (stopped, error.kind()) {
                    (Ok(()), std::io::ErrorKind::TimedOut) => self.timed_out(0),
                    (Ok(()), _) => self.opened.explain(error),
                    (Err(stopping), _) => self.opened.explain(stopping),
                });
            }
        };
        let at = self.context.clock.now();
        if let Some(last) = self.last_sequence.replace(meta.sequence) {
            // Sequence numbers wrap; a step backwards is a driver starting over, not four thousand million lost frames.
            let missed = meta.sequence.wrapping_sub(last).wrapping_sub(1);
            if missed < u32::MAX / 2 {
                self.losses.dropped += u64::from(missed);
            }
        }
        let used = (meta.bytesused as usize).min(bytes.len());
        if used == 0 || meta.flags.contains(Flags::ERROR) {
            self.losses.corrupt += 1;
            return Ok(None);
        }
        Ok(Some(Frame {
            format: self.mode.format,
            width: self.mode.width,
            height: self.mode.height,
            stride: self.stride,
            bytes: bytes[..used].to_vec(),
            at,
        }))
    }
}

impl FrameSource for V4l2Source {
    fn next(&mut self) -> Result<Frame, SourceError> {
        // The machine's own clock: a stall is as long as it is, whatever clock stamps the frames.
        let until = Instant::now() + self.timeout;
        if !self.started {
            self.start()?;
        }
        let mut damaged = 0;
        loop {
            self.wait(until, damaged)?;
            match self.take()? {
                Some(frame) => return Ok(frame),
                None => damaged += 1,
            }
        }
    }

    fn describe(&self) -> String {
        format!("{} from {} ({})", self.mode, self.opened.what, self.card)
    }

    fn take_losses(&mut self) -> Losses {
        std::mem::take(&mut self.losses)
    }
}

impl Drop for V4l2Source {
    fn drop(&mut self) {
        let Some(mut stream) = self.stream.take() else { return };
        // `v4l` panics when it drops a stream that the driver refuses to stop (unless its device is gone), and a second
        // time when it frees the buffers, which would end the process.
        match stream.stop() {
            Err(error) if Errno::from_io_error(&error) != Some(Errno::NODEV) => {
                warn!(
                    "{}: its driver does not stop ({error}); it stays taken until emotiond is restarted",
                    self.opened.what
                );
                let _kept = std::mem::ManuallyDrop::new(stream);
            }
            _ => {
                let what = &self.opened.what;
                if panics::contain(|| drop(stream)).is_err() {
                    warn!("{what}: its driver does not take its buffers back");
                }
            }
        }
    }
}

/// Sets format and rate, and returns what the driver made of them, with the bytes from row to row (0 for JPEG).
fn set_mode(opened: &Opened, choice: &Choice) -> Result<(Choice, u32), SourceError> {
    let wanted = Format::new(choice.width, choice.height, FourCC::new(&choice.fourcc));
    // `v4l` reads the format back after setting it: drivers change what they do not like without an error.
    let got = opened.ask(|device| device.set_format(&wanted))?;
    let Some(format) = PixelFormat::from_fourcc(got.fourcc.repr).filter(|_| got.width > 0 && got.height > 0)
    else {
        let reason = format!(
            "its driver was asked for {choice} and set {}×{} {}",
            got.width,
            got.height,
            fourcc_text(got.fourcc.repr)
        );
        return Err(SourceError::unsupported(opened.what.clone(), &reason, "try another camera"));
    };
    let mut rate = None;
    if let Some(wanted) = choice.rate {
        let interval = Parameters::new(interval(wanted));
        // Many drivers have a fixed rate and refuse; whatever comes will do.
        match opened.ask(|device| device.set_params(&interval)) {
            Ok(got) if got.interval.numerator > 0 => {
                rate = Some(f64::from(got.interval.denominator) / f64::from(got.interval.numerator));
            }
            Err(gone @ SourceError::Gone { .. }) => return Err(gone),
            _ => {}
        }
    }
    let mode = Choice { fourcc: got.fourcc.repr, format, width: got.width, height: got.height, rate };
    if (mode.fourcc, mode.width, mode.height) != (choice.fourcc, choice.width, choice.height) {
        debug!("{}: asked for {choice}, the driver set {mode}", opened.what);
    }
    if let (Some(wanted), Some(got)) = (choice.rate, rate)
        && (wanted - got).abs() > 0.5
    {
        debug!("{}: asked for {} fps, the driver set {}", opened.what, rate_text(wanted), rate_text(got));
    }
    Ok((mode, if format == PixelFormat::Mjpeg { 0 } else { got.stride }))
}

/// The frame interval for a rate, exact to a thousandth of a frame.
fn interval(rate: f64) -> Fraction {
    Fraction::new(1000, (rate * 1000.0).round().clamp(1.0, 1e9) as u32)
}

fn name(identity: &Identity) -> String {
    format!("{}, {}, {}", identity.card, identity.driver, identity.bus)
}
