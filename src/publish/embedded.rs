//! A broker inside this process, for demonstrations and for kiosks that are one box.
//!
//! It speaks MQTT 3.1.1 without TLS and keeps nothing on disk: retained messages are gone after a restart and are
//! announced again. A subscriber that is slow by more than 256 KiB of a topic loses the oldest messages. For
//! more, run Mosquitto beside the daemon.

use std::net::{SocketAddr, TcpListener};
use std::sync::mpsc::Sender;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rumqttd::protocol::v4::V4;
use rumqttd::{ConnectionSettings, LinkType, Router, RouterConfig, Server, ServerSettings};
use tokio::sync::oneshot;

use crate::exit::panics;
use crate::publish::settings::{Address, Credentials};
use emotiond_core::backoff::Backoff;

/// Of each topic, this many segments of this size are kept for slow subscribers.
const SEGMENT_BYTES: usize = 128 * 1024;
const SEGMENTS: usize = 2;
/// How long the last messages may take from the broker to its subscribers before their connections are closed.
const LINGER: Duration = Duration::from_millis(250);

/// How often the broker's thread looks whether rumqttd has panicked.
const POLL_INTERVAL: Duration = Duration::from_millis(100);

/// How often a broker that has failed is started again, and after which waits.
#[derive(Clone, Copy, Debug)]
struct RestartPolicy {
    /// The most starts. Each failed broker leaves an idle thread of rumqttd behind, so that the process has to be
    /// restarted in the end. With the waits in between that takes minutes: systemd, which gives up after five restarts
    /// in ten minutes, does not.
    starts: u32,
    /// The wait doubles from the shortest to the longest.
    waits: (Duration, Duration),
}

const RESTARTS: RestartPolicy =
    RestartPolicy { starts: 12, waits: (Duration::from_millis(500), Duration::from_secs(60)) };

/// How the embedded broker listens.
#[derive(Clone, Debug)]
pub struct EmbeddedSettings {
    /// The address; port 0 takes any free one.
    pub listen: SocketAddr,
    /// What every client has to send. Required if `listen` is not on the loopback.
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
    failure: Arc<OnceLock<String>>,
}

impl EmbeddedBroker {
    /// Starts the broker and returns once it listens.
    ///
    /// # Errors
    /// If the address is not on the loopback and no credentials are asked for, or if it cannot be listened on.
    pub fn start(settings: EmbeddedSettings) -> anyhow::Result<Self> {
        Self::start_with(settings, RESTARTS)
    }

