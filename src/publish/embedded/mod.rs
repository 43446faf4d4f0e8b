//! A broker inside this process, for kiosks that are one box and for Home Assistant without Mosquitto.
//!
//! It speaks MQTT 3.1.1 without TLS. Its memory is bounded whatever clients do (`limits.rs`), and only the daemon may
//! publish what is the device's (`rights.rs`). It keeps nothing on disk and no session: retained messages are published
//! again after a restart, and a client that comes back subscribes again. `hub.rs` decides, `connection.rs` and
//! `listener.rs` move bytes, all on one thread. For more, run Mosquitto beside the daemon.

mod connection;
#[cfg(any(test, feature = "harness"))]
pub mod fuzz;
mod hub;
mod limits;
mod listener;
mod packet;
mod refusals;
mod retained;
mod rights;
mod session;
mod socket;
mod topic;

use std::fmt::Write as _;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::Context;
use tokio::sync::oneshot;
use tokio::task::LocalSet;

use crate::publish::settings::{Address, Credentials, OpenListener, Password};
use emotiond_core::report::payload::DeviceName;
use hub::Hub;
use rights::Rights;
pub use socket::listen;
pub use topic::is_filter as is_topic_filter;

/// How long the last messages may take from the broker to its subscribers before their connections are closed.
const LINGER: Duration = Duration::from_millis(250);

/// How the embedded broker listens, and whom it serves.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// The address; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The socket that listens there already, if there is one.
    pub listener: Option<OpenListener>,
    /// What every client has to send. Required if `listen` is not on the loopback.
    pub credentials: Option<Credentials>,
    /// The device whose topics are the daemon's alone, commands excepted.
    pub device: DeviceName,
    /// Whether clients may send commands.
    pub commands: bool,
    /// Where Home Assistant may say that it has started.
    pub birth_topic: Option<String>,
    /// Filters of further topics that clients may publish on.
    pub topics: Vec<String>,
}

/// A running broker; it ends with [`EmbeddedBroker::stop`] or when dropped.
#[derive(Debug)]
pub struct EmbeddedBroker {
    listen: SocketAddr,
    own: Credentials,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts the broker and returns once it listens.
    ///
    /// # Errors
    /// If the address is not on the loopback and no credentials are asked for, or if it cannot be listened on.
    pub fn start(settings: EmbeddedSettings) -> anyhow::Result<Self> {
        let listener = match &settings.listener {
            Some(listener) => listener.try_clone().context("failed to share the embedded broker's socket")?,
            None => listen(settings.listen, settings.credentials.is_some())?,
        };
        let listen = listener.local_addr().context("the embedded broker's socket has no address")?;
        let own = own_credentials()?;
        let rights = Rights::new(&settings.device, settings.commands, settings.birth_topic, settings.topics);
        let (own_copy, credentials) = (own.clone(), settings.credentials);
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("broker".into())
            .spawn(move || {
                let hub = Hub::new(rights, own_copy, credentials);
                if let Err(error) = serve(listener, hub, stopped, &ready) {
                    let _starter_gone = ready.send(Err(error));
                }
            })
            .context("failed to start the embedded broker's thread")?;
        let served = is_ready.recv().context("the embedded broker's thread has ended")?;
        served.context("the embedded broker cannot serve its socket")?;
        log::info!("the embedded broker listens on {listen}");
        Ok(Self { listen, own, stop: Some(stop), thread: Some(thread) })
    }

    /// Where clients of this machine find it.
    #[must_use]
    pub fn address(&self) -> Address {
        let host = match self.listen.ip() {
            any if any.is_unspecified() && any.is_ipv4() => "127.0.0.1".into(),
            any if any.is_unspecified() => "::1".into(),
            ip => ip.to_string(),
        };
        Address { host, port: self.listen.port(), tls: false }
    }

    /// By which the broker knows the daemon's own client: made at each start and known to nobody else.
    #[must_use]
    pub fn own_credentials(&self) -> &Credentials {
        &self.own
    }

    /// Leaves subscribers a moment to receive the last messages, then closes all connections and the listener.
    pub fn stop(self) {
        std::thread::sleep(LINGER);
        drop(self);
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn own_credentials() -> anyhow::Result<Credentials> {
    let mut bytes = [0; 16];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty())
        .context("the system has no random numbers for the embedded broker")?;
    anyhow::ensure!(filled == bytes.len(), "the system has too few random numbers for the embedded broker");
    let password = bytes.iter().fold(String::new(), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    });
    Ok(Credentials { username: "emotiond".into(), password: Password::new(password) })
}

/// The broker's thread, until `stopped`.
fn serve(
    listener: TcpListener,
    hub: Hub,
    stopped: oneshot::Receiver<()>,
    ready: &Sender<io::Result<()>>,
) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    LocalSet::new().block_on(&runtime, async {
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let _starter_gone = ready.send(Ok(()));
        tokio::select! {
            _dropped = stopped => {}
            () = listener::accept(listener, hub) => {}
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests;
