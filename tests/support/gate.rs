//! A door between a client and a server on the loopback, which the test opens and closes.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Passes connections on to a server while it is open, and hangs up on new ones while it is closed.
pub struct Gate {
    port: u16,
    open: Arc<AtomicBool>,
}

impl Gate {
    /// A closed gate before the server on `port`.
    pub fn new(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let open = Arc::new(AtomicBool::new(false));
        let is_open = Arc::clone(&open);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                if !is_open.load(Ordering::SeqCst) {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(("127.0.0.1", server)) {
                    pass(&client, &server);
                    pass(&server, &client);
                }
            }
        });
        Self { port, open }
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn set_open(&self, open: bool) {
        self.open.store(open, Ordering::SeqCst);
    }
}

/// Passes on what `from` sends until either side ends, and ends the other then.
fn pass(from: &TcpStream, to: &TcpStream) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        let mut step = || -> io::Result<bool> {
            let length = from.read(&mut buffer)?;
            to.write_all(&buffer[..length])?;
            Ok(length > 0)
        };
        while step().unwrap_or(false) {}
        let _ended_before = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
    });
}