    fn start_with(settings: EmbeddedSettings, restarts: RestartPolicy) -> anyhow::Result<Self> {
        let asked = settings.listen;
        if !asked.ip().is_loopback() && settings.credentials.is_none() {
            bail!(
                "the embedded broker would let anybody on the network read and command this device on {asked}: set username and password_file, or let it listen on 127.0.0.1"
            );
        }
        // rumqttd reports neither the port it got nor why it got none: the address is tried before.
        let listen = TcpListener::bind(asked).and_then(|listener| listener.local_addr()).with_context(|| {
            format!("the embedded broker cannot listen on {asked}; if another broker runs there, use it: url = \"mqtt://{asked}\"")
        })?;
        let (stop, stopped) = oneshot::channel();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let failure = Arc::new(OnceLock::new());
        let broker = BrokerThread {
            listen,
            credentials: settings.credentials,
            restarts,
            failure: Arc::clone(&failure),
        };
        let thread = std::thread::Builder::new()
            .name("broker".into())
            .spawn(move || broker.run(stopped, &ready))
            .context("failed to start the embedded broker's thread")?;
        is_ready.recv().context("the embedded broker's thread has ended")??;
        log::info!("the embedded broker listens on {listen}");
        Ok(Self { listen, stop: Some(stop), thread: Some(thread), failure })
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

    /// Why it has failed too often to be restarted, if it has.
    #[must_use]
    pub fn failure(&self) -> Option<String> {
        self.failure.get().cloned()
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

/// The broker's thread.
struct BrokerThread {
    listen: SocketAddr,
    credentials: Option<Credentials>,
    restarts: RestartPolicy,
    failure: Arc<OnceLock<String>>,
}

impl BrokerThread {
    /// Runs the broker until it is stopped. rumqttd panics over some of what clients may send (a second connection with
    /// a client id that it has refused before), and accepts no connection afterwards: it is then restarted, without what
    /// it held, instead of ending the daemon.
    fn run(self, mut stopped: oneshot::Receiver<()>, ready: &Sender<anyhow::Result<()>>) {
        let Self { listen, credentials, restarts, failure } = self;
        let mut waits = Backoff::new(restarts.waits.0, restarts.waits.1);
        for start in 1.. {
            let reason = match panics::contain(|| serve(listen, credentials.as_ref(), &mut stopped, ready)) {
                Ok(Ok(BrokerEnd::Stopped)) => return,
                Ok(Ok(BrokerEnd::Panicked)) => "what a client sent made it panic".to_owned(),
                Ok(Err(error)) if start == 1 => {
                    log::error!("{error:#}");
                    let _listening_before = ready.send(Err(error));
                    return;
                }
                Ok(Err(error)) => format!("{error:#}"),
                Err(panic) => panic,
            };
            if start == restarts.starts {
                let _set_once = failure.set(format!(
                    "the embedded broker has failed {start} times, at last because {reason}; emotiond has to be restarted, \
                     which systemd does"
                ));
                return;
            }
            let wait = waits.next(fastrand::f64());
            log::error!(
                "the embedded broker is restarted in {:.1} s: {reason}; clients that send such things should not be able to \
                 reach {listen}: set username and password_file, or use Mosquitto",
                wait.as_secs_f64()
            );
            let until = Instant::now() + wait;
            while Instant::now() < until {
                if !matches!(stopped.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                    return;
                }
                std::thread::sleep(POLL_INTERVAL.min(wait));
            }
        }
    }
}

/// Why the broker has ended without an error.
enum BrokerEnd {
    Stopped,
    Panicked,
}

/// One broker, from its start to its end, with a router and a runtime of its own.
fn serve(
    listen: SocketAddr,
    credentials: Option<&Credentials>,
    stopped: &mut oneshot::Receiver<()>,
    ready: &Sender<anyhow::Result<()>>,
) -> anyhow::Result<BrokerEnd> {
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
                outcome.context("the embedded broker has ended").map(|()| BrokerEnd::Stopped)
            }
            ended = async {
                let _starter_gone = ready.send(Ok(()));
                loop {
                    // The connections are tasks of this thread, whose panics the runtime catches.
                    tokio::select! {
                        _dropped = &mut *stopped => return BrokerEnd::Stopped,
                        () = tokio::time::sleep(POLL_INTERVAL) => if panics::contained_count() != contained_count {
                            return BrokerEnd::Panicked;
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

    /// CONNECT of MQTT 3.1.1 with a client id that rumqttd refuses, and over which it panics the second time.
    const REFUSED: &[u8] = b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03a#b";

    #[test]
    fn a_broker_that_fails_too_often_says_so_and_is_not_restarted() {
        // What `main` does: a contained panic is counted and not printed.
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !panics::contained() {
                before(panic);
            }
        }));
        let wait = Duration::from_millis(10);
        let settings = EmbeddedSettings { listen: "127.0.0.1:0".parse().unwrap(), credentials: None };
        let policy = RestartPolicy { starts: 2, waits: (wait, wait) };
        let broker = EmbeddedBroker::start_with(settings, policy).unwrap();
        assert_eq!(broker.failure(), None);
        let deadline = Instant::now() + Duration::from_secs(30);
        let failure = loop {
            assert!(Instant::now() < deadline, "it has not failed");
            // While it is being restarted, nobody listens.
            if let Ok(mut client) = std::net::TcpStream::connect(broker.listen) {
                let _sent = std::io::Write::write_all(&mut client, REFUSED);
                let _closed = std::io::Read::read(&mut client, &mut [0; 16]);
            }
            if let Some(failure) = broker.failure() {
                break failure;
            }
        };
        assert!(failure.contains("2 times") && failure.contains("a client sent"), "{failure}");
    }

    #[test]
    fn compares_whole_strings() {
        assert!(same("abc", "abc") && same("", ""));
        assert!(!same("abc", "abd") && !same("abc", "ab") && !same("", "a"));
    }
}
