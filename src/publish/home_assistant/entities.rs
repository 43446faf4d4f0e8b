//! How each entity looks in Home Assistant: name, class, unit, icon, precision.
//!
//! On by default is what a person looks for; shares, action units, latencies and memory are diagnostic and off. Values
//! are rounded to steps that mean something, because Home Assistant's recorder writes a row for every change.

use std::time::Duration;

use serde_json::{Map, Value, json};

use emotiond_core::report::payload::Topic;

use super::announced::{Announced, in_words};

/// How late a message may be before what it said no longer holds.
const GRACE: Duration = Duration::from_secs(20);

/// What an event entity can report: the values of `phase` in an event's body.
const EVENT_TYPES: [&str; 2] = ["start", "end"];
/// An event's body with the key that Home Assistant asks for; the rest becomes the entity's attributes.
const EVENT_TEMPLATE: &str = "{{ dict(value_json, event_type=value_json.phase) | to_json }}";

/// Home Assistant's seconds until what comes every `interval` is overdue.
fn overdue(interval: Duration) -> u64 {
    (interval + GRACE).as_secs_f64().ceil() as u64
}

/// A source of availability that takes it away and never gives it.
pub(super) fn unavailable_if_offline(status: &str) -> Value {
    json!({ "topic": status, "value_template": "{{ 'offline' if value == 'offline' else '' }}" })
}

/// A template on summaries: whether one is about now, or was delivered late. Without a set clock on the device nobody
/// can tell, and it counts as recent.
pub(super) fn is_recent(window: Duration) -> String {
    format!(
        "{{{{ 'online' if not value_json.quality.clock_synchronized or \
         as_timestamp(now()) - as_timestamp(value_json.window.end) < {} else 'offline' }}}}",
        overdue(window)
    )
}

/// A template that yields `value` where the part of the message that holds it is there, and "unknown" where it is null.
fn where_present(part: &str, value: &str) -> String {
    format!("{{{{ {value} if value_json.{part} else None }}}}")
}

/// The same for a number that can be null itself.
fn where_known(field: &str, filter: &str) -> String {
    format!("{{{{ value_json.{field} | {filter} if value_json.{field} is not none else None }}}}")
}

/// The entities by key, in the order of their importance.
pub(super) fn components(announced: &Announced, id: &str) -> Map<String, Value> {
    let mut entities = Entities { id, announced, all: Map::new() };
    entities.presence();
    entities.visits();
    entities.emotion();
    entities.sequences();
    entities.states();
    entities.health();
    for trigger in announced.triggers {
        entities.trigger(trigger);
    }
    entities.pause();
    entities.all
}

struct Entities<'a> {
    id: &'a str,
    announced: &'a Announced<'a>,
    all: Map<String, Value>,
}

