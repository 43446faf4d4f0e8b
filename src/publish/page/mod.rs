//! The page: what the device says, live in a browser, and nothing that it does not say to a broker too.
//!
//! `web/` holds the files, `files.rs` hands them out; `feed.rs` keeps what somebody who has just come has to know,
//! `history.rs` the last hour; `access.rs` says who may look. The daemon tells the page each message that it publishes,
//! and the page's own thread passes it on.

mod access;
mod feed;
mod files;
mod history;
mod settings;

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use anyhow::ensure;
use emotiond_core::report::payload::Message;

use crate::publish::http::{self, Chunk, Handler, HttpRequest, HttpResponse, Server, Waker};
use access::Admission;
use feed::Feed;
pub use settings::PageSettings;

/// Messages that may wait for the page's thread: more means that it hangs.
const TOLD: usize = 256;

/// Opens the socket, before the process gives up listening; port 0 takes any free one.
///
/// # Errors
/// If others can reach the address and there is no password, or if it cannot be listened on.
pub fn listen(settings: &PageSettings) -> anyhow::Result<TcpListener> {
    let address = settings.listen;
    ensure!(
        settings.credentials.is_some() || address.ip().is_loopback(),
        "`page.listen` is {address}, which others can reach: set `page.username` and `page.password_file`, or listen on \
         127.0.0.1"
    );
    http::listen("page.listen", address)
}

/// What the page's thread is told.
enum Told {
    Message(Message),
    Broker(bool),
    Settings(Box<PageSettings>),
}

/// The page, as the daemon sees it. It ends when dropped.
#[derive(Debug)]
pub struct PageServer {
    told: SyncSender<Told>,
    waker: Waker,
    server: Server,
}

impl PageServer {
    /// Serves on a socket of [`listen`].
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn start(socket: TcpListener, settings: &PageSettings) -> anyhow::Result<Self> {
        let (told, news) = sync_channel(TOLD);
        let handler = PageHandler { access: Admission::new(settings), feed: Feed::default(), told: news };
        let server = Server::start("page", socket, handler)?;
        log::info!("the page is on http://{}/", server.address());
        Ok(Self { told, waker: server.waker(), server })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Shows a message; one that is not for everybody, the answer to a request, is left out. Never waits.
    pub fn show(&self, message: &Message) {
        self.tell(Told::Message(message.clone()));
    }

    /// Shows whether there is a connection to the broker.
    pub fn show_broker(&self, connected: bool) {
        self.tell(Told::Broker(connected));
    }

    /// Goes by other settings from now on; the address stays.
    pub fn apply(&self, settings: &PageSettings) {
        self.tell(Told::Settings(Box::new(settings.clone())));
    }

    fn tell(&self, what: Told) {
        if let Err(TrySendError::Full(_)) = self.told.try_send(what) {
            log::warn!("the page's thread does not keep up; what it shows may be old until the next message");
        }
        self.waker.wake();
    }
}

struct PageHandler {
    access: Admission,
    feed: Feed,
    told: Receiver<Told>,
}

impl Handler for PageHandler {
    fn respond(&mut self, request: &HttpRequest) -> HttpResponse {
        if let Some(refusal) = self.access.refusal(request) {
            return refusal;
        }
        if request.path != "/stream" {
            return files::file(&request.path);
        }
        match self.access.reader(request) {
            Ok(None) => HttpResponse::events(self.feed.so_far()),
            Ok(Some(origin)) => HttpResponse::events(self.feed.so_far())
                .with("Access-Control-Allow-Origin", origin)
                .with("Vary", "Origin"),
            Err(refusal) => refusal,
        }
    }

    fn news(&mut self) -> Vec<Chunk> {
        let mut news = Vec::new();
        for told in self.told.try_iter() {
            match told {
                Told::Message(message) => news.extend(self.feed.message(&message)),
                Told::Broker(connected) => news.push(self.feed.broker(connected)),
                Told::Settings(settings) => self.access = Admission::new(&settings),
            }
        }
        news
    }
}
