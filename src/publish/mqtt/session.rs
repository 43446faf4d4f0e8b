//! The thread that owns the connection: one session after the other, with waits between them.
//!
//! Every session starts with a client of its own and a clean session at the broker. What is to be sent, and sent again,
//! is decided by the queue alone: the client library forgets its unacknowledged messages when the broker does not
//! remember the session, and would deliver them out of our order when it does.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rumqttc::{
    Client, Event, LastWill, MqttOptions, NetworkOptions, Outgoing as Wire, Packet, Publish, QoS,
    SubscribeFilter, SubscribeReasonCode, Transport,
};

use super::diagnosis::{ConnectFailure, Diagnosis, client_id, diagnose};
use super::inbox::Inbox;
use super::refused::Refused;
use super::tls;
use crate::publish::home_assistant::announcer::Announcer;
use crate::publish::queue::disk_worker::QueueOwner;
use crate::publish::queue::outbox::{Outbox, Outgoing};
use crate::publish::queue::{DiskJob, DiskResult, Queue};
use crate::publish::settings::{Address, MqttSettings};
use emotiond_core::backoff::Backoff;
use emotiond_core::report::payload::{Message, Topic};

/// The largest message that is sent. Summaries have about 1 KiB, Home Assistant's announcement about 10.
pub(super) const LARGEST_MESSAGE: usize = 256 * 1024;
/// The largest message that is read at all. Commands beyond their own, smaller bound are refused with a reason; a message
/// beyond this one ends the connection, because MQTT 3.1.1 has no way to refuse a message, and the next session does
/// without the subscription that brought it ([`Refused`]). Our own announcement is read back.
pub(super) const LARGEST_INCOMING: usize = 1024 * 1024;
/// How long an attempt to connect may take, name lookup and TLS included.
const CONNECT_TIMEOUT_S: u64 = 10;
/// A session shorter than this counts as a failed attempt, so that two devices with one name do not disconnect each
/// other as fast as they can.
const SETTLED: Duration = Duration::from_secs(10);

/// What the publisher's handle and its thread share.
pub(super) struct Shared {
    pub state: Mutex<SessionState>,
    /// Signalled whenever `state` has changed.
    pub changed: Condvar,
}

pub(super) struct SessionState {
    pub queue: Queue,
    /// What Home Assistant is told of the device.
    pub announcer: Option<Announcer>,
    /// The client of the current connection, once the broker has accepted it.
    pub live: Option<Client>,
    /// No further connection is to be made.
    pub stop: bool,
    /// The current one is to be dropped without DISCONNECT.
    pub hang_up: bool,
    /// The thread has ended.
    pub ended: bool,
    pub connections: u64,
}

impl Shared {
    pub fn new(queue: Queue) -> Self {
        Self {
            state: Mutex::new(SessionState {
                queue,
                announcer: None,
                live: None,
                stop: false,
                hang_up: false,
                ended: false,
                connections: 0,
            }),
            changed: Condvar::new(),
        }
    }

    /// The state. It stays usable if a thread died with it: every change to it is complete in itself.
    pub fn lock(&self) -> MutexGuard<'_, SessionState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `done`, or until `within` has passed.
    pub fn wait(
        &self,
        within: Duration,
        done: impl Fn(&SessionState) -> bool,
    ) -> MutexGuard<'_, SessionState> {
        let waited = self.changed.wait_timeout_while(self.lock(), within, |state| !done(state));
        waited.unwrap_or_else(PoisonError::into_inner).0
    }
}