impl Entities<'_> {
    /// Adds an entity made of several parts.
    fn add(&mut self, key: &str, platform: &str, parts: &[Value]) {
        let mut entity = json!({ "platform": platform, "unique_id": format!("{}_{key}", self.id) });
        for (key, value) in parts.iter().filter_map(Value::as_object).flatten() {
            entity[key] = value.clone();
        }
        self.all.insert(key.to_owned(), entity);
    }

    fn path(&self, topic: &Topic) -> String {
        topic.path(self.announced.device)
    }

    /// What every entity has that shows part of a summary.
    fn of_summary(&self, template: &str) -> Value {
        json!({
            "state_topic": self.path(&Topic::Summary), "value_template": template,
            "expire_after": overdue(self.announced.window),
        })
    }

    /// What is to be read while nothing else is: available as long as the daemon is.
    fn of_state(&self, topic: &Topic) -> Value {
        json!({
            "state_topic": self.path(topic),
            "availability": [{ "topic": self.path(&Topic::Status) }],
        })
    }

    fn presence(&mut self) {
        let present = where_present("faces", "('ON' if value_json.faces.people > 0 else 'OFF')");
        self.add(
            "occupancy",
            "binary_sensor",
            &[json!({ "device_class": "occupancy" }), self.of_summary(&present)],
        );
        let now = self.of_summary(&where_present("faces", "value_json.faces.max"));
        self.add("now", "sensor", &[look("People now", "mdi:account-group"), number(0), now]);
        let visitors = self.of_summary(&where_present("faces", "value_json.faces.people"));
        self.add("people", "sensor", &[look("Visitors", "mdi:account-multiple"), number(0), visitors]);
    }

    fn emotion(&mut self) {
        let announced = self.announced;
        let names: Vec<_> = announced.expressions.iter().map(|expression| expression.name()).collect();
        if !names.is_empty() {
            let mood = self.of_summary(&where_present("expression", "value_json.expression.dominant"));
            let options = json!({ "device_class": "enum", "options": names });
            self.add("expression", "sensor", &[look("Mood", "mdi:emoticon-outline"), options, mood]);
        }
        if announced.facing {
            // Null within `faces` where the site withholds it or nobody was seen. In steps of five percent.
            let facing = self.of_summary(
                "{{ (value_json.faces.facing * 20) | round | int * 5 if value_json.faces and value_json.faces.facing is not none else None }}",
            );
            self.add("facing", "sensor", &[look("Facing", "mdi:eye"), percent(), facing]);
        }
        if announced.valence_arousal {
            for (key, icon) in [("valence", "mdi:emoticon-happy-outline"), ("arousal", "mdi:pulse")] {
                let mean = format!("(value_json.{key}.mean * 20) | round / 20");
                let mean = self.of_summary(&where_present(key, &mean));
                self.add(key, "sensor", &[look(&in_words(key), icon), number(2), mean]);
            }
        }
        for name in names {
            let share = format!("(value_json.expression.distribution.{name} * 100) | round | int");
            let share = self.of_summary(&where_present("expression", &share));
            let look = look(&in_words(name), "mdi:percent-outline");
            self.add(name, "sensor", &[look, percent(), off(), share]);
        }
        for unit in announced.action_units {
            let mean = format!("(value_json.action_units.{unit} * 100) | round | int");
            let mean = self.of_summary(&where_present("action_units", &mean));
            let name = action_unit(unit).map_or_else(|| unit.clone(), |name| format!("{unit} {name}"));
            let look = look(&name, "mdi:face-recognition");
            self.add(&unit.to_lowercase(), "sensor", &[look, percent(), off(), mean]);
        }
    }

    /// Shares of what networks that read sequences say.
    fn sequences(&mut self) {
        for (head, labels) in self.announced.sequences {
            for label in labels {
                let path = format!("value_json.sequences.{head}.{label}");
                // Null until a face has been seen for long enough, and so is each head by itself.
                let share = self.of_summary(&format!(
                    "{{{{ ({path} * 100) | round | int if value_json.sequences and {path} is defined else None }}}}"
                ));
                let look = look(
                    &format!("{} {}", in_words(head), in_words(label).to_lowercase()),
                    "mdi:timeline-outline",
                );
                self.add(&format!("sequence_{head}_{label}"), "sensor", &[look, percent(), off(), share]);
            }
        }
    }

    /// Who came and how long they stayed; who looked, where the site lets that through.
    fn visits(&mut self) {
        let began = self.of_summary(&where_present("faces", "value_json.faces.visits"));
        self.add("visits", "sensor", &[look("Visits", "mdi:door-open"), number(0), off(), began]);
        // The mean is null where nobody left, and what holds it where `min_people` withholds it.
        let seconds = |of: &str| {
            format!(
                "{{{{ value_json.faces.{of}.mean | round | int if value_json.faces and value_json.faces.{of} and \
                 value_json.faces.{of}.mean is not none else None }}}}"
            )
        };
        let time =
            |name: &str| json!({ "name": name, "device_class": "duration", "unit_of_measurement": "s" });
        let dwell = self.of_summary(&seconds("dwell"));
        self.add("dwell", "sensor", &[time("Dwell"), number(0), off(), dwell]);
        if self.announced.watchers {
            let watchers = self.of_summary(
                "{{ value_json.faces.watchers if value_json.faces and value_json.faces.watchers is not none else None }}",
            );
            self.add("watchers", "sensor", &[look("Watchers", "mdi:eye-check"), number(0), off(), watchers]);
            let facing = self.of_summary(&seconds("facing_time"));
            self.add("facing_time", "sensor", &[time("Facing time"), number(0), off(), facing]);
        }
    }

    fn states(&mut self) {
        let states = json!({
            "device_class": "enum", "options": ["ok", "blind", "lost", "paused"], "entity_category": "diagnostic",
            // Said although it changes nothing: without it, Home Assistant goes on with the template of an announcement
            // before this one.
            "value_template": "{{ value }}",
        });
        let camera = self.of_state(&Topic::CameraState);
        self.add("camera", "sensor", &[look("Camera", "mdi:camera"), states, camera]);
    }

    fn health(&mut self) {
        let announced = self.announced;
        let topic = self.path(&Topic::Health);
        let of_health = |template: &str| {
            json!({
                "state_topic": topic, "value_template": template, "entity_category": "diagnostic",
                "expire_after": overdue(announced.health_interval),
                // As of the summaries: what was true before a restart is not shown after it.
                "availability": [
                    unavailable_if_offline(&self.path(&Topic::Status)),
                    { "topic": topic, "value_template": "{{ 'online' }}" },
                ],
            })
        };
        let mut reports = Vec::new();
        if announced.temperature {
            let celsius = json!({ "device_class": "temperature", "unit_of_measurement": "°C" });
            reports.push((
                "temperature",
                vec![number(0), celsius, of_health(&where_known("temperature", "round | int"))],
            ));
        }
        let memory = json!({ "name": "Memory", "device_class": "data_size", "unit_of_measurement": "MiB" });
        reports.push((
            "memory",
            vec![memory, number(0), off(), of_health(&where_known("memory", "round | int"))],
        ));
        let fps = json!({ "unit_of_measurement": "fps" });
        let rate = look("Frame rate", "mdi:speedometer");
        reports.push(("fps", vec![rate, fps, number(1), off(), of_health(&where_known("fps", "round(1)"))]));
        let emotion = !announced.expressions.is_empty() || announced.valence_arousal;
        for (key, stage, name) in [
            ("latency_frame", "frame", "Time per frame"),
            ("latency_decode", "decode", "Decoding time"),
            ("latency_detect", "detect", "Detection time"),
            ("latency_emotion", "emotion", "Emotion time"),
        ] {
            if stage == "emotion" && !emotion {
                continue;
            }
            let class = json!({ "name": name, "device_class": "duration", "unit_of_measurement": "ms" });
            let mean = format!(
                "{{{{ value_json.latency.{stage}.mean | round(1) if value_json.latency.{stage} is defined else None }}}}"
            );
            reports.push((key, vec![class, number(1), off(), of_health(&mean)]));
        }
        for (key, parts) in reports {
            self.add(key, "sensor", &parts);
        }
    }

    /// The event for automations, and beside it the state that a dashboard shows.
    fn trigger(&mut self, trigger: &str) {
        let events = json!({
            "name": in_words(trigger), "event_types": EVENT_TYPES, "value_template": EVENT_TEMPLATE,
        });
        let happens = self.of_state(&Topic::Event(trigger.to_owned()));
        self.add(&format!("event_{trigger}"), "event", &[events, happens]);
        let holds = self.of_state(&Topic::TriggerState(trigger.to_owned()));
        self.add(
            &format!("trigger_{trigger}"),
            "binary_sensor",
            &[json!({ "name": in_words(trigger) }), holds],
        );
    }

    fn pause(&mut self) {
        let state = self.of_state(&Topic::PauseState);
        if self.announced.commands {
            let set = format!("emotiond/{}/pause/set", self.announced.device);
            let command = json!({ "command_topic": set, "entity_category": "config" });
            self.add("pause", "switch", &[look("Pause", "mdi:camera-off"), command, state]);
        } else {
            let diagnostic = json!({ "entity_category": "diagnostic" });
            self.add("paused", "binary_sensor", &[look("Paused", "mdi:camera-off"), diagnostic, state]);
        }
    }
}

