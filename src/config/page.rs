//! The table `[page]`.

use anyhow::{Context as _, Result, ensure};
use url::Url;

use super::keys::{address, credentials};
use super::raw::PageTable;
use crate::publish::page::PageSettings;

/// The most origins whose pages may read the stream.
const MOST_ORIGINS: usize = 16;

/// The page's settings, if it is on. What is wrong is said in either case, but for the password, which need not be
/// there before.
pub(super) fn checked(page: PageTable) -> Result<Option<PageSettings>> {
    let listen = page.listen.map(|text| address("page.listen", &text, "127.0.0.1:9480")).transpose()?;
    let listen = listen.unwrap_or(PageSettings::LISTEN);
    let url = page.url.as_deref().map(address_for_others).transpose()?;
    ensure!(
        page.origins.len() <= MOST_ORIGINS,
        "`page.origins` has {} origins; {MOST_ORIGINS} at most",
        page.origins.len()
    );
    for text in &page.origins {
        // As a browser writes it, because that is what it is compared with.
        let origin = Url::parse(text).ok().map(|url| url.origin()).filter(url::Origin::is_tuple);
        ensure!(
            origin.is_some_and(|origin| origin.ascii_serialization() == *text),
            "`page.origins` contains {text:?}; write scheme, host and port and nothing after them, in lower case, for \
             example \"http://localhost:8080\""
        );
    }
    if !page.enabled {
        return Ok(None);
    }
    let password_file = page.password_file.clone();
    let credentials = credentials("page", page.username, page.password_file)?;
    ensure!(
        credentials.as_ref().is_none_or(|known| !known.username.contains(':')),
        "`page.username` contains a colon, which HTTP does not allow there"
    );
    ensure!(
        listen.ip().is_loopback() || credentials.is_some(),
        "`page.listen` is {listen}, which others can reach: set `page.username` and `page.password_file`, or listen on \
         127.0.0.1"
    );
    Ok(Some(PageSettings { listen, credentials, password_file, origins: page.origins, url }))
}

fn address_for_others(text: &str) -> Result<Url> {
    let error = || {
        format!(
            "`page.url` is {text:?}; write how others open the page, for example \"https://hall.example/\""
        )
    };
    let url = Url::parse(text).with_context(error)?;
    let plain = matches!(url.scheme(), "http" | "https")
        && url.has_host()
        && url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    ensure!(plain, error());
    Ok(url)
}
