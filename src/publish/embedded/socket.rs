//! The socket on which the broker listens. It is opened before the process confines itself, which leaves no right to
//! listen, and kept over reloads.

use std::net::{SocketAddr, TcpListener};

use anyhow::{Context as _, ensure};

use crate::publish::socket;

/// Listens on an address; port 0 takes any free one. `guarded` says whether clients have to send a password.
///
/// # Errors
/// If the address is not on the loopback and there is no password, or if it cannot be listened on.
pub fn listen(address: SocketAddr, guarded: bool) -> anyhow::Result<TcpListener> {
    ensure!(
        guarded || address.ip().is_loopback(),
        "the embedded broker would let anybody on the network read and command this device on {address}: set username \
         and password_file, or let it listen on 127.0.0.1"
    );
    socket::open(address).with_context(|| {
        format!(
            "the embedded broker cannot listen on {address}; if another broker runs there, use it: url = \"mqtt://{address}\""
        )
    })
}
