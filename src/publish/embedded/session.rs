//! What the broker holds for one client.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::limits::{
    INFLIGHT, LONGEST_SILENCE, OUTPUT, PACKETS_A_SECOND, PACKETS_AT_ONCE, QUEUE, QUEUE_BYTES, STALLED,
    SUBSCRIPTION_BYTES, SUBSCRIPTIONS,
};
use super::packet::{Publish, QoS, write_publish};
use super::retained::{BrokerMessage, Retained};
use super::topic;

/// A message that waits for a client.
struct Queued {
    message: Rc<BrokerMessage>,
    qos: QoS,
}

struct Subscription {
    filter: Rc<str>,
    qos: QoS,
}

/// How far the retained messages of a new subscription have been sent: they are read as the client takes them.
struct Replay {
    filter: Rc<str>,
    qos: QoS,
    after: Option<Rc<BrokerMessage>>,
}

pub(super) struct ClientSession {
    pub client_id: Rc<str>,
    pub address: IpAddr,
    /// The daemon's own.
    pub own: bool,
    pub will: Option<(Rc<BrokerMessage>, bool)>,
    /// Wakes the connection's task.
    pub wake: Rc<Notify>,
    /// The last packet of the client, and how long it may be silent.
    pub heard: Instant,
    silence: Duration,
    subscriptions: Vec<Subscription>,
    queue: VecDeque<Queued>,
    queue_bytes: usize,
    replays: VecDeque<Replay>,
    /// Since when the client has taken nothing of what waits.
    waits_since: Option<Instant>,
    /// Ids of messages at QoS 1 that the client has not acknowledged.
    inflight: Vec<u16>,
    last_id: u16,
    /// Ids of messages at QoS 2 that the client has not released.
    pub unreleased: Vec<u16>,
    tokens: u32,
    refilled: Instant,
}

impl ClientSession {
    pub fn new(client_id: &str, address: IpAddr, own: bool, keep_alive: u16, now: Instant) -> Self {
        let silence = match keep_alive {
            0 => LONGEST_SILENCE,
            seconds => (Duration::from_secs(seconds.into()) * 3 / 2).min(LONGEST_SILENCE),
        };
        Self {
            client_id: client_id.into(),
            address,
            own,
            will: None,
            wake: Rc::default(),
            heard: now,
            silence,
            subscriptions: Vec::new(),
            queue: VecDeque::new(),
            queue_bytes: 0,
            replays: VecDeque::new(),
            waits_since: None,
            inflight: Vec::new(),
            last_id: 0,
            unreleased: Vec::new(),
            tokens: PACKETS_AT_ONCE,
            refilled: now,
        }
    }

    fn subscribes(&self) -> bool {
        !self.subscriptions.is_empty()
    }

    /// Takes a subscription, or puts it in place of the one with the same filter. `None` if there is no room.
    pub fn subscribe(&mut self, filter: &str, qos: QoS) -> Option<QoS> {
        let qos = qos.min(QoS::AtLeastOnce);
        let filter: Rc<str> =
            match self.subscriptions.iter_mut().find(|subscription| &*subscription.filter == filter) {
                Some(known) => {
                    known.qos = qos;
                    Rc::clone(&known.filter)
                }
                None => {
                    let bytes: usize = self.subscriptions.iter().map(|known| known.filter.len()).sum();
                    if self.subscriptions.len() >= SUBSCRIPTIONS || bytes + filter.len() > SUBSCRIPTION_BYTES
                    {
                        return None;
                    }
                    let filter: Rc<str> = filter.into();
                    self.subscriptions.push(Subscription { filter: Rc::clone(&filter), qos });
                    filter
                }
            };
        self.replays.retain(|replay| replay.filter != filter);
        self.replays.push_back(Replay { filter, qos, after: None });
        Some(qos)
    }

    pub fn unsubscribe(&mut self, filter: &str) {
        self.subscriptions.retain(|subscription| &*subscription.filter != filter);
        self.replays.retain(|replay| &*replay.filter != filter);
    }

    /// Queues a message if the client has subscribed to it. Gives whether others had to go for it.
    pub fn offer(&mut self, message: &Rc<BrokerMessage>, now: Instant) -> bool {
        let matching =
            self.subscriptions.iter().filter(|known| topic::matches(&known.filter, &message.topic));
        let Some(granted) = matching.map(|known| known.qos).max() else { return false };
        self.queue_bytes += message.bytes();
        self.queue.push_back(Queued { message: Rc::clone(message), qos: granted.min(message.qos) });
        self.waits_since.get_or_insert(now);
        let mut dropped = false;
        while self.queue.len() > QUEUE || (self.queue_bytes > QUEUE_BYTES && self.queue.len() > 1) {
            if let Some(oldest) = self.queue.pop_front() {
                self.queue_bytes -= oldest.message.bytes();
                dropped = true;
            }
        }
        self.wake.notify_one();
        dropped
    }

    /// The bytes of what waits, of filters and of ids.
    #[cfg(any(test, feature = "harness"))]
    pub fn held(&self) -> usize {
        let queued: usize = self.queue.iter().map(|queued| queued.message.bytes()).sum();
        assert_eq!(queued, self.queue_bytes, "the account of what waits");
        let filters: usize = self.subscriptions.iter().map(|known| known.filter.len()).sum();
        let will = self.will.as_ref().map_or(0, |(will, _)| will.bytes());
        queued + filters + will + 2 * (self.inflight.len() + self.unreleased.len())
    }

