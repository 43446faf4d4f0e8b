//! What has to be sent so that Home Assistant shows what there is and nothing of what there was.
//!
//! Home Assistant keeps an entity until it is told by name that it has gone: by its component with a `platform` and
//! nothing else. What an earlier configuration announced is read back from the broker, which retains it, so that nothing
//! has to be kept on disk: pure state, no network.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use super::discovery::{Discovery, ORIGIN};
use crate::publish::queue::outbox::Outgoing;

/// After an announcement on Home Assistant's birth message, further ones are of no use for so long: it reads the retained
/// one at its start anyway.
const BIRTHS_APART: Duration = Duration::from_secs(10);
/// How long Home Assistant needs for an announcement. Of one that comes sooner it drops all components behind the first
/// that it still works on.
const DIGESTION: Duration = Duration::from_secs(5);
/// The most entities that are remembered as removed. More than one configuration can have.
const MOST_REMOVED: usize = 256;

/// The platforms that an announcement of ours has ever used.
const PLATFORMS: [&str; 4] = ["sensor", "binary_sensor", "event", "switch"];

/// What is sent once Home Assistant has digested what it has.
#[derive(Clone, Copy, Debug)]
enum Later {
    /// The removed entities once more, as if they were there.
    Resurrection,
    /// The announcement.
    Announcement,
}

/// The announcement, and what a broker holds of earlier ones.
#[derive(Debug)]
pub(in crate::publish) struct Announcer {
    discovery: Discovery,
    /// Entities that there are no more, and their platforms.
    removed: BTreeMap<String, &'static str>,
    /// Whether the broker has shown what it held when this process came, or shows that there is nothing.
    read_back: bool,
    /// What to send later, and when.
    later: Option<(Instant, Later)>,
    last_birth: Option<Instant>,
}

impl Announcer {
    pub fn new(discovery: Discovery) -> Self {
        Self { discovery, removed: BTreeMap::new(), read_back: false, later: None, last_birth: None }
    }

    /// What to subscribe to at a connection; none of it is needed for anything else to work.
    pub fn filters(&self) -> Vec<String> {
        let own = (!self.read_back).then(|| self.discovery.topic.clone());
        let birth = self.discovery.config.as_ref().map(|_| self.discovery.birth_topic.clone());
        own.into_iter().chain(birth).collect()
    }

    /// What to send when the broker has acknowledged something. It answers in order, so that what it held has come before
    /// the first acknowledgement, if there was anything.
    pub fn acknowledged(&mut self, now: Instant) -> Option<Outgoing> {
        let first = !std::mem::replace(&mut self.read_back, true);
        match self.later.take_if(|(at, _)| now >= *at) {
            Some((_, Later::Resurrection)) => {
                self.later = Some((now + DIGESTION, Later::Announcement));
                self.resurrection()
            }
            Some((_, Later::Announcement)) => self.announcement(),
            None if first => self.announcement(),
            None => None,
        }
    }

    /// The retained announcement, if there is to be one.
    fn announcement(&self) -> Option<Outgoing> {
        let config = self.with_removed(|_, platform| json!({ "platform": platform }))?;
        Some(Outgoing::state(self.discovery.topic.clone(), config.to_string()))
    }

    /// What to send upon a message; `None` if its topic is not one of [`Self::filters`].
    pub fn receive(
        &mut self,
        topic: &str,
        body: &[u8],
        retained: bool,
        now: Instant,
    ) -> Option<Vec<Outgoing>> {
        if topic == self.discovery.topic {
            // Without the flag it is an echo of what was sent from here, or somebody deletes the device.
            return Some(if retained { self.held(body, now) } else { Vec::new() });
        }
        (topic == self.discovery.birth_topic).then(|| self.birth(body, now))
    }

    /// The broker has held this announcement.
    fn held(&mut self, body: &[u8], now: Instant) -> Vec<Outgoing> {
        let first = !std::mem::replace(&mut self.read_back, true);
        let config =
            serde_json::from_slice::<Value>(body).ok().filter(|config| config["origin"]["name"] == ORIGIN);
        if self.discovery.config.is_none() {
            return config.filter(|_| first).map(|_| self.withdrawal()).into_iter().collect();
        }
        let before = self.removed.len();
        let components = config.as_ref().and_then(|config| config["components"].as_object());
        let stale = self.remove_all_but_current(components);
        if !first {
            if self.removed.len() == before {
                return Vec::new();
            }
            // A broker that answers out of order: an announcement is under way.
            self.later = Some((now + DIGESTION, Later::Announcement));
        }
        let cleared = stale.into_iter().map(|topic| Outgoing::state(topic, String::new()));
        cleared.chain(self.announcement().filter(|_| first)).collect()
    }

