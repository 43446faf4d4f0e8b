//! Answers, and how they stand on the wire.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

/// Bytes that may be on their way to several clients.
pub type Chunk = Arc<[u8]>;

/// An answer: a whole text, or the beginning of a stream of server-sent events.
#[derive(Clone, Debug)]
pub struct HttpResponse {
    status: &'static str,
    kind: &'static str,
    headers: Vec<(&'static str, Cow<'static, str>)>,
    pub(super) body: Body,
    /// How long it is held back.
    pub(super) delay: Duration,
}

/// What follows the head.
#[derive(Clone, Debug)]
pub(super) enum Body {
    Whole(Cow<'static, str>),
    /// What is sent at once; what [`super::Handler::news`] gives follows.
    Events(Vec<Chunk>),
}

impl HttpResponse {
    /// A whole text with a status such as `200 OK` and a media type.
    #[must_use]
    pub fn new(status: &'static str, kind: &'static str, body: impl Into<Cow<'static, str>>) -> Self {
        let headers = vec![
            ("Cache-Control", "no-store".into()),
            ("X-Content-Type-Options", "nosniff".into()),
            ("Connection", "close".into()),
        ];
        Self { status, kind, headers, body: Body::Whole(body.into()), delay: Duration::ZERO }
    }

    /// A plain sentence for a person; a line break is added.
    #[must_use]
    pub fn sentence(status: &'static str, text: &str) -> Self {
        Self::new(status, "text/plain; charset=utf-8", format!("{text}\n"))
    }

    /// Server-sent events: these, and then the news of the handler.
    #[must_use]
    pub fn events(first: Vec<Chunk>) -> Self {
        let mut response = Self::new("200 OK", "text/event-stream", "");
        response.body = Body::Events(first);
        response
    }

    /// The same with a header more; the value is one line.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Cow<'static, str>>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The same, held back for so long.
    #[must_use]
    pub fn after(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// The head, with its empty line.
    pub(super) fn head(&self) -> String {
        let mut head = format!("HTTP/1.1 {}\r\nContent-Type: {}\r\n", self.status, self.kind);
        if let Body::Whole(text) = &self.body {
            let _cannot_fail = write!(head, "Content-Length: {}\r\n", text.len());
        }
        for (name, value) in &self.headers {
            let _cannot_fail = write!(head, "{name}: {value}\r\n");
        }
        head + "\r\n"
    }
}
