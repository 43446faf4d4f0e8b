//! A broker inside this process, for demonstrations and for kiosks that are one box.
//!
//! It speaks MQTT 3.1.1 without TLS and keeps nothing on disk: retained messages are gone after a restart and are
//! announced anew. A subscriber that is slow by more than [`KEPT_BYTES`] of a topic loses the oldest messages. Whoever
//! needs more runs Mosquitto beside the daemon.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::Sender;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rumqttd::protocol::v4::V4;
use rumqttd::{ConnectionSettings, LinkType, Router, RouterConfig, Server, ServerSettings};
use tokio::sync::oneshot;

use crate::exit::Code;
use crate::exit::panics;
use crate::publish::settings::{Address, Credentials};
use emotiond_core::backoff::Backoff;

/// How much of each topic is kept for slow subscribers.
pub const KEPT_BYTES: usize = SEGMENT_BYTES * SEGMENTS;
const SEGMENT_BYTES: usize = 128 * 1024;
const SEGMENTS: usize = 2;
/// How long the last messages may take from the broker to its subscribers before their connections are closed.
const LINGER: Duration = Duration::from_millis(250);

/// How often the broker's thread looks whether it has stumbled.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
/// The wait before a broker that has stumbled begins anew doubles from the first to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After so many the process ends, because each leaves an idle thread of rumqttd behind. With the waits in between this
/// takes minutes, so that systemd, which gives up after five ends in ten minutes, does not.
const LIVES: u32 = 12;

/// How the embedded broker listens.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// The address; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What every client must know. Required if `listen` is not on the loopback.
    pub credentials: Option<Credentials>,
}