    /// Home Assistant says `online`: it has started.
    fn birth(&mut self, body: &[u8], now: Instant) -> Vec<Outgoing> {
        let recent = self.last_birth.is_some_and(|last| now.saturating_duration_since(last) < BIRTHS_APART);
        if body != b"online" || recent {
            return Vec::new();
        }
        let Some(announcement) = self.announcement() else { return Vec::new() };
        self.last_birth = Some(now);
        // An entity can be removed only while Home Assistant has it. One that was removed while it did not run would
        // stay for ever: it is announced once more, not retained, and then removed.
        if self.removed.is_empty() {
            return vec![announcement];
        }
        self.later = Some((now + DIGESTION, Later::Resurrection));
        Vec::new()
    }

    /// Another announcement takes the place of this one, in a process that goes on. Returns what to send.
    pub fn replace(&mut self, new: Discovery) -> Vec<Outgoing> {
        let mut messages = Vec::new();
        let old = std::mem::replace(&mut self.discovery, new);
        if old.topic != self.discovery.topic {
            messages.extend(old.config.map(|_| Outgoing::state(old.topic, String::new())));
            self.removed.clear();
            self.read_back = false;
        } else if self.discovery.config.is_none() {
            messages.extend(old.config.map(|_| self.withdrawal()));
        } else {
            // The states of its triggers are the daemon's to clear: it has them without discovery as well.
            self.remove_all_but_current(
                old.config.as_ref().and_then(|config| config["components"].as_object()),
            );
        }
        if self.read_back {
            messages.extend(self.announcement());
        }
        messages
    }

    fn withdrawal(&self) -> Outgoing {
        Outgoing::state(self.discovery.topic.clone(), String::new())
    }

    /// Notes as removed what of `components` there is no more, and the reverse. Returns the topics that held the states
    /// of triggers among them.
    fn remove_all_but_current(&mut self, components: Option<&Map<String, Value>>) -> Vec<String> {
        let current = self.discovery.config.as_ref().and_then(|config| config["components"].as_object());
        let has = |key: &str| current.is_some_and(|current| current.contains_key(key));
        self.removed.retain(|key, _| !has(key));
        let mut stale = Vec::new();
        for (key, component) in components.into_iter().flatten().filter(|(key, _)| !has(key)) {
            let named = |platform: &&&str| component["platform"] == **platform;
            let Some(platform) = PLATFORMS.iter().find(named) else { continue };
            if self.removed.len() >= MOST_REMOVED || !is_key(key) {
                continue;
            }
            if self.removed.insert(key.clone(), platform).is_some() {
                continue;
            }
            let trigger = key.strip_prefix("trigger_").filter(|_| *platform == "binary_sensor");
            stale.extend(trigger.map(|trigger| format!("{}trigger/{trigger}/state", self.discovery.own)));
        }
        stale
    }

    /// An announcement that has the removed entities once more, with no more of each than Home Assistant asks for.
    fn resurrection(&self) -> Option<Outgoing> {
        let id = self.discovery.config.as_ref()?["device"]["identifiers"][0].as_str()?;
        let topic = format!("{}none", self.discovery.own);
        let config = self.with_removed(|key, platform| {
            let mut entity =
                json!({ "platform": platform, "unique_id": format!("{id}_{key}"), "state_topic": topic });
            match platform {
                "event" => entity["event_types"] = json!(["end"]),
                "switch" => entity["command_topic"] = topic.clone().into(),
                _ => {}
            }
            entity
        })?;
        Some(Outgoing::passing(self.discovery.topic.clone(), config.to_string()))
    }

    /// The configuration with the removed entities in it, and before the others: of an announcement, Home Assistant reads
    /// no component behind one that it still works on.
    fn with_removed(&self, entity: impl Fn(&str, &str) -> Value) -> Option<Value> {
        let mut config = self.discovery.config.clone()?;
        let current = config["components"].take();
        let removed = self.removed.iter().map(|(key, platform)| (key.clone(), entity(key, platform)));
        let current =
            current.as_object().into_iter().flatten().map(|(key, entity)| (key.clone(), entity.clone()));
        config["components"] = removed.chain(current).collect::<Map<_, _>>().into();
        Some(config)
    }
}

