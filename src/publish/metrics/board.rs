//! `/metrics` and `/healthz`: the answers, from the numbers that the daemon leaves on a board.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use prometheus_client::encoding::{prometheus_text, text};

use super::snapshot::Snapshot;
use crate::publish::http::{self, Handler, HttpRequest, HttpResponse, Server};

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
    let listener = http::listen("metrics.listen", address)?;
    if !address.ip().is_loopback() {
        log::warn!(
            "anybody who reaches {address} can read the metrics: the moods of the last window are among them"
        );
    }
    Ok(listener)
}

/// Who answers; it ends when dropped.
#[derive(Debug)]
pub struct MetricsListener(Server);

impl MetricsListener {
    /// MetricsHandler on a socket of [`listen`].
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(listener: TcpListener, board: Arc<Board>) -> anyhow::Result<Self> {
        let server = Server::start("metrics", listener, MetricsHandler(board))?;
        log::info!("metrics on http://{}/metrics", server.address());
        Ok(Self(server))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.0.address()
    }
}

struct MetricsHandler(Arc<Board>);

impl Handler for MetricsHandler {
    fn respond(&mut self, request: &HttpRequest) -> HttpResponse {
        match &*request.path {
            "/metrics" => {
                let accepted = request.header("accept").unwrap_or_default().to_ascii_lowercase();
                metrics(&self.0, accepted.contains("application/openmetrics-text"))
            }
            "/healthz" => health(&self.0),
            _ => HttpResponse::sentence("404 Not Found", "there are /metrics and /healthz"),
        }
    }
}

fn metrics(board: &Board, open_metrics: bool) -> HttpResponse {
    let Some(posted) = board.last() else {
        return HttpResponse::sentence("503 Service Unavailable", "nothing measured yet");
    };
    let registry = posted.snapshot.registry();
    let mut body = String::new();
    let (kind, encoded) = if open_metrics {
        (OPEN_METRICS, text::encode(&mut body, &registry))
    } else {
        (prometheus_text::CONTENT_TYPE, prometheus_text::encode(&mut body, &registry))
    };
    encoded.expect("a text takes every write");
    HttpResponse::new("200 OK", kind, body)
}

/// Whether the process works; a camera or a broker that is away is no reason to restart it.
fn health(board: &Board) -> HttpResponse {
    let trouble = match board.last() {
        None => Some("starting"),
        Some(posted) if posted.at.elapsed() >= STALE => Some("the daemon's loop hangs"),
        Some(posted) => posted.trouble,
    };
    match trouble {
        None => HttpResponse::sentence("200 OK", "ok"),
        Some(trouble) => HttpResponse::sentence("503 Service Unavailable", trouble),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::TcpStream;

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
