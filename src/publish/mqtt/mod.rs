//! Messages to an MQTT broker, sent by a thread of their own.

mod diagnosis;
#[cfg(any(test, feature = "harness"))]
pub mod fuzz;
pub mod inbox;
pub mod probe;
mod refused;
mod session;
mod tls;
pub mod watch;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::publish::embedded::{EmbeddedBroker, EmbeddedSettings};
use crate::publish::home_assistant::Discovery;
use crate::publish::home_assistant::announcer::Announcer;
use crate::publish::queue::Queue;
use crate::publish::queue::disk_worker::DiskWorker;
use crate::publish::queue::outbox::Outgoing;
use crate::publish::settings::{Address, Broker, MqttSettings};
use crate::publish::{Counters, Publisher};
pub use diagnosis::Diagnosis;
use emotiond_core::report::payload::Message;
use inbox::{CommandSink, Inbox};
use refused::Refused;
use session::{LARGEST_MESSAGE, SessionWorker, Shared};

/// The part of the time for closing that is left to the disk.
const LAST_WRITE: Duration = Duration::from_millis(500);

/// What the publisher says about the device by itself, at every connection.
#[derive(Clone, Debug, Default)]
pub struct Announcement {
    /// Whether `status` is published and left as the last will; false for a mere try of the connection, which is to
    /// leave nothing behind on the broker.
    pub status: bool,
    /// Retained messages that are to be there when `status` says `online`.
    pub states: Vec<Message>,
    /// What Home Assistant is told of the device; `None` if its topics are not to be touched at all.
    pub discovery: Option<Discovery>,
}

/// Publishes at QoS 1 and keeps what the broker has not acknowledged.
///
/// At every connection it subscribes to commands and announces, retained: `status` (`online`; `offline` is the last
/// will), Home Assistant's discovery message, and the last `info` and `pause/state` that were published.
pub struct MqttPublisher {
    shared: Arc<Shared>,
    settings: MqttSettings,
    /// Whether `status` is announced.
    status: bool,
    address: Address,
    thread: Option<JoinHandle<()>>,
    embedded: Option<EmbeddedBroker>,
}

impl MqttPublisher {
    /// Starts the publisher's thread, and the embedded broker if that is the one, and returns at once: a broker that
    /// is unreachable is reported in the log and tried again until it is reachable. Commands go to `commands`.
    ///
    /// # Errors
    /// If the certificates cannot be read, or the embedded broker cannot listen.
    pub fn start(
        settings: MqttSettings,
        announcement: Announcement,
        commands: CommandSink,
    ) -> anyhow::Result<Self> {
        let Announcement { status, states, discovery } = announcement;
        let (address, embedded) = match &settings.broker {
            Broker::Remote(address) => (address.clone(), None),
            Broker::Embedded => {
                let embedded = EmbeddedBroker::start(EmbeddedSettings {
                    listen: settings.embedded_listen,
                    listener: settings.listener.clone(),
                    credentials: settings.credentials.clone(),
                    device: settings.device.clone(),
                    commands: settings.commands,
                    birth_topic: discovery
                        .as_ref()
                        .filter(|discovery| discovery.config.is_some())
                        .map(|discovery| discovery.birth_topic.clone()),
                    topics: settings.embedded_topics.clone(),
                })?;
                (embedded.address(), Some(embedded))
            }
        };
        if address.tls {
            tls::client_config(&settings.tls)?;
        }
        let limit = settings.durable.as_ref().map(|durable| durable.limit);
        let shared = Arc::new(Shared::new(Queue::new(settings.queue, limit)));
        {
            let mut state = shared.lock();
            for message in states {
                state.queue.push(Outgoing::new(message, &settings.device), Instant::now());
            }
            if status {
                state.queue.push(Outgoing::new(Message::status(true), &settings.device), Instant::now());
            }
            state.announcer = discovery.map(Announcer::new);
        }
        let mut session_settings = settings.clone();
        if let Some(embedded) = &embedded {
            session_settings.credentials = Some(embedded.own_credentials().clone());
        }
        let worker = SessionWorker {
            shared: Arc::clone(&shared),
            address: address.clone(),
            inbox: settings.commands.then(|| Inbox::new(&settings.device, commands, Instant::now())),
            settings: session_settings,
            status,
            refused: Refused::default(),
            subscriptions: Vec::new(),
            answered: 0,
        };
        let thread = std::thread::Builder::new()
            .name("publisher".into())
            .spawn(move || worker.run())
            .context("failed to start the publisher's thread")?;
        if let Some(durable) = &settings.durable {
            let worker = DiskWorker::new(Arc::clone(&shared), durable.directory.clone());
            std::thread::Builder::new()
                .name("queue".into())
                .spawn(move || worker.run())
                .context("failed to start the queue's thread")?;
        }
        Ok(Self { shared, settings, status, address, thread: Some(thread), embedded })
    }

