//! One connection: the request that is being read, what waits to be written. Never waits.

use std::collections::VecDeque;
use std::io::{self, Read as _, Write as _};
use std::net::{IpAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::request::{HttpRequest, Unreadable};
use super::response::{Body, Chunk, HttpResponse};

/// The longest head of a request. Browsers send about 700 bytes, and cookies of whatever else is on that host.
const LONGEST_REQUEST: usize = 8 * 1024;
/// What a client may take to send its request.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(2);
/// A client for which something waits, and which takes nothing of it for so long, is closed.
const STALLED: Duration = Duration::from_secs(10);
/// What may wait for a client, in bytes. One that falls behind further is closed, and gets all anew when it comes back.
const LONGEST_QUEUE: usize = 256 * 1024;
/// Time after which a stream that has nothing to say sends a comment: so dead connections are noticed.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// Where a connection is.
enum Stage {
    /// The head is being read.
    Reading(Vec<u8>),
    /// The answer is held back until then.
    Waiting(Instant, HttpResponse, bool),
    /// What waits is written, and that is all.
    Writing,
    /// More will come.
    Streaming,
}

/// What came of a look at a connection.
pub(super) enum Progress {
    /// Nothing to decide.
    None,
    /// Somebody asks for something.
    Asked(HttpRequest),
    /// The answer has been written: the end of the connection is the end of the answer.
    Over,
}

/// One connection.
pub(super) struct Client {
    pub socket: TcpStream,
    pub address: IpAddr,
    stage: Stage,
    queue: VecDeque<Chunk>,
    /// How much of the first chunk has been written.
    written: usize,
    /// When something of the queue was taken last, or a request began.
    moved: Instant,
}

impl Client {
    pub fn new(socket: TcpStream, address: IpAddr, now: Instant) -> io::Result<Self> {
        socket.set_nonblocking(true)?;
        let stage = Stage::Reading(Vec::new());
        Ok(Self { socket, address, stage, queue: VecDeque::new(), written: 0, moved: now })
    }

    pub fn streams(&self) -> bool {
        matches!(self.stage, Stage::Streaming)
    }

    /// What the connection waits for.
    pub fn interest(&self) -> PollFlags {
        // A stream's client has no more to say; but its end has to be noticed.
        let reads = matches!(self.stage, Stage::Reading(_) | Stage::Streaming);
        let mut flags = if reads { PollFlags::IN } else { PollFlags::empty() };
        flags.set(PollFlags::OUT, !self.queue.is_empty());
        flags
    }

    /// When it has to be looked at again although nothing happens.
    pub fn deadline(&self) -> Instant {
        match &self.stage {
            Stage::Reading(_) => self.moved + REQUEST_TIMEOUT,
            Stage::Waiting(until, ..) => *until,
            Stage::Streaming if self.queue.is_empty() => self.moved + HEARTBEAT,
            Stage::Writing | Stage::Streaming => self.moved + STALLED,
        }
    }

    /// Reads and writes what can be.
    ///
    /// # Errors
    /// If the connection is to be closed: it is over, or its time is.
    pub fn step(&mut self, ready: PollFlags, now: Instant) -> io::Result<Progress> {
        let mut progress = Progress::None;
        if ready.intersects(PollFlags::IN | PollFlags::HUP | PollFlags::ERR) {
            progress = self.read()?;
        }
        if now >= self.deadline() {
            self.overdue(now)?;
        }
        if !self.queue.is_empty() {
            self.write(now)?;
        }
        let over = matches!(self.stage, Stage::Writing) && self.queue.is_empty();
        Ok(if over { Progress::Over } else { progress })
    }

    fn overdue(&mut self, now: Instant) -> io::Result<()> {
        match std::mem::replace(&mut self.stage, Stage::Writing) {
            Stage::Waiting(_, response, head_only) => {
                self.send(response.after(Duration::ZERO), head_only, now);
                Ok(())
            }
            Stage::Streaming if self.queue.is_empty() => {
                self.stage = Stage::Streaming;
                self.moved = now;
                self.queue.push_back(Chunk::from(*b":\n\n"));
                Ok(())
            }
            Stage::Reading(_) | Stage::Writing | Stage::Streaming => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn read(&mut self) -> io::Result<Progress> {
        let mut buffer = [0; 1024];
        loop {
            match self.socket.read(&mut buffer) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => match &mut self.stage {
                    Stage::Reading(head) => {
                        head.extend_from_slice(&buffer[..count]);
                        if let Some(asked) = request(head) {
                            return Ok(match asked {
                                Ok(request) => Progress::Asked(request),
                                Err(refusal) => {
                                    self.send(refusal, false, self.moved);
                                    Progress::None
                                }
                            });
                        }
                    }
                    // One request a connection: what follows it is not looked at.
                    Stage::Waiting(..) | Stage::Writing => {}
                    Stage::Streaming => return Err(io::ErrorKind::InvalidData.into()),
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Progress::None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Puts an answer into the queue.
    pub fn send(&mut self, response: HttpResponse, head_only: bool, now: Instant) {
        self.moved = now;
        if !response.delay.is_zero() {
            self.stage = Stage::Waiting(now + response.delay, response, head_only);
            return;
        }
        self.queue.push_back(response.head().into_bytes().into());
        self.stage = Stage::Writing;
        match response.body {
            _ if head_only => {}
            Body::Whole(text) if text.is_empty() => {}
            Body::Whole(text) => self.queue.push_back(text.as_bytes().into()),
            Body::Events(first) => {
                self.queue.extend(first);
                self.stage = Stage::Streaming;
            }
        }
    }

    /// Adds to a stream.
    ///
    /// # Errors
    /// If the client is too far behind.
    pub fn add(&mut self, chunk: &Chunk, now: Instant) -> io::Result<()> {
        let waiting: usize = self.queue.iter().map(|chunk| chunk.len()).sum();
        if waiting + chunk.len() > LONGEST_QUEUE {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        if self.queue.is_empty() {
            self.moved = now;
        }
        self.queue.push_back(chunk.clone());
        Ok(())
    }

    fn write(&mut self, now: Instant) -> io::Result<()> {
        while let Some(chunk) = self.queue.front() {
            match self.socket.write(&chunk[self.written..]) {
                Ok(count) => {
                    self.moved = now;
                    self.written += count;
                    if self.written == chunk.len() {
                        self.written = 0;
                        self.queue.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The request, once its head is whole, or the answer to what is none.
fn request(head: &[u8]) -> Option<Result<HttpRequest, HttpResponse>> {
    let end = head.windows(4).position(|end| end == b"\r\n\r\n");
    if end.unwrap_or(head.len()) > LONGEST_REQUEST {
        let text = "the head of the request is longer than 8 KiB";
        return Some(Err(HttpResponse::sentence("431 Request Header Fields Too Large", text)));
    }
    Some(HttpRequest::parse(&head[..end?]).map_err(|unreadable| match unreadable {
        Unreadable::Malformed => {
            HttpResponse::sentence("400 Bad HttpRequest", "this is no request of HTTP/1.1")
        }
        Unreadable::Method => {
            HttpResponse::sentence("405 Method Not Allowed", "only GET and HEAD").with("Allow", "GET, HEAD")
        }
    }))
}
