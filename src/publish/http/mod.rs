//! A small HTTP/1.1 server: GET and HEAD, one request a connection, each within bounds; and server-sent events, which
//! stay open.
//!
//! No web server from outside, because there is little to serve, and every byte of a request that is not needed is one
//! that cannot do harm. One thread does all of it and never waits for a client: `client.rs` moves the bytes of one
//! connection, `server.rs` decides who is served and for how long.

mod client;
mod request;
mod response;
mod server;

pub use request::HttpRequest;
pub use response::{Chunk, HttpResponse};
pub use server::{Handler, Server, Waker};

use std::net::{SocketAddr, TcpListener};

use anyhow::Context as _;

/// Opens the socket, before the process gives up listening; port 0 takes any free one. `key` is the key of the
/// configuration that names the address.
///
/// # Errors
/// If the address cannot be listened on.
pub(super) fn listen(key: &str, address: SocketAddr) -> anyhow::Result<TcpListener> {
    super::socket::open(address)
        .with_context(|| format!("`{key}`: {address} cannot be listened on; another program may have it"))
}
