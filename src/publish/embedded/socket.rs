//! The socket on which the broker listens. It is opened before the process confines itself, which leaves no right to
//! listen, and kept over reloads.

use std::io;
use std::net::{SocketAddr, TcpListener};

use anyhow::{Context as _, ensure};
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, listen as start_listening, socket_with, sockopt,
};

use super::limits;

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 128;

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
    open(address).with_context(|| {
        format!(
            "the embedded broker cannot listen on {address}; if another broker runs there, use it: url = \"mqtt://{address}\""
        )
    })
}

/// A listener whose connections have small buffers in the kernel, which they inherit from it.
fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // So that it can be started again at once; it does not let two programs listen.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_socket_send_buffer_size(&socket, limits::SOCKET_BUFFER)?;
    sockopt::set_socket_recv_buffer_size(&socket, limits::SOCKET_BUFFER)?;
    bind(&socket, &address)?;
    start_listening(&socket, BACKLOG)?;
    Ok(socket.into())
}
