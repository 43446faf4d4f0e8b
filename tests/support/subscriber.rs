//! A client that notes everything it receives, as `mosquitto_sub -v` would print it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use rumqttc::{Client, Event, MqttOptions, Packet, QoS};

use super::PATIENCE;

/// A received message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Received {
    pub topic: String,
    pub body: String,
    /// Whether the broker had kept it from before we subscribed.
    pub retained: bool,
}

#[derive(Default)]
struct Notes {
    received: Vec<Received>,
    /// How many subscriptions the broker has confirmed, over all connections.
    subscribed: usize,
}

/// A client that subscribes anew at every connection, until dropped.
pub struct Subscriber {
    client: Client,
    notes: Arc<(Mutex<Notes>, Condvar)>,
    patience: Duration,
}

impl Subscriber {
    /// Connects to the loopback and returns once the subscription stands.
    pub fn new(port: u16, filter: &str) -> Self {
        Self::with(port, filter, QoS::AtLeastOnce, |_| {})
    }

    /// The same, with another quality of service and other options (credentials).
    pub fn with(port: u16, filter: &str, qos: QoS, change: impl FnOnce(&mut MqttOptions)) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let name = format!("subscriber-{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut options = MqttOptions::new(name, "127.0.0.1", port);
        options.set_max_packet_size(1 << 20, 1 << 20);
        change(&mut options);
        let (client, mut connection) = Client::new(options, 16);
        let notes = Arc::new((Mutex::new(Notes::default()), Condvar::new()));
        let (filter, subscriber, weak) = (filter.to_owned(), client.clone(), Arc::downgrade(&notes));
        std::thread::spawn(move || {
            for event in connection.iter() {
                let Some(notes) = weak.upgrade() else { return };
                match event {
                    Ok(Event::Incoming(Packet::ConnAck(_))) => {
                        subscriber.subscribe(&filter, qos).unwrap();
                    }
                    Ok(Event::Incoming(Packet::SubAck(_))) => notes.0.lock().unwrap().subscribed += 1,
                    Ok(Event::Incoming(Packet::Publish(publish))) => {
                        notes.0.lock().unwrap().received.push(Received {
                            topic: publish.topic,
                            body: String::from_utf8(publish.payload.to_vec()).unwrap(),
                            retained: publish.retain,
                        });
                    }
                    Ok(_) => {}
                    Err(_) => std::thread::sleep(Duration::from_millis(20)), // between two attempts to connect
                }
                notes.1.notify_all();
            }
        });
        let subscriber = Self { client, notes, patience: PATIENCE };
        subscriber.wait_subscribed(1);
        subscriber
    }

    /// Waits so long for everything from here on, where it comes from something slow.
    pub fn patient(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Waits until the subscription has been confirmed for the `times`th time.
    pub fn wait_subscribed(&self, times: usize) {
        self.wait("a subscription", |notes| (notes.subscribed >= times).then_some(()));
    }

    /// Waits until `found` gives something for what has been received so far.
    pub fn until<T>(&self, what: &str, found: impl Fn(&[Received]) -> Option<T>) -> T {
        self.wait(what, |notes| found(&notes.received))
    }

    /// Waits for a message on a topic whose body is accepted.
    pub fn message(&self, topic: &str, accepted: impl Fn(&str) -> bool) -> Received {
        self.until(topic, |received| received.iter().find(|m| m.topic == topic && accepted(&m.body)).cloned())
    }

    /// Forgets what has been received so far and gives it.
    pub fn take(&self) -> Vec<Received> {
        std::mem::take(&mut self.notes.0.lock().unwrap().received)
    }

    /// Publishes something itself.
    pub fn say(&self, topic: &str, retained: bool, body: &str) {
        self.client.publish(topic, QoS::AtLeastOnce, retained, body).unwrap();
    }

    fn wait<T>(&self, what: &str, found: impl Fn(&Notes) -> Option<T>) -> T {
        let deadline = Instant::now() + self.patience;
        let mut notes = self.notes.0.lock().unwrap();
        loop {
            if let Some(found) = found(&notes) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "waited in vain for {what}; received: {:#?}", notes.received);
            notes = self.notes.1.wait_timeout(notes, left).unwrap().0;
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        let _gone_before = self.client.try_disconnect();
    }
}
