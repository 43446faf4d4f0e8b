//! The page's files, which are part of the program.

use crate::publish::http::HttpResponse;

/// Nothing from elsewhere, nothing inline: a name that somebody has put into a message can do nothing on the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// The file of this path, or that there is none.
pub(super) fn file(path: &str) -> HttpResponse {
    let (kind, text) = match path {
        "/" => ("text/html; charset=utf-8", include_str!("web/index.html")),
        "/page.css" => ("text/css; charset=utf-8", include_str!("web/page.css")),
        "/page.js" => ("text/javascript; charset=utf-8", include_str!("web/page.js")),
        "/draw.js" => ("text/javascript; charset=utf-8", include_str!("web/draw.js")),
        "/icon.svg" => ("image/svg+xml", include_str!("web/icon.svg")),
        _ => return HttpResponse::sentence("404 Not Found", "there is the page, /, and its stream, /stream"),
    };
    HttpResponse::new("200 OK", kind, text)
        .with("Content-Security-Policy", POLICY)
        .with("Referrer-Policy", "no-referrer")
        .with("Cross-Origin-Resource-Policy", "same-origin")
        .with("Cross-Origin-Opener-Policy", "same-origin")
}