impl QueueOwner for Shared {
    fn wait_for_job(&self) -> Option<DiskJob> {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            if let Some(job) = state.queue.job(now) {
                return Some(job);
            }
            if state.queue.ended() {
                return None;
            }
            state = match state.queue.deadline(now) {
                Some(deadline) => {
                    let waited = self.changed.wait_timeout(state, deadline.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn finish(&self, result: DiskResult) {
        let mut state = self.lock();
        state.queue.done(result, Instant::now());
        state.pump();
        drop(state);
        self.changed.notify_all();
    }
}

impl SessionState {
    /// Hands to the client what may be sent now.
    pub fn pump(&mut self) {
        let Some(client) = &self.live else { return };
        while let Some(message) = self.queue.next() {
            let sent = client.try_publish(
                &message.topic,
                QoS::AtLeastOnce,
                message.retained,
                message.body.as_bytes(),
            );
            if sent.is_err() {
                // The session is ending: the message is in the queue and will be sent in the next one.
                break;
            }
        }
    }

    /// The broker has shown that it is there: sends what Home Assistant is to be told by now, and what waited for room.
    fn announce_what_is_due(&mut self) {
        let due = self.announcer.as_mut().and_then(|announcer| announcer.acknowledged(Instant::now()));
        self.send(due);
    }

    /// Takes messages in and hands to the client what may be sent now.
    pub fn send(&mut self, messages: impl IntoIterator<Item = Outgoing>) {
        for message in messages {
            self.queue.push(message, Instant::now());
        }
        self.pump();
    }

    /// Drops the connection without DISCONNECT, so that the broker publishes the last will.
    pub fn abandon(&mut self) {
        self.stop = true;
        self.hang_up = true;
        self.queue.disconnected(Instant::now());
        self.queue.stop();
        if let Some(client) = self.live.take() {
            // The thread sleeps until a packet or a request comes: this is the request that changes nothing. If there
            // is no room for it, there are others to wake the thread.
            let _full = client.try_unsubscribe("emotiond/none");
        }
    }
}

/// The work of the publisher's thread.
pub(super) struct SessionWorker {
    pub shared: Arc<Shared>,
    pub settings: MqttSettings,
    /// Whether `status` is announced.
    pub status: bool,
    pub refused: Refused,
    /// The packet ids of this connection's subscriptions, in the order of `Self::subscribe`.
    pub subscriptions: Vec<u16>,
    /// How many of them the broker has answered.
    pub answered: usize,
    pub address: Address,
    pub inbox: Option<Inbox>,
}

impl SessionWorker {
    /// Connects again and again until it is stopped.
    pub fn run(mut self) {
        let (shortest, longest) = self.settings.retry;
        let mut backoff = Backoff::new(shortest, longest);
        let mut reporter = Reporter::new(self.address.to_string());
        loop {
            let mut settled = None;
            let outcome = self.session(&mut reporter, &mut settled);
            let mut state = self.shared.lock();
            state.live = None;
            state.queue.disconnected(Instant::now());
            let (stop, waiting, dropped) = (state.stop, state.queue.waiting(), state.queue.dropped().total());
            drop(state);
            self.shared.changed.notify_all();
            let Some(failure) = outcome.err().filter(|_| !stop) else { break };
            let lasted = settled.map(|since: Instant| since.elapsed());
            let answered = self.answered == self.subscriptions.len();
            self.refused = self.refused.after(&failure, lasted.is_some(), answered);
            if lasted.is_some_and(|lasted| lasted >= SETTLED) {
                backoff.reset();
            }
            let diagnosis = diagnose(&failure, &self.address, &self.settings);
            reporter.failed(Instant::now(), &diagnosis, waiting, dropped);
            if self.shared.wait(backoff.next(fastrand::f64()), |state| state.stop).stop {
                break;
            }
        }
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
    }

    /// One connection from its beginning to its end; `Ok` if it was ended from here.
    fn session(
        &mut self,
        reporter: &mut Reporter,
        settled: &mut Option<Instant>,
    ) -> Result<(), ConnectFailure> {
        let options = self.options()?;
        let (client, mut connection) = Client::new(options, Outbox::WINDOW + 8);
        let mut network = NetworkOptions::new();
        network.set_connection_timeout(CONNECT_TIMEOUT_S);
        network.set_tcp_nodelay(true);
        connection.eventloop.set_network_options(network);
        // Until the broker accepts us, this thread alone holds the client.
        let mut client = Some(client);
        self.subscriptions.clear();
        self.answered = 0;
        loop {
            let event = match connection.recv() {
                Ok(Ok(event)) => event,
                Ok(Err(error)) => {
                    return Err(ConnectFailure::Connection {
                        error: error.into(),
                        established: settled.is_some(),
                    });
                }
                // All senders of requests are gone, which the event loop, holding one itself, does not let happen.
                Err(rumqttc::RecvError) => return Ok(()),
            };
            if self.shared.lock().hang_up {
                return Ok(());
            }
            if !self.handle(event, &mut client, settled, reporter) {
                return Ok(());
            }
        }
    }

    /// What becomes of one thing that the client library has read or written; `false` ends the session. `client` is
    /// taken once the broker has accepted us, and `settled` says when that was.
    pub fn handle(
        &mut self,
        event: Event,
        client: &mut Option<Client>,
        settled: &mut Option<Instant>,
        reporter: &mut Reporter,
    ) -> bool {
        match event {
            Event::Incoming(Packet::ConnAck(_)) => {
                if let Some(client) = client.take() {
                    *settled = Some(Instant::now());
                    return self.welcome(client, reporter);
                }
            }
            Event::Outgoing(Wire::Publish(packet)) => self.shared.lock().queue.sent(packet),
            Event::Incoming(Packet::PubAck(ack)) => {
                let mut state = self.shared.lock();
                state.queue.acknowledged(ack.pkid, Instant::now());
                state.announce_what_is_due();
                drop(state);
                self.shared.changed.notify_all();
            }
            Event::Incoming(Packet::Publish(publish)) => self.receive(&publish),
            Event::Outgoing(Wire::Subscribe(packet)) => self.subscriptions.push(packet),
            Event::Incoming(Packet::SubAck(ack)) => {
                self.answered += 1;
                if !ack.return_codes.contains(&SubscribeReasonCode::Failure) {
                    return true;
                }
                let commands = self.inbox.is_some() && !self.refused.commands;
                if commands && self.subscriptions.first() == Some(&ack.pkid) {
                    log::warn!(
                        "the broker does not let us subscribe to commands: pause and requests will not work; check the rights of this user there"
                    );
                } else {
                    log::debug!("the broker does not let us subscribe to Home Assistant's topics");
                }
            }
            Event::Incoming(Packet::PingResp) => self.shared.lock().announce_what_is_due(),
            Event::Outgoing(Wire::Disconnect) => return false,
            _ => {}
        }
        true
    }

    fn options(&self) -> Result<MqttOptions, ConnectFailure> {
        let settings = &self.settings;
        let mut options =
            MqttOptions::new(client_id(&settings.device), &self.address.host, self.address.port);
        options.set_clean_session(true);
        options.set_keep_alive(settings.keep_alive.max(Duration::from_secs(1)));
        options.set_max_packet_size(LARGEST_INCOMING, LARGEST_MESSAGE + 1024);
        let status = Topic::Status.path(&settings.device);
        if self.status {
            options.set_last_will(LastWill::new(status, "offline", QoS::AtLeastOnce, true));
        }
        if let Some(credentials) = &settings.credentials {
            options.set_credentials(&credentials.username, credentials.password.expose());
        }
        if self.address.tls {
            let config = tls::client_config(&settings.tls).map_err(ConnectFailure::Certificates)?;
            options.set_transport(Transport::tls_with_config(config.into()));
        }
        Ok(options)
    }

    /// The broker has accepted us: listen to commands, announce, deliver. Returns `false` if
    /// the publisher was stopped meanwhile.
    fn welcome(&self, client: Client, reporter: &mut Reporter) -> bool {
        self.subscribe(&client);
        let mut state = self.shared.lock();
        if state.stop {
            return false;
        }
        state.connections += 1;
        state.live = Some(client);
        state.queue.connected();
        let (waiting, dropped) = (state.queue.waiting(), state.queue.dropped().total());
        state.pump();
        drop(state);
        self.shared.changed.notify_all();
        reporter.connected(Instant::now(), waiting, dropped);
        true
    }

    /// Subscribes to commands, and by a packet of its own to Home Assistant's topics, which a broker may refuse.
    fn subscribe(&self, client: &Client) {
        if self.refused.commands {
            log::warn!(
                "somebody sends commands too large to be read: pause and requests will not work until the next connection; look for a retained message on the command topics"
            );
        }
        let commands = self.inbox.iter().filter(|_| !self.refused.commands).flat_map(Inbox::filters);
        let commands: Vec<_> = commands.collect();
        let home_assistant = match &self.shared.lock().announcer {
            Some(announcer) if !self.refused.home_assistant => announcer.filters(),
            _ => Vec::new(),
        };
        for filters in [commands, home_assistant].into_iter().filter(|filters| !filters.is_empty()) {
            let filters = filters.into_iter().map(|filter| SubscribeFilter::new(filter, QoS::AtLeastOnce));
            if client.try_subscribe_many(filters).is_err() {
                log::warn!(
                    "failed to subscribe to commands: pause and requests will not work until the next connection"
                );
            }
        }
    }

    fn receive(&mut self, publish: &Publish) {
        let mut state = self.shared.lock();
        let answers = state.announcer.as_mut().and_then(|announcer| {
            announcer.receive(&publish.topic, &publish.payload, publish.retain, Instant::now())
        });
        if let Some(answers) = answers {
            state.send(answers);
            return;
        }
        drop(state);
        let Some(inbox) = &mut self.inbox else { return };
        if let Some(refusal) = inbox.receive(&publish.topic, &publish.payload, publish.retain, Instant::now())
        {
            self.respond(refusal);
        }
    }

    fn respond(&self, message: Message) {
        self.push(Outgoing::new(message, &self.settings.device));
    }

    fn push(&self, message: Outgoing) {
        self.shared.lock().send([message]);
    }
}

/// Says once what is wrong and once that it is over, and in between only what is new.
pub(super) struct Reporter {
    broker: String,
    failing_since: Option<Instant>,
    reported: Option<(Instant, Diagnosis)>,
    /// Messages dropped before this outage.
    dropped_before: u64,
    ever_connected: bool,
}

impl Reporter {
    /// How often a failure that goes on is mentioned again.
    const REMIND: Duration = Duration::from_secs(3600);

    pub fn new(broker: String) -> Self {
        Self { broker, failing_since: None, reported: None, dropped_before: 0, ever_connected: false }
    }

    fn failed(&mut self, now: Instant, diagnosis: &Diagnosis, waiting: usize, dropped: u64) {
        let since = *self.failing_since.get_or_insert(now);
        let lost = dropped - self.dropped_before;
        let minutes = now.duration_since(since).as_secs() / 60;
        let broker = &self.broker;
        match &self.reported {
            Some((at, reported)) if reported == diagnosis && now.duration_since(*at) < Self::REMIND => {
                log::debug!("still no connection to {broker}: {diagnosis}");
                return;
            }
            Some((_, reported)) if reported == diagnosis => log::warn!(
                "no connection to {broker} for {minutes} minutes: {diagnosis}; {waiting} messages are kept, {lost} were dropped"
            ),
            _ => log::error!(
                "no connection to {broker}: {diagnosis}; messages are kept until there is one, and it is tried again and again"
            ),
        }
        self.reported = Some((now, diagnosis.clone()));
    }

    fn connected(&mut self, now: Instant, waiting: usize, dropped: u64) {
        let broker = &self.broker;
        match self.failing_since.take() {
            Some(since) => {
                let lost = dropped - self.dropped_before;
                let seconds = now.duration_since(since).as_secs();
                let again = if self.ever_connected { " again" } else { "" };
                log::info!(
                    "connected to {broker}{again} after {seconds} s; {waiting} messages are being sent, {lost} were dropped"
                );
            }
            None => log::info!("connected to {broker}"),
        }
        self.reported = None;
        self.dropped_before = dropped;
        self.ever_connected = true;
    }
}