    /// Where the broker is, with the port of an embedded one.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits until the broker has accepted us, or until `within` has passed, and returns whether it has.
    #[must_use]
    pub fn wait_connected(&self, within: Duration) -> bool {
        self.shared.wait(within, |state| state.live.is_some()).live.is_some()
    }

    fn end_thread(&mut self, within: Duration) {
        let ended = self.shared.wait(within, |state| state.ended).ended;
        let Some(thread) = self.thread.take().filter(|_| ended) else {
            // It waits for the network, with time limits of its own, and holds nothing that another thread waits for.
            return;
        };
        if thread.join().is_err() {
            log::error!("the publisher's thread has panicked: this is a bug");
        }
    }
}

impl Publisher for MqttPublisher {
    fn publish(&mut self, message: Message) -> anyhow::Result<()> {
        if message.body.len() > LARGEST_MESSAGE {
            // The client would drop the connection over it, at every attempt to send it.
            bail!("a message of {} bytes is too large to be published", message.body.len());
        }
        let message = Outgoing::new(message, &self.settings.device);
        if !rumqttc::valid_topic(&message.topic) {
            bail!("{:?} cannot be published on: a name in it has a \"+\" or \"#\"", message.topic);
        }
        let mut state = self.shared.lock();
        if state.stop {
            bail!("the connection to the broker has been closed");
        }
        state.queue.push(message, Instant::now());
        state.pump();
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    fn announce(&mut self, discovery: Option<Discovery>) {
        let mut state = self.shared.lock();
        let messages = match (&mut state.announcer, discovery) {
            (Some(announcer), Some(new)) => announcer.replace(new),
            _ => return,
        };
        state.send(messages);
        drop(state);
        self.shared.changed.notify_all();
    }

    fn flush(&mut self, within: Duration) -> anyhow::Result<usize> {
        let state = self.shared.wait(within, |state| state.ended || state.queue.waiting() == 0);
        Ok(state.queue.waiting())
    }

    /// Publishes `offline`, waits for all acknowledgements, disconnects. If they do not come in time, the connection is
    /// dropped without DISCONNECT: the broker then publishes `offline` itself. Summaries that are left are written to
    /// disk, where there is one.
    fn close(&mut self, within: Duration) -> anyhow::Result<usize> {
        let deadline = Instant::now() + within;
        let mut state = self.shared.lock();
        if !state.stop {
            state.stop = true;
            if self.status {
                state
                    .queue
                    .push(Outgoing::new(Message::status(false), &self.settings.device), Instant::now());
            }
            state.pump();
        }
        drop(state);
        self.shared.changed.notify_all();
        let acknowledgements = within.saturating_sub(LAST_WRITE);
        let mut state =
            self.shared.wait(acknowledgements, |state| state.live.is_none() || state.queue.waiting() == 0);
        let disconnected = state.queue.waiting() == 0
            && state.live.take_if(|client| client.try_disconnect().is_ok()).is_some();
        if disconnected {
            state.queue.disconnected(Instant::now());
            state.queue.stop();
        } else {
            state.abandon();
        }
        drop(state);
        self.shared.changed.notify_all();
        let rest = deadline.saturating_duration_since(Instant::now()).max(LAST_WRITE);
        let mut state = self.shared.wait(rest, |state| state.queue.ended());
        if !state.queue.ended() {
            log::warn!("the disk does not respond: summaries that are not written yet may be lost");
        }
        let left = state.queue.unwritten();
        if let Some(kept) = state.queue.on_disk().filter(|kept| *kept > 0) {
            log::info!("{kept} summaries wait on disk for the next start");
        }
        drop(state);
        self.end_thread(deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(100)));
        if let Some(embedded) = self.embedded.take() {
            embedded.stop();
        }
        Ok(left)
    }

    fn counters(&self) -> Counters {
        let mut state = self.shared.lock();
        Counters {
            delivered: state.queue.delivered(),
            waiting: state.queue.waiting(),
            dropped: state.queue.dropped(),
            disk: state.queue.disk(),
            on_disk: state.queue.on_disk(),
            connected: state.live.is_some(),
            connections: state.connections,
        }
    }
}

impl Drop for MqttPublisher {
    /// Without [`Publisher::close`] before, the connection ends without DISCONNECT.
    fn drop(&mut self) {
        self.shared.lock().abandon();
        self.shared.changed.notify_all();
    }
}
