//! Sockets that listen. They are opened before the process confines itself, which leaves no right to listen.

use std::io;
use std::net::{SocketAddr, TcpListener};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, listen as start_listening, socket_with, sockopt,
};

/// Connections that the kernel holds until they are accepted.
const BACKLOG: i32 = 128;

/// The kernel's buffers of each connection, in bytes: they count towards the unit's `MemoryMax=` too.
const BUFFER: usize = 64 * 1024;

/// Listens on an address; port 0 takes any free one. Nothing that is done with it waits. Connections inherit small
/// buffers in the kernel from it.
///
/// # Errors
/// If the address cannot be listened on.
pub(super) fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    // So that it can be started again at once; it does not let two programs listen.
    sockopt::set_socket_reuseaddr(&socket, true)?;
    sockopt::set_socket_keepalive(&socket, true)?;
    sockopt::set_socket_send_buffer_size(&socket, BUFFER)?;
    sockopt::set_socket_recv_buffer_size(&socket, BUFFER)?;
    bind(&socket, &address)?;
    start_listening(&socket, BACKLOG)?;
    Ok(socket.into())
}