    /// Appends what the client may be sent now, until `out` is full.
    pub fn fill(&mut self, out: &mut Vec<u8>, retained: &Retained, now: Instant) {
        while out.len() < OUTPUT {
            if let Some(next) = self.queue.front() {
                if next.qos != QoS::AtMostOnce && self.inflight.len() >= INFLIGHT {
                    break;
                }
                let Some(next) = self.queue.pop_front() else { break };
                self.queue_bytes -= next.message.bytes();
                self.write(out, &next.message, next.qos, false);
            } else if let Some(replay) = self.replays.front_mut() {
                let after = replay.after.as_ref().map(|message| &*message.topic);
                match retained.next(&replay.filter, after) {
                    None => drop(self.replays.pop_front()),
                    Some(message) => {
                        let qos = replay.qos.min(message.qos);
                        if qos != QoS::AtMostOnce && self.inflight.len() >= INFLIGHT {
                            break;
                        }
                        replay.after = Some(Rc::clone(message));
                        self.write(out, &Rc::clone(message), qos, true);
                    }
                }
            } else {
                break;
            }
            self.waits_since = Some(now);
        }
        if self.queue.is_empty() && self.replays.is_empty() {
            self.waits_since = None;
        }
    }

    fn write(&mut self, out: &mut Vec<u8>, message: &BrokerMessage, qos: QoS, retain: bool) {
        let id = if qos == QoS::AtMostOnce { 0 } else { self.next_id() };
        let publish = Publish { topic: &message.topic, payload: &message.payload, qos, retain, id };
        write_publish(out, &publish);
    }

    fn next_id(&mut self) -> u16 {
        loop {
            self.last_id = self.last_id.checked_add(1).unwrap_or(1);
            if !self.inflight.contains(&self.last_id) {
                self.inflight.push(self.last_id);
                return self.last_id;
            }
        }
    }

    pub fn acknowledged(&mut self, id: u16) {
        self.inflight.retain(|known| *known != id);
    }

    /// Spends some of what the client may send. Below zero it stays zero.
    pub fn spend(&mut self, packets: usize) {
        if !self.own {
            self.tokens = self.tokens.saturating_sub(u32::try_from(packets).unwrap_or(u32::MAX));
        }
    }

    /// When the client may send again, if not now.
    pub fn pause(&mut self, now: Instant) -> Option<Instant> {
        let passed = now.saturating_duration_since(self.refilled).as_millis();
        let earned = u32::try_from(passed * u128::from(PACKETS_A_SECOND) / 1000).unwrap_or(u32::MAX);
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(PACKETS_AT_ONCE);
            self.refilled = now;
        }
        (self.tokens == 0).then(|| now + Duration::from_secs(1) / PACKETS_A_SECOND)
    }

    /// When the connection ends if nothing happens until then, and whether that is because the client takes nothing.
    pub fn deadline(&self) -> (Instant, bool) {
        let silent = self.heard + self.silence;
        match self.waits_since.map(|since| since + STALLED) {
            Some(stalled) if stalled < silent => (stalled, true),
            _ => (silent, false),
        }
    }

    /// How much this client deserves its place when another needs one: the lower, the less. Those who subscribe to
    /// nothing go first, then those who do not take what waits for them; nobody else.
    pub fn worth(&self, now: Instant) -> Option<(u8, Instant)> {
        let stalled = self.waits_since.filter(|since| now.duration_since(*since) > Duration::from_secs(5));
        match (self.own, self.subscribes(), stalled) {
            (true, ..) => None,
            (_, false, _) => Some((0, self.heard)),
            (_, true, Some(since)) => Some((1, since)),
            (_, true, None) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_client_that_takes_nothing_has_half_a_minute_and_less_worth() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut session = ClientSession::new("a", IpAddr::V4(Ipv4Addr::LOCALHOST), false, 0, begin);
        let retained = Retained::default();
        session.subscribe("#", QoS::AtLeastOnce);
        session.fill(&mut Vec::new(), &retained, begin);
        assert_eq!(session.deadline(), (begin + LONGEST_SILENCE, false), "nothing waits for it");
        assert_eq!(session.worth(at(1000)), None, "nobody else gets its place");
        let message =
            Rc::new(BrokerMessage { topic: "t".into(), payload: vec![1; 500].into(), qos: QoS::AtLeastOnce });
        for _ in 0..INFLIGHT + 10 {
            session.offer(&message, at(10));
        }
        assert_eq!(session.deadline(), (at(10) + STALLED, true));
        // What it takes at 20 s puts the end off; then it acknowledges nothing, and gets no more.
        let mut taken = Vec::new();
        while session.inflight.len() < INFLIGHT {
            taken.clear();
            session.fill(&mut taken, &retained, at(20));
        }
        session.fill(&mut taken, &retained, at(40));
        assert_eq!(session.deadline(), (at(20) + STALLED, true));
        assert_eq!(session.worth(at(40)).map(|worth| worth.0), Some(1), "another may have its place");
        session.acknowledged(1);
        session.fill(&mut taken, &retained, at(45));
        assert_eq!(session.deadline(), (at(45) + STALLED, true), "an acknowledgement lets it go on");
    }
}
