//! `/metrics` and `/healthz` over HTTP/1.1: one request a connection, one connection at a time, each within bounds.
//!
//! No web server, because there is nothing to serve but two short texts, and every byte of a request that is not needed
//! is one that cannot do harm.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use prometheus_client::encoding::{prometheus_text, text};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::snapshot::Snapshot;

/// The longest head of a request. Prometheus sends about 300 bytes.
const LONGEST_REQUEST: usize = 4096;
/// What a client may take to send its request. Others wait meanwhile.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the thread looks whether it is to end.
const LOOK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// A snapshot older than this means that the daemon's loop hangs.
const STALE: Duration = Duration::from_secs(10);

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Where the last snapshot is.
#[derive(Debug, Default)]
pub struct Board(Mutex<Option<Posted>>);

#[derive(Clone, Debug)]
struct Posted {
    at: Instant,
    snapshot: Snapshot,
    /// What hangs, if anything does.
    trouble: Option<&'static str>,
}

impl Board {
    /// Puts a snapshot in the place of the last one. `trouble` says which worker hangs, if one does.
    pub fn post(&self, snapshot: Snapshot, trouble: Option<&'static str>) {
        let posted = Posted { at: Instant::now(), snapshot, trouble };
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(posted);
    }

    fn last(&self) -> Option<Posted> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Opens the socket, before the process gives up listening; port 0 takes any free one.
///
/// # Errors
/// If the address cannot be listened on.
pub fn listen(address: SocketAddr) -> anyhow::Result<TcpListener> {
    let listener = TcpListener::bind(address)
        .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
        .with_context(|| {
            format!("`metrics.listen`: {address} cannot be listened on; another program may have it")
        })?;
    if !address.ip().is_loopback() {
        log::warn!(
            "anybody who reaches {address} can read the metrics: the moods of the last window are among them"
        );
    }
    Ok(listener)
}

/// Who answers; it ends when dropped, within a second.
#[derive(Debug)]
pub struct MetricsListener {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl MetricsListener {
    /// Answers on a socket of [`listen`].
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(listener: TcpListener, board: Arc<Board>) -> anyhow::Result<Self> {
        let address = listener.local_addr().context("the socket of metrics has no address")?;
        log::info!("metrics on http://{address}/metrics");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || serve(&listener, &board, &stopped))
            .context("failed to start the thread of metrics")?;
        Ok(Self { address, stop, thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for MetricsListener {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn serve(listener: &TcpListener, board: &Board, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let mut wanted = [PollFd::new(listener, PollFlags::IN)];
        if !matches!(poll(&mut wanted, Some(&LOOK)), Ok(1..)) {
            continue;
        }
        match listener.accept() {
            Ok((client, _)) => {
                if let Err(error) = answer(client, board) {
                    log::debug!("a reader of metrics: {error}");
                }
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                log::debug!("no connection for a reader of metrics: {error}");
                // Out of file descriptors: the client is still there, and would be again at once.
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }
}

/// Waits for bytes with `poll` and not with a time limit of the socket, which would be one system call more to allow.
fn answer(mut client: TcpStream, board: &Board) -> io::Result<()> {
    let head = head(&mut client, Instant::now() + CLIENT_TIMEOUT)?;
    // Never waits: it is less than an empty socket's buffer takes.
    client.write_all(respond(&head, board).as_bytes())
}

/// The head of a request, to its empty line.
fn head(client: &mut TcpStream, deadline: Instant) -> io::Result<String> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 1024]);
    while !bytes.windows(4).any(|end| end == b"\r\n\r\n") {
        let left = Timespec::try_from(deadline.saturating_duration_since(Instant::now())).unwrap_or(LOOK);
        let mut wanted = [PollFd::new(client, PollFlags::IN)];
        if bytes.len() > LONGEST_REQUEST || !matches!(poll(&mut wanted, Some(&left)), Ok(1..)) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no request within the bounds"));
        }
        match client.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            count => bytes.extend_from_slice(&buffer[..count]),
        }
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The whole response to a request with this head.
fn respond(head: &str, board: &Board) -> String {
    let mut lines = head.split("\r\n");
    let mut request = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (request.next().unwrap_or_default(), request.next().unwrap_or_default());
    let path = target.split('?').next().unwrap_or_default();
    let open_metrics = lines.any(|line| {
        let line = line.to_ascii_lowercase();
        line.starts_with("accept:") && line.contains("application/openmetrics-text")
    });
    let (status, kind, body) = match (method, path) {
        ("GET" | "HEAD", "/metrics") => metrics(board, open_metrics),
        ("GET" | "HEAD", "/healthz") => health(board),
        ("GET" | "HEAD", _) => {
            ("404 Not Found", "text/plain", "there are /metrics and /healthz\n".to_owned())
        }
        _ => ("405 Method Not Allowed", "text/plain", "only GET and HEAD\n".to_owned()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\nCache-Control: no-store\r\n\
         X-Content-Type-Options: nosniff\r\nAllow: GET, HEAD\r\nConnection: close\r\n\r\n"
    );
    if method == "HEAD" { head } else { head + &body }
}

fn metrics(board: &Board, open_metrics: bool) -> (&'static str, &'static str, String) {
    let Some(posted) = board.last() else {
        return ("503 Service Unavailable", "text/plain", "nothing measured yet\n".to_owned());
    };
    let registry = posted.snapshot.registry();
    let mut body = String::new();
    let (kind, encoded) = if open_metrics {
        (OPEN_METRICS, text::encode(&mut body, &registry))
    } else {
        (prometheus_text::CONTENT_TYPE, prometheus_text::encode(&mut body, &registry))
    };
    encoded.expect("a text takes every write");
    ("200 OK", kind, body)
}

/// Whether the process works; a camera or a broker that is away is no reason to restart it.
fn health(board: &Board) -> (&'static str, &'static str, String) {
    let trouble = match board.last() {
        None => Some("starting"),
        Some(posted) if posted.at.elapsed() >= STALE => Some("the daemon's loop hangs"),
        Some(posted) => posted.trouble,
    };
    match trouble {
        None => ("200 OK", "text/plain", "ok\n".to_owned()),
        Some(trouble) => ("503 Service Unavailable", "text/plain", format!("{trouble}\n")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(address: SocketAddr, request: &str) -> String {
        let mut client = TcpStream::connect(address).unwrap();
        client.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        answer
    }

    #[test]
    fn answers_what_it_knows_in_the_format_that_is_asked_for() {
        let board = Arc::new(Board::default());
        let socket = listen("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = MetricsListener::start(socket, Arc::clone(&board)).unwrap();
        let get = |path: &str, more: &str| {
            ask(listener.address(), &format!("GET {path} HTTP/1.1\r\nHost: a\r\n{more}\r\n"))
        };
        assert!(get("/healthz", "").starts_with("HTTP/1.1 503 "));
        board.post(Snapshot { windows: 7, ..Snapshot::default() }, None);
        assert!(get("/healthz", "").ends_with("\r\n\r\nok\n"));
        let classic = get("/metrics", "");
        assert!(
            classic.contains("version=0.0.4") && classic.contains("# TYPE emotiond_windows_total counter")
        );
        let open = get("/metrics", "Accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n");
        assert!(
            open.contains("application/openmetrics-text") && open.contains("# TYPE emotiond_windows counter")
        );
        assert!(open.ends_with("# EOF\n"));
        board.post(Snapshot::default(), Some("the vision worker hangs in inference"));
        assert!(get("/healthz", "").contains("503") && get("/healthz", "").contains("vision worker hangs"));
        assert!(get("/", "").starts_with("HTTP/1.1 404 "));
        assert!(ask(listener.address(), "POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
        assert!(ask(listener.address(), "HEAD /healthz HTTP/1.1\r\n\r\n").ends_with("\r\n\r\n"));
    }

    #[test]
    fn a_client_that_sends_too_much_or_nothing_is_let_go_and_others_are_served() {
        let board = Arc::new(Board::default());
        board.post(Snapshot::default(), None);
        let listener =
            MetricsListener::start(listen("127.0.0.1:0".parse().unwrap()).unwrap(), board).unwrap();
        let silent = TcpStream::connect(listener.address()).unwrap();
        let mut giant = TcpStream::connect(listener.address()).unwrap();
        let _cut = giant.write_all(&[b'x'; 100_000]);
        assert!(ask(listener.address(), "GET /healthz HTTP/1.1\r\n\r\n").contains("200 OK"));
        drop((silent, giant));
    }
}