/// Whether a key can be one of ours: what a broker holds may be anybody's.
fn is_key(key: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (1..=80).contains(&key.len()) && key.chars().all(good)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::home_assistant::discovery::withdrawal;

    const TOPIC: &str = "homeassistant/device/emotiond_hall/config";

    fn off() -> Discovery {
        let device = "hall".parse().unwrap();
        withdrawal("homeassistant", &device, &device).unwrap()
    }

    fn config(components: &[(&str, &str)]) -> Value {
        let full = |(key, platform): &(&str, &str)| {
            ((*key).to_owned(), json!({ "platform": platform, "unique_id": format!("emotiond_hall_{key}") }))
        };
        let components: Map<_, _> = components.iter().map(full).collect();
        json!({ "device": { "identifiers": ["emotiond_hall"] }, "origin": { "name": "emotiond" }, "components": components })
    }

    fn on(components: &[(&str, &str)]) -> Discovery {
        Discovery { config: Some(config(components)), ..off() }
    }

    /// Topic, whether it is retained, and the keys of its components; those with a platform alone with a minus.
    fn shown(messages: &[Outgoing]) -> Vec<String> {
        messages
            .iter()
            .map(|message| {
                let config: Value = serde_json::from_str(&message.body).unwrap_or_default();
                let key = |(key, component): (&String, &Value)| {
                    let gone = component.as_object().unwrap().len() == 1;
                    format!(" {}{key}", if gone { "-" } else { "" })
                };
                let keys: String = config["components"].as_object().into_iter().flatten().map(key).collect();
                let topic = message.topic.strip_prefix("emotiond/hall/").unwrap_or("config");
                format!("{}{topic}{keys}", if message.retained { "" } else { "passing " })
            })
            .collect()
    }

    #[test]
    fn what_an_earlier_run_announced_and_this_one_does_not_is_removed() {
        let mut announcer = Announcer::new(on(&[("now", "sensor"), ("trigger_grin", "binary_sensor")]));
        assert_eq!(announcer.filters(), [TOPIC, "homeassistant/status"]);
        let held = config(&[
            ("faces", "sensor"),
            ("now", "sensor"),
            ("event_smile", "event"),
            ("trigger_smile", "binary_sensor"),
            ("siren", "siren"),
            ("trigger_#", "binary_sensor"),
        ]);
        let held = held.to_string();
        let now = Instant::now();
        let sent = announcer.receive(TOPIC, held.as_bytes(), true, now).unwrap();
        let expected = ["trigger/smile/state", "config -event_smile -faces -trigger_smile now trigger_grin"];
        assert_eq!(shown(&sent), expected);
        assert_eq!(sent[0].body, "");
        // The echo of it, an acknowledgement and a second copy say nothing new; nor is there a subscription at the next
        // connection.
        assert_eq!(announcer.acknowledged(now), None);
        assert_eq!(announcer.receive(TOPIC, sent[1].body.as_bytes(), false, now), Some(vec![]));
        assert_eq!(announcer.receive(TOPIC, held.as_bytes(), true, now), Some(vec![]));
        assert_eq!(announcer.filters(), ["homeassistant/status"]);
        assert_eq!(announcer.receive("emotiond/hall/pause/set", b"ON", false, now), None);

        // The next run reads it back once more, and gives a name that is used again its entity back.
        let mut next = Announcer::new(on(&[("now", "sensor"), ("trigger_smile", "binary_sensor")]));
        let sent = next.receive(TOPIC, sent[1].body.as_bytes(), true, now).unwrap();
        assert_eq!(
            shown(&sent),
            ["trigger/grin/state", "config -event_smile -faces -trigger_grin now trigger_smile"]
        );
    }

    #[test]
    fn a_broker_that_shows_late_what_it_held_is_heard() {
        let mut announcer = Announcer::new(on(&[("now", "sensor")]));
        let now = Instant::now();
        assert_eq!(shown(&[announcer.acknowledged(now).unwrap()]), ["config now"]);
        let held = config(&[("faces", "sensor")]).to_string();
        assert_eq!(announcer.receive(TOPIC, held.as_bytes(), true, now), Some(vec![]));
        assert_eq!(announcer.acknowledged(now), None);
        assert_eq!(shown(&[announcer.acknowledged(now + DIGESTION).unwrap()]), ["config -faces now"]);
    }

    #[test]
    fn an_announcement_of_somebody_else_is_left_alone() {
        let now = Instant::now();
        for held in [
            &b"{}"[..],
            b"",
            b"\xff",
            br#"{"origin":{"name":"other"},"components":{"a":{"platform":"sensor"}}}"#,
        ] {
            let mut announcer = Announcer::new(on(&[("now", "sensor")]));
            assert_eq!(shown(&announcer.receive(TOPIC, held, true, now).unwrap()), ["config now"]);
            let mut announcer = Announcer::new(off());
            assert_eq!(announcer.receive(TOPIC, held, true, now), Some(vec![]));
        }
    }

    #[test]
    fn without_discovery_a_device_of_an_earlier_run_is_taken_away_and_nothing_else_is_touched() {
        let mut announcer = Announcer::new(off());
        assert_eq!(announcer.announcement(), None);
        assert_eq!(announcer.filters(), [TOPIC]);
        let held = config(&[("now", "sensor")]).to_string();
        let sent = announcer.receive(TOPIC, held.as_bytes(), true, Instant::now()).unwrap();
        assert_eq!(sent, [Outgoing::state(TOPIC.to_owned(), String::new())]);
        assert_eq!(announcer.filters(), [""; 0]);
    }

    #[test]
    fn births_are_answered_once_in_a_while() {
        let mut announcer = Announcer::new(on(&[("now", "sensor")]));
        let now = Instant::now();
        let mut answers =
            |body: &[u8], now| announcer.receive("homeassistant/status", body, false, now).unwrap();
        assert_eq!(answers(b"offline", now), []);
        let flood = (0..500).map(|_| answers(b"online", now).len()).sum::<usize>();
        assert_eq!(flood, 1);
        assert_eq!(answers(&[b'x'; 70_000], now + BIRTHS_APART), []);
        assert_eq!(shown(&answers(b"online", now + BIRTHS_APART)), ["config now"]);
    }

    #[test]
    fn what_was_removed_while_home_assistant_did_not_run_is_shown_to_it_once_more_and_removed() {
        let mut announcer = Announcer::new(on(&[("now", "sensor")]));
        let now = Instant::now();
        let held = config(&[("event_smile", "event"), ("pause", "switch")]).to_string();
        announcer.receive(TOPIC, held.as_bytes(), true, now);
        assert_eq!(announcer.receive("homeassistant/status", b"online", false, now), Some(vec![]));
        // Not before Home Assistant has read what the broker retains, and not before it has read this.
        assert_eq!(announcer.acknowledged(now), None);
        let later = now + DIGESTION;
        let resurrection = announcer.acknowledged(later).unwrap();
        let config: Value = serde_json::from_str(&resurrection.body).unwrap();
        assert_eq!(shown(&[resurrection]), ["passing config event_smile pause now"]);
        assert_eq!(announcer.acknowledged(later), None);
        let removal = announcer.acknowledged(later + DIGESTION).unwrap();
        assert_eq!(shown(&[removal]), ["config -event_smile -pause now"]);
        assert_eq!(announcer.acknowledged(later + DIGESTION), None);
        assert_eq!(config["components"]["event_smile"]["unique_id"], "emotiond_hall_event_smile");
        assert_eq!(config["components"]["pause"]["command_topic"], "emotiond/hall/none");
    }

    #[test]
    fn a_reload_announces_the_difference() {
        let mut announcer = Announcer::new(on(&[("now", "sensor"), ("event_smile", "event")]));
        // The broker holds nothing.
        let first = announcer.acknowledged(Instant::now()).unwrap();
        assert_eq!(shown(&[first]), ["config now event_smile"]);
        let sent = announcer.replace(on(&[("now", "sensor"), ("event_grin", "event")]));
        assert_eq!(shown(&sent), ["config -event_smile now event_grin"]);
        assert_eq!(shown(&announcer.replace(off())), ["config"]);
        assert_eq!(announcer.replace(off()), []);
        assert_eq!(shown(&announcer.replace(on(&[("now", "sensor")]))), ["config -event_smile now"]);
        let other = "kitchen".parse().unwrap();
        let moved = Discovery {
            config: Some(config(&[("now", "sensor")])),
            ..withdrawal("homeassistant", &other, &other).unwrap()
        };
        let sent = announcer.replace(moved);
        assert_eq!((sent[0].topic.as_str(), sent[0].body.as_str()), (TOPIC, ""));
        // The other topic is read back first.
        assert_eq!(sent.len(), 1);
        let announced = announcer.acknowledged(Instant::now()).unwrap();
        assert_eq!(announced.topic, "homeassistant/device/emotiond_kitchen/config");
    }
}
