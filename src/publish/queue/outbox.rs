//! Messages on their way to the broker.
//!
//! Pure state, no network: [`Outbox::next`] says what to send, the session reports what became of it. A message leaves
//! only once the broker has acknowledged it; after a broken connection, whatever was not acknowledged is sent again, in
//! order. This can send a message twice, but loses none until the bound is reached: then the least valuable and oldest goes first.
//! Summaries on disk are the business of [`Queue`](super::Queue).

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use emotiond_core::report::payload::{DeviceName, Message, Topic};

/// Messages dropped because the queue was full, by kind.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Dropped {
    /// Summaries: each is a window that no consumer will see.
    pub summaries: u64,
    /// Events.
    pub events: u64,
    /// Health reports, responses and the like.
    pub others: u64,
}

impl Dropped {
    /// All of them.
    #[must_use]
    pub fn total(self) -> u64 {
        self.summaries + self.events + self.others
    }
}

/// Which messages are dropped first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
enum Worth {
    /// Health reports and responses, of no use later.
    Passing,
    /// Events.
    Event,
    /// Summaries: the record.
    Summary,
    /// Retained states: not counted in the bound, because there is one per topic at most.
    State,
}

/// A message with its full topic.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::publish) struct Outgoing {
    pub topic: String,
    pub body: String,
    pub retained: bool,
    worth: Worth,
    pub mark: SpoolMark,
}

/// What the queue notes on a summary.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::publish) struct SpoolMark {
    /// Tells it from the others in memory; goes up with age.
    pub id: u64,
    /// When it was handed over.
    pub since: Option<Instant>,
    /// Its key on disk, if it is there.
    pub key: Option<u64>,
}

impl Outgoing {
    pub fn new(message: Message, device: &DeviceName) -> Self {
        let worth = match message.topic {
            Topic::Summary => Worth::Summary,
            Topic::Event(_) => Worth::Event,
            Topic::Health | Topic::Response(_) => Worth::Passing,
            Topic::Status | Topic::Info | Topic::PauseState | Topic::CameraState | Topic::TriggerState(_) => {
                Worth::State
            }
        };
        Self {
            topic: message.topic.path(device),
            body: message.body,
            retained: message.topic.retained(),
            worth,
            mark: SpoolMark::default(),
        }
    }

    /// A summary as it comes back from disk, under the topic it was written for.
    pub fn summary(topic: String, body: String, mark: SpoolMark) -> Self {
        Self { topic, body, retained: false, worth: Worth::Summary, mark }
    }

    pub fn is_summary(&self) -> bool {
        self.worth == Worth::Summary
    }

    /// A retained message on a topic of another's tree (Home Assistant's discovery).
    pub fn state(topic: String, body: String) -> Self {
        Self { topic, body, retained: true, worth: Worth::State, mark: SpoolMark::default() }
    }

    /// A message of the moment on such a topic.
    pub fn passing(topic: String, body: String) -> Self {
        Self { topic, body, retained: false, worth: Worth::Passing, mark: SpoolMark::default() }
    }
}

#[derive(Debug)]
pub(in crate::publish) struct Outbox {
    /// The most messages kept, states aside.
    limit: usize,
    /// The latest of each state, to be announced at every connection.
    states: BTreeMap<String, String>,
    /// Not sent on this connection yet.
    waiting: VecDeque<Outgoing>,
    /// Sent, in this order, and not acknowledged; the packet id is unknown until the client has chosen it.
    in_flight: VecDeque<(Outgoing, Option<u16>)>,
    connected: bool,
    dropped: Dropped,
    delivered: u64,
}

impl Outbox {
    /// How many messages may be in flight at once. Well under the number of packet ids of the client (100), so that a
    /// broker which acknowledges out of order never makes two messages share one.
    pub const WINDOW: usize = 20;
    /// The most summaries taken from the disk at a time: enough to keep the broker busy while more are read.
    pub const SUMMARIES: usize = 64;

