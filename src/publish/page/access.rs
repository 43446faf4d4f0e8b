//! Who may look: whoever knows the password, or on the loopback whoever is on this machine, but no page of somebody
//! else's that a browser on this machine happens to show.

use std::net::IpAddr;
use std::time::Duration;

use super::settings::PageSettings;
use crate::publish::http::{HttpRequest, HttpResponse};
use crate::publish::settings::{Credentials, same};

/// The answer to a wrong password is held back for so long; it takes one of the server's connections meanwhile.
const WRONG_PASSWORD_DELAY: Duration = Duration::from_millis(500);

/// Who may look.
pub(super) struct Admission {
    /// The value of the header `Authorization` that is asked for.
    authorization: Option<String>,
    /// Whether the name by which the page is asked for is looked at.
    guards_names: bool,
    /// The host of the address by which others open the page.
    host: Option<String>,
    /// The origin of that address.
    own_origin: Option<String>,
    origins: Vec<String>,
}

impl Admission {
    pub fn new(settings: &PageSettings) -> Self {
        let url = settings.url.as_ref();
        Self {
            authorization: settings.credentials.as_ref().map(basic),
            guards_names: settings.listen.ip().is_loopback(),
            host: url.and_then(|url| url.host_str()).map(str::to_ascii_lowercase),
            own_origin: url.map(|url| url.origin().ascii_serialization()),
            origins: settings.origins.clone(),
        }
    }

    /// Why nothing is shown to whoever sends this, if nothing is.
    pub fn refusal(&self, request: &HttpRequest) -> Option<HttpResponse> {
        let Some(host) = request.header("host") else {
            return Some(HttpResponse::sentence(
                "400 Bad HttpRequest",
                "the request names no host, or more than one",
            ));
        };
        if self.guards_names && !self.knows(host) {
            let text = "this page is opened by the address of emotiond, http://127.0.0.1 with its port, and not by \
                        this name; behind a proxy set page.url in the configuration";
            return Some(HttpResponse::sentence("421 Misdirected Request", text));
        }
        let expected = self.authorization.as_ref()?;
        let presented = request.header("authorization");
        if presented.is_some_and(|presented| same(presented.as_bytes(), expected.as_bytes())) {
            return None;
        }
        let delay = if presented.is_some() { WRONG_PASSWORD_DELAY } else { Duration::ZERO };
        let refusal =
            HttpResponse::sentence("401 Unauthorized", "this page asks for a user name and a password");
        Some(refusal.with("WWW-Authenticate", "Basic realm=\"emotiond\", charset=\"UTF-8\"").after(delay))
    }

    /// Whether a name can be this device's. A page of somebody else's that gives its own name this machine's address
    /// (DNS rebinding) asks by that name; it cannot ask by an address.
    fn knows(&self, host: &str) -> bool {
        let name = match host.strip_prefix('[') {
            Some(rest) => rest.split(']').next().unwrap_or_default(),
            None => host.split(':').next().unwrap_or_default(),
        };
        let name = name.to_ascii_lowercase();
        name == "localhost" || name.parse::<IpAddr>().is_ok() || self.host.as_ref() == Some(&name)
    }

    /// Whether whoever asks for the stream may read it; the origin to be named to the browser, if it is another page's.
    ///
    /// # Errors
    /// The answer to a page of an origin that is not configured: it could not read the stream, but would take a place.
    pub fn reader(&self, request: &HttpRequest) -> Result<Option<String>, HttpResponse> {
        if let Some(origin) = request.header("origin") {
            let host = request.header("host").unwrap_or_default();
            let own = ["http", "https"].iter().any(|scheme| origin == format!("{scheme}://{host}"));
            if own || self.own_origin.as_deref() == Some(origin) {
                return Ok(None);
            }
            if self.origins.iter().any(|allowed| allowed == origin) {
                return Ok(Some(origin.to_owned()));
            }
        } else if !matches!(request.header("sec-fetch-site"), Some("cross-site" | "same-site")) {
            return Ok(None);
        }
        let text = "this stream is for the page of emotiond and for the origins of page.origins in its configuration";
        Err(HttpResponse::sentence("403 Forbidden", text))
    }
}

/// The value of `Authorization` for these credentials. What is presented is compared with it as it is, so that nothing a
/// stranger sends is decoded.
fn basic(credentials: &Credentials) -> String {
    let plain = format!("{}:{}", credentials.username, credentials.password.expose());
    let mut text = "Basic ".to_owned();
    for bytes in plain.as_bytes().chunks(3) {
        let group =
            bytes.iter().fold(0_u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - bytes.len()));
        for place in 0..4 {
            let digit = group >> (18 - 6 * place) & 63;
            text.push(if place > bytes.len() { '=' } else { char::from(DIGITS[digit as usize]) });
        }
    }
    text
}

/// Of base64 (RFC 4648).
const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
