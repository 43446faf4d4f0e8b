//! One connection: bytes to packets and back, with everything that may take time bounded.

use std::cell::RefCell;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Instant;

use tokio::net::TcpStream;
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until, timeout};

use super::hub::{Close, Hub, SessionId};
use super::limits::{CONNECT_TIMEOUT, LARGEST_CONNECT, OUTPUT, WRONG_PASSWORD_DELAY};
use super::packet::{ConnectCode, Packet, PacketError, connack, frame, read, wrong_version};
use super::refusals::{Reason, shown};

/// How much is read at a time.
const CHUNK: usize = 4096;

/// Why a connection has ended before it was a client's.
enum Early {
    /// The other side has gone, or was too slow.
    Gone,
    Packet(PacketError),
    Refused(ConnectCode),
}

/// A connection and what has been read of it.
pub(super) struct Connection {
    pub stream: TcpStream,
    pub address: IpAddr,
    pub hub: Rc<RefCell<Hub>>,
    /// Bytes that are no whole packet yet, or are not handled yet.
    input: Vec<u8>,
    /// Whether `input` holds no whole packet: only then more is read, so that it never grows beyond one.
    hungry: bool,
    output: Vec<u8>,
}

impl Connection {
    pub fn new(stream: TcpStream, address: IpAddr, hub: Rc<RefCell<Hub>>) -> Self {
        Self { stream, address, hub, input: Vec::new(), hungry: false, output: Vec::new() }
    }

    /// Waits for CONNECT and gives the session; `None` if the connection is over.
    pub async fn greet(&mut self) -> Option<SessionId> {
        let early = match timeout(CONNECT_TIMEOUT, self.connect()).await {
            Ok(Ok(id)) => return Some(id),
            Ok(Err(early)) => early,
            Err(_too_slow) => Early::Gone,
        };
        match early {
            Early::Gone => {}
            Early::Packet(error) => {
                self.refuse(Reason::Packet, || format!("instead of CONNECT: {error}"));
                if let PacketError::Version(version) = error {
                    let _last_words = self.stream.try_write(wrong_version(version));
                }
            }
            Early::Refused(code) => {
                if code == ConnectCode::BadCredentials {
                    sleep(WRONG_PASSWORD_DELAY).await;
                }
                let _last_words = self.stream.try_write(&connack(code));
            }
        }
        None
    }

    async fn connect(&mut self) -> Result<SessionId, Early> {
        let length = loop {
            if let Some(length) = frame(&self.input, LARGEST_CONNECT).map_err(Early::Packet)? {
                break length;
            }
            self.stream.readable().await.map_err(|_| Early::Gone)?;
            if !self.read_some().map_err(|_| Early::Gone)? {
                return Err(Early::Gone);
            }
        };
        let id = match read(&self.input[..length]).map_err(Early::Packet)? {
            Packet::Connect(connect) => {
                let outcome = self.hub.borrow_mut().connect(&connect, self.address, Instant::now());
                outcome.map_err(Early::Refused)?
            }
            _ => return Err(Early::Packet(PacketError::Malformed("another packet"))),
        };
        self.input.drain(..length);
        self.output.extend_from_slice(&connack(ConnectCode::Accepted));
        Ok(id)
    }

    /// Serves a client until it goes or has to go.
    pub async fn serve(mut self, id: SessionId) {
        let wake = match self.hub.borrow_mut().session(id) {
            Some(session) => Rc::clone(&session.wake),
            None => return,
        };
        let close = match self.exchange(id, &wake).await {
            Ok(close) => close,
            Err(_gone) => Close::Lost,
        };
        self.hub.borrow_mut().close(id, close, Instant::now());
    }

    async fn exchange(&mut self, id: SessionId, wake: &Notify) -> io::Result<Close> {
        loop {
            let now = Instant::now();
            let Some((pause, (deadline, stalled))) =
                self.hub.borrow_mut().session(id).map(|session| (session.pause(now), session.deadline()))
            else {
                return Ok(Close::Lost);
            };
            if pause.is_none()
                && self.output.len() < OUTPUT
                && let Some(close) = self.handle(id, now)
            {
                // What has been answered so far is still sent if there is room for it.
                let _last_words = self.stream.try_write(&self.output);
                return Ok(close);
            }
            self.hub.borrow_mut().fill(id, &mut self.output, now);
            let full = self.output.len() >= OUTPUT;
            let wait = pause.unwrap_or(deadline).min(deadline);
            tokio::select! {
                readable = self.stream.readable(), if self.hungry && !full && pause.is_none() => {
                    readable?;
                    if !self.read_some()? {
                        return Ok(Close::Lost);
                    }
                }
                writable = self.stream.writable(), if !self.output.is_empty() => {
                    writable?;
                    self.write_some()?;
                }
                () = wake.notified() => {}
                () = sleep_until(wait.into()) => if Instant::now() >= deadline {
                    if stalled {
                        self.refuse(Reason::Stalled, || "it takes nothing of what waits for it".to_owned());
                    }
                    return Ok(Close::Lost);
                },
            }
            tokio::task::yield_now().await;
        }
    }

    /// Handles the whole packets that have been read, as many as the client may send and the output takes.
    fn handle(&mut self, id: SessionId, now: Instant) -> Option<Close> {
        let mut hub = self.hub.borrow_mut();
        let largest = hub.largest(id);
        let mut done = 0;
        self.hungry = false;
        let outcome = loop {
            let rest = &self.input[done..];
            if self.output.len() >= OUTPUT
                || hub.session(id).is_some_and(|session| session.pause(now).is_some())
            {
                break Ok(None);
            }
            let length = match frame(rest, largest) {
                Ok(Some(length)) => length,
                Ok(None) => {
                    self.hungry = true;
                    break Ok(None);
                }
                Err(error) => break Err(error),
            };
            done += length;
            match read(&rest[..length]) {
                Ok(packet) => {
                    if let Err(close) = hub.receive(id, packet, &mut self.output, now) {
                        break Ok(Some(close));
                    }
                }
                Err(error) => break Err(error),
            }
        };
        self.input.drain(..done);
        if self.input.is_empty() && self.input.capacity() > CHUNK {
            self.input = Vec::new();
        }
        match outcome {
            Ok(close) => close,
            Err(error) => {
                let client = hub.session(id).map(|session| Rc::clone(&session.client_id));
                drop(hub);
                let client = shown(client.as_deref().unwrap_or_default());
                self.refuse(Reason::Packet, || format!("client {client} is disconnected: {error}"));
                Some(Close::Lost)
            }
        }
    }

    /// Reads what there is, at most one chunk. False at the end of the stream.
    fn read_some(&mut self) -> io::Result<bool> {
        let mut chunk = [0; CHUNK];
        match self.stream.try_read(&mut chunk) {
            Ok(0) => Ok(false),
            Ok(count) => {
                self.input.extend_from_slice(&chunk[..count]);
                Ok(true)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(true),
            Err(error) => Err(error),
        }
    }

    fn write_some(&mut self) -> io::Result<()> {
        match self.stream.try_write(&self.output) {
            Ok(count) => {
                self.output.drain(..count);
                if self.output.is_empty() && self.output.capacity() > 2 * OUTPUT {
                    self.output = Vec::new();
                }
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn refuse(&self, reason: Reason, what: impl FnOnce() -> String) {
        let address = self.address;
        self.hub.borrow_mut().refuse(reason, Instant::now(), || format!("{address}: {}", what()));
    }
}