    pub fn new(limit: usize) -> Self {
        Self {
            limit: limit.max(1),
            states: BTreeMap::new(),
            waiting: VecDeque::new(),
            in_flight: VecDeque::new(),
            connected: false,
            dropped: Dropped::default(),
            delivered: 0,
        }
    }

    /// Takes a message in.
    pub fn push(&mut self, message: Outgoing) {
        if message.worth == Worth::State {
            self.states.insert(message.topic.clone(), message.body.clone());
            if !self.connected {
                return; // announced at the next connection
            }
            let unsent = self
                .waiting
                .iter_mut()
                .find(|waiting| waiting.worth == Worth::State && waiting.topic == message.topic);
            match unsent {
                Some(older) => older.body = message.body,
                None => self.waiting.push_back(message),
            }
            return;
        }
        self.waiting.push_back(message);
        let counted = self.waiting.iter().chain(self.in_flight.iter().map(|(message, _)| message));
        if counted.filter(|message| message.worth != Worth::State).count() > self.limit {
            self.drop_least();
        }
    }

    /// Drops the least valuable of the waiting messages, the oldest of its kind.
    fn drop_least(&mut self) {
        let least = self.waiting.iter().map(|message| message.worth).min().expect("a message was just added");
        let oldest =
            self.waiting.iter().position(|message| message.worth == least).expect("it is one of them");
        self.waiting.remove(oldest);
        match least {
            Worth::Summary => self.dropped.summaries += 1,
            Worth::Event => self.dropped.events += 1,
            Worth::Passing => self.dropped.others += 1,
            Worth::State => {
                unreachable!("more than `limit` messages that are no states, but none of them waiting")
            }
        }
    }

    /// The broker has accepted a connection: states are announced before anything else, and `status` after the others, so
    /// that whoever sees the device come finds them as they are.
    pub fn connected(&mut self) {
        debug_assert!(self.in_flight.is_empty(), "disconnected() comes between two connections");
        self.connected = true;
        let (status, others): (Vec<_>, Vec<_>) =
            self.states.iter().rev().partition(|(topic, _)| topic.ends_with("/status"));
        for (topic, body) in status.into_iter().chain(others) {
            self.waiting.push_front(Outgoing::state(topic.clone(), body.clone()));
        }
    }

    /// The connection is lost: what was in flight will be sent again, before what came later.
    pub fn disconnected(&mut self) {
        self.connected = false;
        while let Some((message, _)) = self.in_flight.pop_back() {
            self.waiting.push_front(message);
        }
        self.waiting.retain(|message| message.worth != Worth::State);
    }

    /// The next message to send now, if there is one and room for it in flight.
    pub fn next(&mut self) -> Option<&Outgoing> {
        if !self.connected || self.in_flight.len() >= Self::WINDOW {
            return None;
        }
        let message = self.waiting.pop_front()?;
        self.in_flight.push_back((message, None));
        self.in_flight.back().map(|(message, _)| message)
    }

    /// The client has written the oldest unnumbered message to the wire under this packet id.
    pub fn sent(&mut self, packet: u16) {
        if let Some((_, id)) = self.in_flight.iter_mut().find(|(_, id)| id.is_none()) {
            *id = Some(packet);
        }
    }

    /// The broker has taken over the message with this packet id, which is returned.
    pub fn acknowledged(&mut self, packet: u16) -> Option<Outgoing> {
        let at = self.in_flight.iter().position(|(_, id)| *id == Some(packet))?;
        self.delivered += 1;
        let message = self.in_flight.remove(at).map(|(message, _)| message)?;
        // A state that was taken away is away: no need to do so at every connection.
        if message.worth == Worth::State && message.body.is_empty() {
            self.states.retain(|topic, body| *topic != message.topic || !body.is_empty());
        }
        Some(message)
    }

    pub fn is_connected(&self) -> bool {
        self.connected
    }

    /// How many more summaries may come from the disk, so that none of them has to be dropped here.
    pub fn room(&self) -> usize {
        let waiting = self.waiting.iter().filter(|message| message.is_summary()).count();
        self.limit.min(Self::SUMMARIES).saturating_sub(waiting + self.in_flight.len())
    }

