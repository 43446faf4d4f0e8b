//! The settings of the page.

use std::net::SocketAddr;
use std::path::PathBuf;

use crate::publish::settings::Credentials;

/// Where the page is, and for whom.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PageSettings {
    /// Where it listens; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What a browser has to send. Required if `listen` is not on the loopback.
    pub credentials: Option<Credentials>,
    /// Where the password was read from: a reload reads it again.
    pub password_file: Option<PathBuf>,
    /// Origins (`http://host:port`) whose pages may read the stream, besides this one.
    pub origins: Vec<String>,
    /// By what address others open the page, if it is another than `listen`: behind a proxy, or by a name.
    pub url: Option<url::Url>,
}

impl PageSettings {
    /// The default of [`Self::listen`].
    pub const LISTEN: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9480);

    /// The address to show to people who are not at this machine; `None` if there is none.
    #[must_use]
    pub fn address_for_others(&self) -> Option<String> {
        if let Some(url) = &self.url {
            return Some(url.to_string());
        }
        let ip = self.listen.ip();
        (!ip.is_loopback() && !ip.is_unspecified()).then(|| format!("http://{}/", self.listen))
    }
}
