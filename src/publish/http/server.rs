//! Who is served: one thread that looks at the socket, the connections, and whether there is news.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};

use super::client::{Client, Progress};
use super::request::HttpRequest;
use super::response::{Body, Chunk, HttpResponse};

/// Connections at once. One more closes the oldest of the address that has most, streams excepted.
const CLIENTS: usize = 32;
/// Of these streams.
const STREAMS: usize = 16;
/// Connections that are accepted before those that are there get their turn.
const ACCEPTED_AT_ONCE: usize = 16;
/// How long nothing is accepted after the system has refused a connection, as it does when descriptors run out.
const PAUSE: Duration = Duration::from_millis(100);

/// What is served.
pub trait Handler: Send {
    /// The answer to a request.
    fn respond(&mut self, request: &HttpRequest) -> HttpResponse;

    /// What every stream is to be sent, since the last call; asked for after a [`Waker`] was used.
    fn news(&mut self) -> Vec<Chunk> {
        Vec::new()
    }
}

/// Makes the server ask its handler for news.
#[derive(Clone, Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    fn new() -> io::Result<Self> {
        Ok(Self(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)))
    }

    /// Wakes the server.
    pub fn wake(&self) {
        // Fails only when so many wakes are pending that no more are needed.
        let _pending = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    fn clear(&self) {
        let _none_pending = rustix::io::read(&*self.0, &mut [0; 8]);
    }
}

/// A server on a thread of its own; it ends when dropped.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    waker: Waker,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    /// Serves on a socket that listens and does not wait. `name` is that of the thread.
    ///
    /// # Errors
    /// If the system has no thread or no descriptor to give.
    pub fn start(
        name: &'static str,
        socket: TcpListener,
        handler: impl Handler + 'static,
    ) -> anyhow::Result<Self> {
        let address = socket.local_addr().with_context(|| format!("the socket of {name} has no address"))?;
        let waker = Waker::new().with_context(|| format!("no descriptor to wake the thread {name}"))?;
        let stop = Arc::new(AtomicBool::new(false));
        let work = Work { name, socket, waker: waker.clone(), stop: Arc::clone(&stop), handler };
        let thread = std::thread::Builder::new()
            .name(name.to_owned())
            .spawn(move || work.run())
            .with_context(|| format!("failed to start the thread {name}"))?;
        Ok(Self { address, waker, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What wakes it.
    #[must_use]
    pub fn waker(&self) -> Waker {
        self.waker.clone()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        self.waker.wake();
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

/// What the thread owns.
struct Work<H> {
    name: &'static str,
    socket: TcpListener,
    waker: Waker,
    stop: Arc<AtomicBool>,
    handler: H,
}

impl<H: Handler> Work<H> {
    fn run(mut self) {
        let mut clients = Vec::new();
        let mut accepts_from = Instant::now();
        while !self.stop.load(Ordering::Acquire) {
            let now = Instant::now();
            let (accepts, pause) = (now >= accepts_from, accepts_from);
            let (woken, wanted, ready) = self.wait(&clients, accepts, pause);
            let now = Instant::now();
            let mut streams = clients.iter().filter(|client| client.streams()).count();
            let mut ready = ready.into_iter();
            clients.retain_mut(|client| {
                self.step(client, ready.next().unwrap_or(PollFlags::empty()), &mut streams, now)
            });
            if woken {
                self.waker.clear();
                let news = self.handler.news();
                clients.retain_mut(|client| {
                    let kept = !client.streams() || news.iter().all(|chunk| client.add(chunk, now).is_ok());
                    kept && self.step(client, PollFlags::empty(), &mut streams, now)
                });
            }
            if wanted && let Err(error) = self.accept(&mut clients, now) {
                log::debug!("{}: no connection for a client: {error}", self.name);
                accepts_from = now + PAUSE;
            }
        }
    }

    /// Waits until something happens. Gives whether there is news, whether somebody wants to connect, and what each
    /// connection is ready for.
    fn wait(&self, clients: &[Client], accepts: bool, pause: Instant) -> (bool, bool, Vec<PollFlags>) {
        let accept = if accepts { PollFlags::IN } else { PollFlags::empty() };
        let mut fds = vec![PollFd::new(&self.waker.0, PollFlags::IN), PollFd::new(&self.socket, accept)];
        fds.extend(clients.iter().map(|client| PollFd::new(&client.socket, client.interest())));
        let next = clients.iter().map(Client::deadline).chain((!accepts).then_some(pause)).min();
        let left = next.map(|next| next.saturating_duration_since(Instant::now()));
        let left = left.and_then(|left| Timespec::try_from(left).ok());
        if poll(&mut fds, left.as_ref()).is_err() {
            // Interrupted by a signal: another look.
            return (false, false, Vec::new());
        }
        let flags: Vec<_> = fds.iter().map(PollFd::revents).collect();
        (!flags[0].is_empty(), !flags[1].is_empty(), flags[2..].to_vec())
    }

    /// Whether the connection goes on. `streams` counts those that are open.
    fn step(&mut self, client: &mut Client, ready: PollFlags, streams: &mut usize, now: Instant) -> bool {
        let mut progress = client.step(ready, now);
        if let Ok(Progress::Asked(request)) = &progress {
            let mut response = self.handler.respond(request);
            if matches!(response.body, Body::Events(_)) && !request.head_only {
                if *streams < STREAMS {
                    *streams += 1;
                } else {
                    let text = format!("{STREAMS} others are listening, and no more can");
                    response =
                        HttpResponse::sentence("503 Service Unavailable", &text).with("Retry-After", "10");
                }
            }
            client.send(response, request.head_only, now);
            progress = client.step(PollFlags::empty(), now);
        }
        match progress {
            Ok(Progress::None | Progress::Asked(_)) => true,
            Ok(Progress::Over) => false,
            Err(error) => {
                log::trace!("{}: {} is gone: {error}", self.name, client.address);
                false
            }
        }
    }

    fn accept(&self, clients: &mut Vec<Client>, now: Instant) -> io::Result<()> {
        for _ in 0..ACCEPTED_AT_ONCE {
            match self.socket.accept() {
                Ok((socket, address)) => {
                    if clients.len() >= CLIENTS {
                        make_room(clients);
                    }
                    clients.push(Client::new(socket, address.ip(), now)?);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Closes the oldest connection of the address that has most; streams have their own bound and stay.
fn make_room(clients: &mut Vec<Client>) {
    let count = |address: IpAddr| clients.iter().filter(|client| client.address == address).count();
    let closable = clients.iter().enumerate().filter(|(_, client)| !client.streams());
    // Of equal ones the last is taken: from the back, that is the oldest.
    let oldest = closable.rev().max_by_key(|(_, client)| count(client.address));
    if let Some((place, _)) = oldest {
        clients.remove(place);
    }
}