fn look(name: &str, icon: &str) -> Value {
    json!({ "name": name, "icon": icon })
}

fn number(decimals: u8) -> Value {
    json!({ "state_class": "measurement", "suggested_display_precision": decimals })
}

fn percent() -> Value {
    json!({ "state_class": "measurement", "suggested_display_precision": 0, "unit_of_measurement": "%" })
}

/// Until somebody turns it on.
fn off() -> Value {
    json!({ "entity_category": "diagnostic", "enabled_by_default": false })
}

/// What the Facial Action Coding System calls the units that networks know.
fn action_unit(unit: &str) -> Option<&'static str> {
    Some(match unit {
        "AU1" => "Inner brow raiser",
        "AU2" => "Outer brow raiser",
        "AU4" => "Brow lowerer",
        "AU5" => "Upper lid raiser",
        "AU6" => "Cheek raiser",
        "AU7" => "Lid tightener",
        "AU9" => "Nose wrinkler",
        "AU10" => "Upper lip raiser",
        "AU12" => "Lip corner puller",
        "AU14" => "Dimpler",
        "AU15" => "Lip corner depressor",
        "AU17" => "Chin raiser",
        "AU20" => "Lip stretcher",
        "AU23" => "Lip tightener",
        "AU24" => "Lip pressor",
        "AU25" => "Lips part",
        "AU26" => "Jaw drop",
        "AU27" => "Mouth stretch",
        "AU43" => "Eyes closed",
        _ => return None,
    })
}