    /// The summaries here, oldest first.
    pub fn summaries(&mut self) -> impl Iterator<Item = &mut Outgoing> {
        let in_flight = self.in_flight.iter_mut().map(|(message, _)| message);
        in_flight.chain(&mut self.waiting).filter(|message| message.is_summary())
    }

    /// Takes out the summaries that are not in flight, oldest first.
    pub fn take_summaries(&mut self) -> VecDeque<Outgoing> {
        let (summaries, others) = self.waiting.drain(..).partition(Outgoing::is_summary);
        self.waiting = others;
        summaries
    }

    /// Messages not delivered yet.
    pub fn waiting(&self) -> usize {
        self.waiting.len() + self.in_flight.len()
    }

    pub fn dropped(&self) -> Dropped {
        self.dropped
    }

    pub fn delivered(&self) -> u64 {
        self.delivered
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[expect(clippy::needless_pass_by_value, reason = "numbers and literals read best by value")]
    fn message(topic: Topic, body: impl ToString) -> Outgoing {
        Outgoing::new(Message { topic, body: body.to_string() }, &"hall".parse().unwrap())
    }

    fn summary(number: usize) -> Outgoing {
        message(Topic::Summary, number)
    }

    /// Sends all that may be sent and returns `topic body` of each.
    fn send(outbox: &mut Outbox) -> Vec<String> {
        std::iter::from_fn(|| {
            outbox
                .next()
                .map(|m| format!("{} {}", m.topic.strip_prefix("emotiond/hall/").unwrap_or(&m.topic), m.body))
        })
        .collect()
    }

    #[test]
    fn a_summary_stays_until_it_is_acknowledged() {
        let mut outbox = Outbox::new(10);
        outbox.push(summary(1));
        outbox.push(summary(2));
        assert_eq!(send(&mut outbox), Vec::<String>::new());
        outbox.connected();
        assert_eq!(send(&mut outbox), ["summary 1", "summary 2"]);
        outbox.sent(7);
        outbox.sent(8);
        outbox.acknowledged(7);
        assert_eq!(outbox.waiting(), 1);
        outbox.push(summary(3));
        outbox.disconnected();
        outbox.connected();
        assert_eq!(send(&mut outbox), ["summary 2", "summary 3"]);
        assert_eq!((outbox.delivered(), outbox.dropped().total()), (1, 0));
    }

    #[test]
    fn states_come_first_at_every_connection_and_only_their_latest() {
        let mut outbox = Outbox::new(10);
        outbox.push(summary(1));
        outbox.push(message(Topic::PauseState, "ON"));
        outbox.push(message(Topic::Info, "{}"));
        outbox.push(message(Topic::PauseState, "OFF"));
        outbox.push(message(Topic::Status, "online"));
        outbox.push(message(Topic::TriggerState("smile".into()), "OFF"));
        assert_eq!(outbox.waiting(), 1);
        let others = ["info {}", "pause/state OFF", "trigger/smile/state OFF", "status online", "summary 1"];
        for _ in 0..2 {
            outbox.connected();
            assert_eq!(send(&mut outbox), others);
            outbox.disconnected();
        }
        outbox.connected();
        outbox.push(message(Topic::PauseState, "ON"));
        assert_eq!(send(&mut outbox)[..2], ["info {}", "pause/state ON"]);
    }

    #[test]
    fn a_state_is_taken_away_once() {
        let mut outbox = Outbox::new(10);
        outbox.push(message(Topic::Info, "{}"));
        outbox.push(message(Topic::TriggerState("smile".into()), ""));
        outbox.connected();
        assert_eq!(send(&mut outbox), ["info {}", "trigger/smile/state "]);
        // Not acknowledged: once more.
        outbox.disconnected();
        outbox.connected();
        assert_eq!(send(&mut outbox), ["info {}", "trigger/smile/state "]);
        outbox.sent(1);
        outbox.sent(2);
        outbox.acknowledged(1);
        outbox.acknowledged(2);
        outbox.disconnected();
        outbox.connected();
        assert_eq!(send(&mut outbox), ["info {}"]);
    }

    #[test]
    fn a_full_queue_drops_passing_messages_then_events_then_the_oldest_summary() {
        let mut outbox = Outbox::new(3);
        outbox.push(message(Topic::Health, "a"));
        outbox.push(message(Topic::Event("smile".into()), "b"));
        outbox.push(summary(1));
        outbox.push(summary(2));
        assert_eq!(outbox.dropped(), Dropped { others: 1, ..Dropped::default() });
        outbox.push(summary(3));
        assert_eq!(outbox.dropped(), Dropped { others: 1, events: 1, summaries: 0 });
        outbox.push(message(Topic::Health, "c"));
        assert_eq!(outbox.dropped(), Dropped { others: 2, events: 1, summaries: 0 });
        outbox.push(summary(4));
        assert_eq!(outbox.dropped(), Dropped { others: 2, events: 1, summaries: 1 });
        outbox.push(message(Topic::Info, "{}"));
        outbox.connected();
        assert_eq!(send(&mut outbox), ["info {}", "summary 2", "summary 3", "summary 4"]);
    }

    #[test]
    fn no_more_is_in_flight_than_the_window_holds() {
        let mut outbox = Outbox::new(100);
        (0..50).for_each(|number| outbox.push(summary(number)));
        outbox.connected();
        assert_eq!(send(&mut outbox).len(), Outbox::WINDOW);
        outbox.sent(1);
        outbox.sent(2);
        outbox.acknowledged(2);
        assert_eq!(send(&mut outbox), ["summary 20"]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Push,
        Connect,
        Disconnect,
        Send,
        Number,
        Acknowledge,
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => Just(Step::Push),
            1 => Just(Step::Connect),
            1 => Just(Step::Disconnect),
            3 => Just(Step::Send),
            3 => Just(Step::Number),
            3 => Just(Step::Acknowledge),
        ]
    }

    proptest! {
        /// Whatever happens to the connection, a consumer that ignores doubles sees every summary, in order.
        #[test]
        fn nothing_is_lost_or_out_of_order(steps in prop::collection::vec(step(), 0..400)) {
            let mut outbox = Outbox::new(1000);
            let (mut pushed, mut packet) = (0, 0_u16);
            let mut received: Vec<usize> = Vec::new();
            let mut unnumbered = VecDeque::new();
            let mut on_wire: VecDeque<(u16, usize)> = VecDeque::new();
            let mut connected = false;
            for step in steps.into_iter().chain([Step::Disconnect, Step::Connect]) {
                match step {
                    Step::Push => { outbox.push(summary(pushed)); pushed += 1; }
                    Step::Connect if !connected => { outbox.connected(); connected = true; }
                    Step::Disconnect if connected => {
                        outbox.disconnected();
                        connected = false;
                        unnumbered.clear();
                        on_wire.clear();
                    }
                    Step::Send => if let Some(message) = outbox.next() {
                        unnumbered.push_back(message.body.parse::<usize>().unwrap());
                    },
                    Step::Number => if let Some(number) = unnumbered.pop_front() {
                        packet += 1;
                        outbox.sent(packet);
                        on_wire.push_back((packet, number));
                    },
                    Step::Acknowledge => if let Some((packet, number)) = on_wire.pop_front() {
                        outbox.acknowledged(packet);
                        received.push(number);
                    },
                    Step::Connect | Step::Disconnect => {}
                }
            }
            let acknowledged = received.len();
            loop {
                while let Some(message) = outbox.next() {
                    packet += 1;
                    received.push(message.body.parse().unwrap());
                    outbox.sent(packet);
                    outbox.acknowledged(packet);
                }
                if outbox.waiting() == 0 { break; }
            }
            prop_assert_eq!(received, (0..pushed).collect::<Vec<_>>());
            prop_assert!(acknowledged <= pushed);
            prop_assert_eq!(outbox.dropped().total(), 0);
        }
    }
}
