//! The page: can it listen, and who may open it.

use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use super::table::Finding;
use crate::publish::page::PageSettings;

/// What a program that answers may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// Who holds the port of the page.
pub enum Port {
    Free,
    /// A daemon that serves its page there already.
    Emotiond,
    Taken(io::Error),
}

/// Looks whether the page could listen; a confined process has given that up.
pub fn port(settings: &PageSettings) -> Port {
    match TcpListener::bind(settings.listen) {
        Ok(_) => Port::Free,
        Err(_) if answers(settings.listen).is_ok_and(|answer| is_ours(&answer)) => Port::Emotiond,
        Err(error) => Port::Taken(error),
    }
}

fn answers(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    write!(stream, "HEAD /icon.svg HTTP/1.1\r\nHost: {address}\r\n\r\n")?;
    let mut answer = String::new();
    stream.take(4096).read_to_string(&mut answer)?;
    Ok(answer)
}

/// The page, or its question for the password.
fn is_ours(answer: &str) -> bool {
    answer.contains("realm=\"emotiond\"")
        || answer.starts_with("HTTP/1.1 200 ") && answer.contains("Content-Type: image/svg+xml")
}

/// What is to be said of the page, if it is on; `port` is what [`port`] has found.
pub fn page(settings: &PageSettings, port: &Port) -> Finding {
    let listen = settings.listen;
    let state = match port {
        Port::Free => "free",
        Port::Emotiond => "where a daemon serves it already",
        Port::Taken(error) => {
            let detail = format!("http://{listen}/ cannot be served: {error}");
            let remedy = "set page.listen to an address of this machine and a port that no other program has";
            return Finding::failed("page", detail, remedy);
        }
    };
    let who = match &settings.credentials {
        Some(known) => format!("for {:?} with a password", known.username),
        None => "for everybody on this machine, without a password".to_owned(),
    };
    let detail = format!("http://{listen}/, {state}; {who}");
    if settings.credentials.is_some() && !listen.ip().is_loopback() {
        let remedy =
            "use a network that nobody else is on, or let it listen on 127.0.0.1 behind a proxy with TLS";
        return Finding::warning("page", detail + "; the password crosses the network readable", remedy);
    }
    Finding::ok("page", detail)
}