/// A running broker; it ends with [`EmbeddedBroker::stop`] or when dropped.
///
/// rumqttd cannot end its router thread: it stays, idle, until the process ends. Its listener and connections end here.
#[derive(Debug)]
pub struct EmbeddedBroker {
    listen: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl EmbeddedBroker {
    /// Starts the broker and returns once it listens.
    ///
    /// # Errors
    /// If the address is not on the loopback and no credentials are asked for, or if it cannot be listened on.
    pub fn start(settings: EmbeddedSettings) -> anyhow::Result<Self> {
        let asked = settings.listen;
        if !asked.ip().is_loopback() && settings.credentials.is_none() {
            bail!(
                "the embedded broker would let anybody on the network read and command this device on {asked}: set username and password_file, or let it listen on 127.0.0.1"
            );
        }
        // rumqttd neither tells the port it got nor why it got none: the address is tried out before.
        let listen = TcpListener::bind(asked).and_then(|listener| listener.local_addr()).with_context(|| {
            format!("the embedded broker cannot listen on {asked}; if another broker runs there, use it: url = \"mqtt://{asked}\"")
        })?;
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("broker".into())
            .spawn(move || run(listen, settings.credentials.as_ref(), stopped, &ready))
            .context("failed to start the embedded broker's thread")?;
        is_ready.recv().context("the embedded broker's thread has ended")??;
        log::info!("the embedded broker listens on {listen}");
        Ok(Self { listen, stop: Some(stop), thread: Some(thread) })
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

    /// Gives subscribers a moment to receive the last messages, then closes all connections and the listener.
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

/// Runs the broker until it is told to stop. rumqttd panics over some of what clients may send (a second connection with
/// a client id that it has refused before), and takes no connection afterwards: it is then begun anew, as after a power
/// cut, instead of ending the daemon.
fn run(
    listen: SocketAddr,
    credentials: Option<&Credentials>,
    mut stopped: oneshot::Receiver<()>,
    ready: &Sender<anyhow::Result<()>>,
) {
    let mut waits = Backoff::new(FIRST_WAIT, LONGEST_WAIT);
    for life in 1.. {
        let reason = match panics::contain(|| live(listen, credentials, &mut stopped, ready)) {
            Ok(Ok(Ended::Asked)) => return,
            Ok(Ok(Ended::Stumbled)) => "it stumbled over what a client sent".to_owned(),
            Ok(Err(error)) if life == 1 => {
                log::error!("{error:#}");
                let _listening_before = ready.send(Err(error));
                return;
            }
            Ok(Err(error)) => format!("{error:#}"),
            Err(panic) => panic,
        };
        if life == LIVES {
            log::error!(
                "the embedded broker has failed {LIVES} times: {reason}; emotiond ends, to be started again"
            );
            std::process::exit(i32::from(Code::Software as u8));
        }
        let wait = waits.next(fastrand::f64());
        log::error!(
            "the embedded broker begins anew in {:.1} s: {reason}; whoever sends such things to {listen} should not be able \
             to: set username and password_file, or use Mosquitto",
            wait.as_secs_f64()
        );
        let until = Instant::now() + wait;
        while Instant::now() < until {
            if !matches!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                return;
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

/// Why the broker has ended without an error.
enum Ended {
    Asked,
    Stumbled,
}

/// One broker, from its start to its end, with a router and a runtime of its own.
fn live(
    listen: SocketAddr,
    credentials: Option<&Credentials>,
    stopped: &mut oneshot::Receiver<()>,
    ready: &Sender<anyhow::Result<()>>,
) -> anyhow::Result<Ended> {
    let router = Router::new(0, router_config()).spawn();
    let mut server = Server::new(server_settings(listen, credentials.cloned()), router, V4);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("failed to start the embedded broker")?;
    let contained_count = panics::contained_count();
    runtime.block_on(async {
        // In this order: the server listens once it has been polled, and only then the other branch runs.
        tokio::select! {
            biased;
            outcome = server.start(LinkType::Remote) => {
                outcome.context("the embedded broker has ended").map(|()| Ended::Asked)
            }
            ended = async {
                let _starter_gone = ready.send(Ok(()));
                loop {
                    // The connections are tasks of this thread, whose panics the runtime catches.
                    tokio::select! {
                        _dropped = &mut *stopped => return Ended::Asked,
                        () = tokio::time::sleep(POLL_INTERVAL) => if panics::contained_count() != contained_count {
                            return Ended::Stumbled;
                        },
                    }
                }
            } => Ok(ended),
        }
    })
}

fn router_config() -> RouterConfig {
    RouterConfig {
        max_connections: 64,
        max_outgoing_packet_count: 200,
        max_segment_size: SEGMENT_BYTES,
        max_segment_count: SEGMENTS,
        ..RouterConfig::default()
    }
}

fn server_settings(listen: SocketAddr, credentials: Option<Credentials>) -> ServerSettings {
    let mut settings = ServerSettings {
        name: "embedded".into(),
        listen,
        tls: None,
        next_connection_delay_ms: 1,
        connections: ConnectionSettings {
            connection_timeout_ms: 5000,
            max_payload_size: 256 * 1024,
            max_inflight_count: 100,
            auth: None,
            external_auth: None,
            // Without it, rumqttd refuses what nobody subscribes to yet.
            dynamic_filters: true,
        },
    };
    if let Some(known) = credentials {
        // Through the handler, because the plain list of users would be printed by `Debug`.
        settings.set_auth_handler(move |_client, username, password| {
            let right = same(&username, &known.username) & same(&password, known.password.expose());
            std::future::ready(right)
        });
    }
    settings
}

/// Compares in a time that depends on the lengths alone.
fn same(a: &str, b: &str) -> bool {
    a.len() == b.len() && a.bytes().zip(b.bytes()).fold(0, |differences, (a, b)| differences | (a ^ b)) == 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::settings::Password;

    #[test]
    fn open_to_the_network_only_with_credentials() {
        let listen = "0.0.0.0:0".parse().unwrap();
        let error = EmbeddedBroker::start(EmbeddedSettings { listen, credentials: None }).unwrap_err();
        assert!(error.to_string().contains("password_file"), "{error:#}");
    }

    #[test]
    fn an_address_in_use_is_named() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap();
        let error = EmbeddedBroker::start(EmbeddedSettings { listen, credentials: None }).unwrap_err();
        let error = format!("{error:#}");
        assert!(error.contains(&listen.to_string()) && error.contains("in use"), "{error}");
    }

    #[test]
    fn ends_and_frees_its_port() {
        let credentials = Credentials { username: "a".into(), password: Password::new("b".into()) };
        let listen = "127.0.0.1:0".parse().unwrap();
        let broker =
            EmbeddedBroker::start(EmbeddedSettings { listen, credentials: Some(credentials) }).unwrap();
        let listen = broker.listen;
        std::net::TcpStream::connect(listen).unwrap();
        drop(broker);
        assert!(std::net::TcpStream::connect(listen).is_err());
    }

    #[test]
    fn compares_whole_strings() {
        assert!(same("abc", "abc") && same("", ""));
        assert!(!same("abc", "abd") && !same("abc", "ab") && !same("", "a"));
    }
}
