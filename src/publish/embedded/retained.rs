//! The last message of each topic, for those who subscribe later. Bounded in number and bytes.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::rc::Rc;

use super::limits::{MESSAGE_OVERHEAD, RETAINED, RETAINED_BYTES};
use super::packet::QoS;
use super::topic;

/// A message as it is kept, shared by all who are to receive it.
#[derive(Debug)]
pub(super) struct BrokerMessage {
    pub topic: Box<str>,
    pub payload: Box<[u8]>,
    pub qos: QoS,
}

impl BrokerMessage {
    /// What it takes in memory, roughly.
    pub fn bytes(&self) -> usize {
        self.topic.len() + self.payload.len() + MESSAGE_OVERHEAD
    }
}

struct Entry {
    message: Rc<BrokerMessage>,
    /// Published by the daemon.
    own: bool,
}

#[derive(Default)]
pub(super) struct Retained {
    messages: BTreeMap<Box<str>, Entry>,
    /// Those of clients, and their bytes.
    count: usize,
    bytes: usize,
}

impl Retained {
    /// Keeps a message in place of the last one of its topic; one without a payload only removes that. Returns whether
    /// there was room: the daemon's own messages always have it.
    pub fn keep(&mut self, message: &Rc<BrokerMessage>, own: bool) -> bool {
        let topic = &message.topic;
        if message.payload.is_empty() {
            self.remove(topic);
            return true;
        }
        if !own {
            let before = self.messages.get(topic).filter(|entry| !entry.own);
            let (count, bytes) = before.map_or((0, 0), |entry| (1, entry.message.bytes()));
            if self.count - count >= RETAINED || self.bytes - bytes + message.bytes() > RETAINED_BYTES {
                return false;
            }
        }
        self.remove(topic);
        if !own {
            self.count += 1;
            self.bytes += message.bytes();
        }
        self.messages.insert(topic.clone(), Entry { message: Rc::clone(message), own });
        true
    }

    fn remove(&mut self, topic: &str) {
        if let Some(entry) = self.messages.remove(topic).filter(|entry| !entry.own) {
            self.count -= 1;
            self.bytes -= entry.message.bytes();
        }
    }

    /// The bytes of what is kept for clients.
    #[cfg(any(test, feature = "harness"))]
    pub fn held(&self) -> usize {
        let of_clients = || self.messages.values().filter(|entry| !entry.own);
        let bytes = of_clients().map(|entry| entry.message.bytes()).sum();
        assert_eq!((of_clients().count(), bytes), (self.count, self.bytes), "the account of what is kept");
        bytes
    }

    /// The next message that `filter` matches, in the order of topics, behind the topic `after`.
    pub fn next(&self, filter: &str, after: Option<&str>) -> Option<&Rc<BrokerMessage>> {
        // Behind the beginning without wildcards no other topic can match.
        let prefix = &filter[..filter.find(['+', '#']).unwrap_or(filter.len())];
        let prefix = prefix.strip_suffix('/').unwrap_or(prefix);
        let from = after.map_or(Bound::Included(prefix), Bound::Excluded);
        self.messages
            .range::<str, _>((from, Bound::Unbounded))
            .take_while(|(topic, _)| topic.starts_with(prefix))
            .find(|(topic, _)| topic::matches(filter, topic))
            .map(|(_, entry)| &entry.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(topic: &str, bytes: usize) -> Rc<BrokerMessage> {
        Rc::new(BrokerMessage { topic: topic.into(), payload: vec![1; bytes].into(), qos: QoS::AtMostOnce })
    }

    fn all(retained: &Retained, filter: &str) -> Vec<String> {
        let mut topics: Vec<String> = Vec::new();
        while let Some(message) = retained.next(filter, topics.last().map(String::as_str)) {
            topics.push(message.topic.to_string());
        }
        topics
    }

    #[test]
    fn gives_what_a_filter_matches() {
        let mut retained = Retained::default();
        for topic in ["a", "a/b", "a/c", "a.x", "ab", "b/c", "/x"] {
            assert!(retained.keep(&message(topic, 1), false));
        }
        assert_eq!(all(&retained, "a/#"), ["a", "a/b", "a/c"]);
        assert_eq!(all(&retained, "a/c"), ["a/c"]);
        assert_eq!(all(&retained, "+/c"), ["a/c", "b/c"]);
        assert_eq!(all(&retained, "/+"), ["/x"]);
        assert_eq!(all(&retained, "#").len(), 7);
        assert!(retained.keep(&message("a/c", 0), false));
        assert_eq!(all(&retained, "a/+"), ["a/b"]);
    }

    #[test]
    fn is_bounded_in_number_and_in_bytes_but_for_the_daemon() {
        let mut retained = Retained::default();
        let kept = (0..50_000).filter(|n| retained.keep(&message(&format!("t/{n}"), 1), false)).count();
        assert_eq!(kept, RETAINED);
        assert!(retained.keep(&message("t/0", 2), false), "one is replaced");
        assert!(retained.keep(&message("emotiond/hall/info", 100_000), true));
        assert!(retained.keep(&message("t/1", 0), false) && retained.keep(&message("u", 1), false));

        let mut retained = Retained::default();
        let kept = (0..1000).filter(|n| retained.keep(&message(&format!("t/{n}"), 20_000), false)).count();
        assert!((100..105).contains(&kept), "{kept}");
        for n in 0..1000 {
            retained.keep(&message(&format!("t/{n}"), 0), false);
        }
        assert_eq!((retained.count, retained.bytes), (0, 0));
    }
}
