//! Messages to an MQTT broker, through a thread of their own.

mod diagnosis;
pub mod inbox;
pub(in crate::publish) mod session;
mod tls;
pub mod watch;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::publish::embedded::{EmbeddedBroker, EmbeddedSettings};
use crate::publish::mqtt::inbox::{CommandSink, Inbox};
use crate::publish::mqtt::session::{LARGEST_MESSAGE, Shared, Worker};
use crate::publish::queue::disk_worker::DiskWorker;
use crate::publish::queue::durable::DurableQueue;
use crate::publish::queue::outbox::Outgoing;
use crate::publish::settings::{Address, Broker, MqttSettings};
use crate::publish::{Counters, Publisher};
use emotiond_core::report::payload::Message;

/// The part of a good-bye that is left to the disk.
const LAST_WRITE: Duration = Duration::from_millis(500);

/// Publishes at QoS 1 and keeps what the broker has not acknowledged.
///
/// At every connection it subscribes to commands and announces, retained: `status` (`online`; `offline` is the last
/// will), Home Assistant's discovery message, and the last `info` and `pause/state` that were published.
pub struct MqttPublisher {
    shared: Arc<Shared>,
    settings: MqttSettings,
    address: Address,
    thread: Option<JoinHandle<()>>,
    embedded: Option<EmbeddedBroker>,
}

impl MqttPublisher {
    /// Starts the publisher's thread, and the embedded broker if that is the one, and returns at once: a broker that
    /// is not there is reported in the log and tried again until it is. Commands go to `commands`.
    ///
    /// # Errors
    /// If the certificates cannot be read, or the embedded broker cannot listen.
    pub fn start(settings: MqttSettings, commands: CommandSink) -> anyhow::Result<Self> {
        let (address, embedded) = match &settings.broker {
            Broker::Remote(address) => (address.clone(), None),
            Broker::Embedded => {
                let embedded = EmbeddedBroker::start(EmbeddedSettings {
                    listen: settings.embedded_listen,
                    credentials: settings.credentials.clone(),
                })?;
                (embedded.address(), Some(embedded))
            }
        };
        if address.tls {
            tls::client_config(&settings.tls)?;
        }
        let limit = settings.durable.as_ref().map(|durable| durable.limit);
        let shared = Arc::new(Shared::new(DurableQueue::new(settings.queue, limit)));
        {
            let mut state = shared.lock();
            if settings.announce {
                state.queue.push(Outgoing::new(Message::status(true), &settings.device), Instant::now());
            }
            if let Some(discovery) = &settings.discovery {
                state
                    .queue
                    .push(Outgoing::state(discovery.topic.clone(), discovery.body.clone()), Instant::now());
            }
        }
        let worker = Worker {
            shared: Arc::clone(&shared),
            address: address.clone(),
            inbox: settings.commands.then(|| Inbox::new(&settings.device, commands, Instant::now())),
            settings: settings.clone(),
        };
        let thread = std::thread::Builder::new()
            .name("publisher".into())
            .spawn(move || worker.run())
            .context("failed to start the publisher's thread")?;
        if let Some(durable) = &settings.durable {
            let keeper = DiskWorker::new(Arc::clone(&shared), durable.directory.clone());
            std::thread::Builder::new()
                .name("queue".into())
                .spawn(move || keeper.run())
                .context("failed to start the queue's thread")?;
        }
        Ok(Self { shared, settings, address, thread: Some(thread), embedded })
    }

    /// Where the broker is; tells the port of an embedded one.
    #[must_use]
    pub fn address(&self) -> &Address {
        &self.address
    }

    /// Waits until the broker has accepted us, or until `within` has passed; gives whether it has.
    #[must_use]
    pub fn wait_connected(&self, within: Duration) -> bool {
        self.shared.wait(within, |state| state.live.is_some()).live.is_some()
    }

    fn end_thread(&mut self, within: Duration) {
        let ended = self.shared.wait(within, |state| state.ended).ended;
        let Some(thread) = self.thread.take().filter(|_| ended) else {
            // It waits for the network, with bounds of its own, and holds nothing that anybody else waits for.
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
            // No broker would be the better for it, and the client would cut the connection over it, for ever.
            bail!("a message of {} bytes is too large to be published", message.body.len());
        }
        let message = Outgoing::new(message, &self.settings.device);
        if !rumqttc::valid_topic(&message.topic) {
            bail!("{:?} cannot be published on: a name in it has a \"+\" or \"#\"", message.topic);
        }
        let mut state = self.shared.lock();
        if state.stop {
            bail!("the connection to the broker has been closed for good");
        }
        state.queue.push(message, Instant::now());
        state.pump();
        drop(state);
        self.shared.changed.notify_all();
        Ok(())
    }

    fn flush(&mut self, within: Duration) -> anyhow::Result<usize> {
        let state = self.shared.wait(within, |state| state.ended || state.queue.waiting() == 0);
        Ok(state.queue.waiting())
    }

    /// Publishes `offline`, waits for all acknowledgements, disconnects. If they do not come in time, the connection is
    /// dropped without a good-bye instead: the broker then publishes `offline` itself. What is left of the summaries is
    /// written to disk, where there is one.
    fn close(&mut self, within: Duration) -> anyhow::Result<usize> {
        let deadline = Instant::now() + within;
        let mut state = self.shared.lock();
        if !state.stop {
            state.stop = true;
            if self.settings.announce {
                state
                    .queue
                    .push(Outgoing::new(Message::status(false), &self.settings.device), Instant::now());
            }
            state.pump();
        }
        drop(state);
        self.shared.changed.notify_all();
        let patience = within.saturating_sub(LAST_WRITE);
        let mut state =
            self.shared.wait(patience, |state| state.live.is_none() || state.queue.waiting() == 0);
        let said = state.queue.waiting() == 0
            && state.live.take_if(|client| client.try_disconnect().is_ok()).is_some();
        if said {
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
            log::warn!("the disk does not answer: what is not written yet may be lost");
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
    /// Without [`Publisher::close`] before, the connection ends without a good-bye.
    fn drop(&mut self) {
        self.shared.lock().abandon();
        self.shared.changed.notify_all();
    }
}
