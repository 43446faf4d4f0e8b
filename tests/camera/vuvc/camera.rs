//! The camera while it is plugged in: one thread answers the host, another sends frames.

use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::control::{Controls, MAX_PAYLOAD};
use crate::descriptors::ENDPOINT;
use crate::format::Format;
use crate::usbip::{self, Command};

/// Where the kernel takes the socket of a new device.
const ATTACH: &str = "/sys/devices/platform/vhci_hcd.0/attach";

/// A device number of our choice, to which the port is added, and the speed "high".
const DEVICE_SPEED: (u32, u32) = (0x1_0002, 3);

/// How long the kernel may need to free the port of a camera just unplugged.
const PORT_FREE_WITHIN: Duration = Duration::from_secs(20);

/// What a camera shows, over and over.
pub type Frames = Arc<Vec<Vec<u8>>>;

/// A plugged-in camera. Dropping it pulls the plug.
pub struct Camera {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    link: Mutex<Link>,
    /// Told when a transfer arrives or the link ends.
    changed: Condvar,
    /// `None` while stalled.
    frames: Mutex<Option<Frames>>,
}

/// All that answers to the host, under one lock: if a transfer were taken from `waiting` and answered in two steps, its
/// unlinking could be answered in between, and the kernel drops a device that does so.
struct Link {
    socket: UnixStream,
    controls: Controls,
    /// Number and room of the transfers that wait for frame data.
    waiting: VecDeque<(u32, u32)>,
    dead: bool,
}

impl Camera {
    /// Plugs in a camera that shows `frames`.
    pub fn plug(format: Format, frames: Frames) -> io::Result<Self> {
        let socket = attach()?;
        let mut reader = socket.try_clone()?;
        let link = Link { socket, controls: Controls::new(format), waiting: VecDeque::new(), dead: false };
        let shared = Arc::new(Shared {
            link: Mutex::new(link),
            changed: Condvar::new(),
            frames: Mutex::new(Some(frames)),
        });
        let (answering, sending) = (shared.clone(), shared.clone());
        let threads = vec![
            thread::spawn(move || {
                while Command::read(&mut reader).is_ok_and(|command| answering.answer(command).is_ok()) {}
                answering.end();
            }),
            thread::spawn(move || sending.send()),
        ];
        Ok(Self { shared, threads })
    }

    /// Makes the camera go on with these frames.
    pub fn show(&self, frames: Frames) {
        *self.shared.shown() = Some(frames);
    }

    /// Makes the camera stop sending frames; it goes on answering requests.
    pub fn stall(&self) {
        *self.shared.shown() = None;
    }
}

impl Drop for Camera {
    fn drop(&mut self) {
        // The socket may have been closed from the other side.
        let _ = self.shared.lock().socket.shutdown(Shutdown::Both);
        self.shared.end();
        for thread in self.threads.drain(..) {
            // A panic has been printed.
            let _ = thread.join();
        }
    }
}

/// Hands one end of a socket pair to the kernel as a new USB device, at port `VUVC_PORT` (0 to 7) of the high-speed hub: each
/// of several cameras needs one of its own.
fn attach() -> io::Result<UnixStream> {
    let (ours, theirs) = UnixStream::pair()?;
    let port: u32 = std::env::var("VUVC_PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(0);
    let (device, speed) = DEVICE_SPEED;
    let line = format!("{port} {} {} {speed}", theirs.as_raw_fd(), device + port);
    let began = Instant::now();
    loop {
        match std::fs::write(ATTACH, &line) {
            Ok(()) => return Ok(ours),
            // The port is still busy with the last camera.
            Err(_) if began.elapsed() < PORT_FREE_WITHIN => thread::sleep(Duration::from_millis(50)),
            Err(error) => return Err(error),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Link> {
        self.link.lock().expect("no holder of the link panics")
    }

    fn shown(&self) -> MutexGuard<'_, Option<Frames>> {
        self.frames.lock().expect("no holder of the frames panics")
    }

    fn end(&self) {
        self.lock().dead = true;
        self.changed.notify_all();
    }

    fn answer(&self, command: Command) -> io::Result<()> {
        let mut link = self.lock();
        let link = &mut *link;
        match command {
            Command::Unlink { sequence, victim } => {
                let before = link.waiting.len();
                link.waiting.retain(|(sequence, _)| *sequence != victim);
                usbip::unlinked(&mut link.socket, sequence, link.waiting.len() < before)
            }
            Command::Submit { sequence, endpoint: 0, to_host, length, setup, data } => {
                match link.controls.answer(setup, &data) {
                    Ok(reply) if to_host => {
                        usbip::submitted(&mut link.socket, sequence, 0, reply.len() as u32, &reply)
                    }
                    Ok(_) => usbip::submitted(&mut link.socket, sequence, 0, length, &[]),
                    Err(status) => usbip::submitted(&mut link.socket, sequence, status, 0, &[]),
                }
            }
            Command::Submit { sequence, endpoint, length, .. } => {
                debug_assert_eq!(endpoint, u32::from(ENDPOINT));
                link.waiting.push_back((sequence, length));
                self.changed.notify_all();
                Ok(())
            }
        }
    }

    /// Sends frame after frame at the agreed rate, as long as the host takes them.
    fn send(&self) {
        let mut next = Instant::now();
        for number in 0.. {
            let Some((interval, frames)) = self.begin() else { return };
            let frame = &frames[number % frames.len()];
            if self.frame(frame, (number % 2) as u8).is_none() {
                return;
            }
            next += Duration::from_nanos(u64::from(interval) * 100);
            match next.checked_duration_since(Instant::now()) {
                Some(left) => thread::sleep(left),
                // Behind: the host was not taking frames. Do not catch up.
                None => next = Instant::now(),
            }
        }
    }

    /// Waits until there is a frame to show and the host wants it; gives the interval agreed on, or `None` at the end.
    fn begin(&self) -> Option<(u32, Frames)> {
        let mut link = self.lock();
        loop {
            if link.dead {
                return None;
            }
            if !link.waiting.is_empty()
                && let Some(frames) = self.shown().clone()
            {
                return Some((link.controls.commit.interval, frames));
            }
            // Bounded, because the end of a stall is not told.
            link = self.changed.wait_timeout(link, Duration::from_millis(20)).expect("no holder panics").0;
        }
    }

    /// Sends one frame in payloads; `None` at the end.
    fn frame(&self, frame: &[u8], toggle: u8) -> Option<()> {
        const END_OF_FRAME: u8 = 2;
        const END_OF_HEADER: u8 = 0x80;
        let mut rest = frame;
        // At least one payload: an empty frame has an end too.
        loop {
            let mut link = self.lock();
            let (sequence, room) = loop {
                if link.dead {
                    return None;
                }
                if let Some(waiting) = link.waiting.pop_front() {
                    break waiting;
                }
                let timeout = Duration::from_millis(500);
                let (relocked, waited) = self.changed.wait_timeout(link, timeout).expect("no holder panics");
                link = relocked;
                if waited.timed_out() && link.waiting.is_empty() {
                    return Some(()); // the host has stopped the stream in the middle of a frame
                }
            };
            let size = (room.min(MAX_PAYLOAD) as usize).saturating_sub(2).min(rest.len());
            let (now, later) = rest.split_at(size);
            rest = later;
            let end = if rest.is_empty() { END_OF_FRAME } else { 0 };
            let payload = [&[2, END_OF_HEADER | end | toggle], now].concat();
            usbip::submitted(&mut link.socket, sequence, 0, payload.len() as u32, &payload).ok()?;
            if rest.is_empty() {
                return Some(());
            }
        }
    }
}
