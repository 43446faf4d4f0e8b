//! A hostile broker without a socket: its bytes go through the client library's decoder and state, and what comes of them
//! through the session, as a connection would do it.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::time::Instant;

use rumqttc::{Client, ConnAck, ConnectReturnCode, Event, MqttState, Packet, PubAck, Request};

use super::inbox::{Inbox, refused};
use super::refused::Refused;
use super::session::{LARGEST_INCOMING, Reporter, SessionWorker, Shared};
use crate::publish::home_assistant::announcer::Announcer;
use crate::publish::home_assistant::withdrawal;
use crate::publish::queue::Queue;
use crate::publish::queue::outbox::Outgoing;
use crate::publish::settings::{Address, Broker, MqttSettings};
use emotiond_core::report::payload::{Message, Topic};

/// The most messages that wait in memory; more are dropped and counted.
const QUEUE: usize = 40;
/// How many packets the client library has in flight, its default.
const INFLIGHT: u16 = 100;
/// Sessions of one input.
const SESSIONS: usize = 4;

/// One connection as the library's event loop keeps it.
struct Wire<'a> {
    state: MqttState,
    client: Option<Client>,
    settled: Option<Instant>,
    requests: &'a mut dyn FnMut() -> Option<Request>,
    /// Bodies of summaries as they are sent, and packet ids that wait for an answer.
    sent: Vec<String>,
    unanswered: Vec<u16>,
}

impl Wire<'_> {
    /// Hands what the library has to say to the session; false at its end.
    fn events(&mut self, worker: &mut SessionWorker, reporter: &mut Reporter) -> bool {
        while let Some(event) = self.state.events.pop_front() {
            if !worker.handle(event, &mut self.client, &mut self.settled, reporter) {
                return false;
            }
        }
        true
    }

    /// Sends what the session has asked for, as far as the library lets it.
    fn send(&mut self, worker: &mut SessionWorker, reporter: &mut Reporter) -> bool {
        while self.state.inflight() < INFLIGHT && self.state.collision.is_none() {
            let Some(request) = (self.requests)() else { break };
            let Ok(Some(packet)) = self.state.handle_outgoing_packet(request) else { return false };
            if let Packet::Publish(publish) = packet {
                self.unanswered.push(publish.pkid);
                if publish.topic.ends_with("/summary") {
                    self.sent.push(String::from_utf8(publish.payload.to_vec()).expect("ours is JSON"));
                }
            }
            if !self.events(worker, reporter) {
                return false;
            }
        }
        true
    }

    fn receive(&mut self, packet: Packet, worker: &mut SessionWorker, reporter: &mut Reporter) -> bool {
        // The library reads this one before there is a state.
        if let Packet::ConnAck(ack) = &packet {
            if self.client.is_none() || ack.code != ConnectReturnCode::Success {
                return false;
            }
            self.state.events.push_back(Event::Incoming(packet));
        } else if self.client.is_some() || self.state.handle_incoming_packet(packet).is_err() {
            return false;
        }
        self.events(worker, reporter)
    }
}

/// Sessions with a broker that sends `data`, and one with an honest broker after them. `client` writes to a channel that
/// `requests` reads from. Whatever the first sent: messages stay bounded, and what it has not acknowledged reaches the
/// honest one, in order.
///
/// # Panics
/// If that is broken.
pub fn hostile_broker(client: &Client, requests: &mut dyn FnMut() -> Option<Request>, data: &[u8]) {
    let address = Address { host: "broker".into(), port: 1883, tls: false };
    let settings = MqttSettings::new(Broker::Remote(address.clone()), "hall".parse().expect("a device name"));
    let (daemon, commands) = sync_channel(4);
    let sink = Box::new(move |command| daemon.try_send(command).map_err(refused));
    let shared = Arc::new(Shared::new(Queue::new(QUEUE, None)));
    let device = settings.device.clone();
    let mut discovery =
        withdrawal("homeassistant", &device, &device).expect("the default prefix can stand in a topic");
    discovery.config = Some(serde_json::json!({}));
    shared.lock().announcer = Some(Announcer::new(discovery));
    let mut worker = SessionWorker {
        shared: Arc::clone(&shared),
        address,
        inbox: Some(Inbox::new(&device, sink, Instant::now())),
        settings,
        status: true,
        refused: Refused::default(),
        subscriptions: Vec::new(),
        answered: 0,
    };
    let mut reporter = Reporter::new("broker".into());
    let mut number = 0;
    let mut publish = |shared: &Shared| {
        let mut state = shared.lock();
        let message = Message { topic: Topic::Summary, body: format!("{number:06}") };
        state.queue.push(Outgoing::new(message, &device), Instant::now());
        state.pump();
        number += 1;
    };
    let mut stream = data.into();
    let mut acknowledged = 0;
    for _ in 0..SESSIONS {
        let mut wire = wire(client, requests);
        publish(&shared);
        loop {
            // What is too large or malformed ends the session, and its bytes are gone; what is cut short waits for more.
            let packet = match Packet::read(&mut stream, LARGEST_INCOMING) {
                Ok(packet) => packet,
                Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => break,
                Err(_) => {
                    stream.clear();
                    break;
                }
            };
            acknowledged += u64::from(matches!(packet, Packet::PubAck(_)));
            if !wire.receive(packet, &mut worker, &mut reporter) || !wire.send(&mut worker, &mut reporter) {
                break;
            }
            publish(&shared);
            assert!(commands.try_iter().count() <= 4);
            let state = shared.lock();
            // States and answers come on top of what the queue bounds.
            assert!(state.queue.waiting() <= QUEUE + 8, "{} messages wait", state.queue.waiting());
        }
        hang_up(&shared, requests);
    }
    assert!(shared.lock().queue.delivered() <= acknowledged);

    let mut wire = wire(client, requests);
    let accepted = ConnAck::new(ConnectReturnCode::Success, false);
    assert!(wire.receive(Packet::ConnAck(accepted), &mut worker, &mut reporter));
    while wire.send(&mut worker, &mut reporter) && !wire.unanswered.is_empty() {
        for packet in std::mem::take(&mut wire.unanswered) {
            assert!(wire.receive(Packet::PubAck(PubAck::new(packet)), &mut worker, &mut reporter));
        }
    }
    assert_eq!(shared.lock().queue.waiting(), 0, "messages are stuck");
    assert!(wire.sent.is_sorted() && wire.sent.len() <= QUEUE, "{:?}", wire.sent);
    if acknowledged == 0 {
        assert_eq!(wire.sent.len(), number.min(QUEUE), "summaries are lost");
    }
    hang_up(&shared, requests);
}

fn wire<'a>(client: &Client, requests: &'a mut dyn FnMut() -> Option<Request>) -> Wire<'a> {
    Wire {
        state: MqttState::new(INFLIGHT, false),
        client: Some(client.clone()),
        settled: None,
        requests,
        sent: Vec::new(),
        unanswered: Vec::new(),
    }
}

/// The end of a connection, and of what the library still held of it.
fn hang_up(shared: &Shared, requests: &mut dyn FnMut() -> Option<Request>) {
    let mut state = shared.lock();
    state.live = None;
    state.queue.disconnected(Instant::now());
    while requests().is_some() {}
}
