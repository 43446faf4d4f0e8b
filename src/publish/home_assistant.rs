//! How Home Assistant learns of this device: one retained message on `<prefix>/device/<id>/config`.
//!
//! The format is that of Home Assistant 2024.11 and later
//! (<https://www.home-assistant.io/integrations/mqtt/#device-discovery-payload>). It is sent at every connection and
//! again when Home Assistant says that it has started. An empty retained message on the topic removes the device.

use std::time::Duration;

use anyhow::bail;
use serde_json::{Map, Value, json};

use emotiond_core::report::expression::Expression;
use emotiond_core::report::payload::DeviceName;
use emotiond_core::report::payload::Topic;

/// The announcement, ready to be sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discovery {
    /// Where it goes.
    pub topic: String,
    /// What it says.
    pub body: String,
    /// Where Home Assistant says `online` when it has started.
    pub birth_topic: String,
}

/// What there is to announce.
#[derive(Clone, Debug)]
pub struct Announced<'a> {
    /// Home Assistant's discovery prefix, `homeassistant` unless changed there.
    pub prefix: &'a str,
    /// The name of this device.
    pub device: &'a DeviceName,
    /// The length of a window: after three without a summary, its entities become unavailable.
    pub window: Duration,
    /// The interval of health reports: likewise.
    pub health_interval: Duration,
    /// The expressions in summaries; empty if the site forbids them or the model has none.
    pub expressions: &'a [Expression],
    /// Whether summaries have valence and arousal.
    pub valence_arousal: bool,
    /// Whether summaries have the share of faces turned to the camera.
    pub facing: bool,
    /// The names of the triggers.
    pub triggers: &'a [String],
    /// Whether commands are listened to: pause is a switch then, and a mere indicator otherwise.
    pub commands: bool,
}

/// Makes the announcement.
///
/// # Errors
/// If the prefix cannot stand at the beginning of a topic.
pub fn discovery(announced: &Announced) -> anyhow::Result<Discovery> {
    let prefix = announced.prefix;
    if prefix.is_empty()
        || prefix.starts_with('/')
        || prefix.ends_with('/')
        || prefix.contains(['+', '#', '\0'])
    {
        bail!(
            "{prefix:?} cannot be Home Assistant's discovery prefix: it is the beginning of a topic, like \"homeassistant\""
        );
    }
    // Home Assistant allows letters, digits, "_" and "-" here; the name of a device may have dots besides.
    let id = format!("emotiond_{}", announced.device.to_string().replace('.', "_"));
    let path = |topic: Topic| topic.path(announced.device);
    let body = json!({
        "device": {
            "identifiers": [id],
            "name": format!("emotiond {}", announced.device),
            "manufacturer": "emotiond",
            "model": "Camera to emotion summaries",
            "sw_version": env!("CARGO_PKG_VERSION"),
        },
        "origin": { "name": "emotiond", "sw_version": env!("CARGO_PKG_VERSION") },
        "availability": [{
            "topic": path(Topic::Status),
            "payload_available": "online",
            "payload_not_available": "offline",
        }],
        "qos": 1,
        "components": components(announced, &id),
    });
    Ok(Discovery {
        topic: format!("{prefix}/device/{id}/config"),
        body: body.to_string(),
        birth_topic: format!("{prefix}/status"),
    })
}

/// Home Assistant's seconds until a sensor without news becomes unavailable.
fn expire_after(interval: Duration) -> u64 {
    (3 * interval).as_secs_f64().ceil() as u64
}

/// The entities by key.
fn components(announced: &Announced, id: &str) -> Map<String, Value> {
    let mut entities = Entities { id, all: Map::new() };
    summary_entities(&mut entities, announced);
    health_entities(&mut entities, announced);
    for trigger in announced.triggers {
        entities.add(
            &format!("event_{trigger}"),
            json!({
                "platform": "event",
                "name": trigger,
                "state_topic": Topic::Event(trigger.clone()).path(announced.device),
                "event_types": EVENT_TYPES,
                "value_template": EVENT_TEMPLATE,
            }),
        );
    }
    let state = Topic::PauseState.path(announced.device);
    if announced.commands {
        let set = format!("emotiond/{}/pause/set", announced.device);
        entities.add(
            "pause",
            json!({
                "platform": "switch", "name": "Pause", "icon": "mdi:camera-off",
                "command_topic": set, "state_topic": state, "payload_on": "ON", "payload_off": "OFF", "retain": false,
            }),
        );
    } else {
        entities.add(
            "paused",
            json!({
                "platform": "binary_sensor", "name": "Paused", "icon": "mdi:camera-off",
                "state_topic": state, "payload_on": "ON", "payload_off": "OFF",
            }),
        );
    }
    entities.all
}

/// What an event entity can report: the values of `phase` in an event's body.
const EVENT_TYPES: [&str; 2] = ["start", "end"];
/// An event's body with the key that Home Assistant asks for; the rest becomes the entity's attributes.
const EVENT_TEMPLATE: &str = "{{ dict(value_json, event_type=value_json.phase) | to_json }}";

struct Entities<'a> {
    id: &'a str,
    all: Map<String, Value>,
}

impl Entities<'_> {
    fn add(&mut self, key: &str, mut entity: Value) {
        entity["unique_id"] = format!("{}_{key}", self.id).into();
        self.all.insert(key.to_owned(), entity);
    }
}

/// A template that yields `value` where the part of the message that holds it is there, and "unknown" where it is null.
fn where_present(part: &str, value: &str) -> String {
    format!("{{{{ {value} if value_json.{part} else None }}}}")
}

fn summary_entities(entities: &mut Entities, announced: &Announced) {
    let topic = Topic::Summary.path(announced.device);
    let expire = expire_after(announced.window);
    let mut sensor = |key: &str, name: &str, icon: &str, template: String, more: Value| {
        let mut entity = json!({
            "platform": "sensor", "name": name, "icon": icon,
            "state_topic": topic, "value_template": template, "expire_after": expire,
        });
        for (key, value) in more.as_object().into_iter().flatten() {
            entity[key] = value.clone();
        }
        entities.add(key, entity);
    };
    let number = || json!({ "state_class": "measurement" });
    let percent = || json!({ "state_class": "measurement", "unit_of_measurement": "%" });

    let people = where_present("faces", "value_json.faces.people");
    sensor("people", "People", "mdi:account-multiple", people, number());
    let faces = where_present("faces", "value_json.faces.mean | round(2)");
    sensor("faces", "Faces", "mdi:face-recognition", faces, number());
    if announced.facing {
        // Null within `faces` where the site withholds it or nobody was seen.
        let facing = "{{ (value_json.faces.facing * 100) | round(1) if value_json.faces and value_json.faces.facing is not none else None }}";
        sensor("facing", "Facing", "mdi:eye", facing.into(), percent());
    }
    if !announced.expressions.is_empty() {
        let names: Vec<_> = announced.expressions.iter().map(|expression| expression.name()).collect();
        let dominant = where_present("expression", "value_json.expression.dominant");
        let options = json!({ "device_class": "enum", "options": names });
        sensor("expression", "Expression", "mdi:emoticon-outline", dominant, options);
        for name in names {
            let share = format!("(value_json.expression.distribution.{name} * 100) | round(1)");
            let title = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
            sensor(name, &title, "mdi:percent-outline", where_present("expression", &share), percent());
        }
    }
    if announced.valence_arousal {
        for (key, title, icon) in
            [("valence", "Valence", "mdi:emoticon-happy-outline"), ("arousal", "Arousal", "mdi:pulse")]
        {
            let mean = where_present(key, &format!("value_json.{key}.mean | round(2)"));
            sensor(key, title, icon, mean, number());
        }
    }
    let states = json!({
        "device_class": "enum", "options": ["ok", "blind", "lost", "paused"], "entity_category": "diagnostic",
    });
    sensor("camera", "Camera", "mdi:camera", "{{ value_json.quality.camera }}".into(), states);
}

fn health_entities(entities: &mut Entities, announced: &Announced) {
    let topic = Topic::Health.path(announced.device);
    let expire = expire_after(announced.health_interval);
    for (key, name, class, unit, template) in [
        ("temperature", "Temperature", Some("temperature"), "°C", "{{ value_json.temperature }}"),
        ("memory", "Memory", Some("data_size"), "MiB", "{{ value_json.memory }}"),
        ("fps", "Frame rate", None, "fps", "{{ value_json.fps }}"),
    ] {
        let mut entity = json!({
            "platform": "sensor", "name": name, "state_topic": topic, "value_template": template,
            "expire_after": expire, "state_class": "measurement", "unit_of_measurement": unit,
            "entity_category": "diagnostic",
        });
        if let Some(class) = class {
            entity["device_class"] = class.into();
        }
        entities.add(key, entity);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn announced<'a>(device: &'a DeviceName, triggers: &'a [String]) -> Announced<'a> {
        Announced {
            prefix: "homeassistant",
            device,
            window: Duration::from_secs(10),
            health_interval: Duration::from_secs(60),
            expressions: &Expression::ALL,
            valence_arousal: true,
            facing: true,
            triggers,
            commands: true,
        }
    }

    fn body(announced: &Announced) -> Value {
        serde_json::from_str(&discovery(announced).unwrap().body).unwrap()
    }

    /// The rules of Home Assistant's `DEVICE_DISCOVERY_SCHEMA` and of the four platforms used.
    fn check(body: &Value) {
        assert!(body["device"]["identifiers"][0].is_string());
        assert!(body["origin"]["name"].is_string());
        assert_eq!(body["availability"][0]["topic"], "emotiond/pi.hall/status");
        let mut unique = HashSet::new();
        for (key, entity) in body["components"].as_object().unwrap() {
            let platform = entity["platform"].as_str().unwrap();
            let id = entity["unique_id"].as_str().unwrap();
            assert!(unique.insert(id.to_owned()), "{id} twice");
            assert!(id.starts_with("emotiond_pi_hall_") && id.ends_with(key.as_str()));
            assert!(entity["name"].is_string());
            assert!(entity["state_topic"].as_str().unwrap().starts_with("emotiond/pi.hall/"));
            match platform {
                "sensor" => {
                    assert!(entity["expire_after"].as_u64().unwrap() > 0, "{key}");
                    assert!(entity["value_template"].as_str().unwrap().starts_with("{{ "), "{key}");
                    // A sensor of class "enum" has options and neither unit nor state class, and vice versa.
                    let is_enum = entity["device_class"] == "enum";
                    assert_eq!(is_enum, entity["options"].is_array(), "{key}");
                    assert_eq!(is_enum, entity["state_class"].is_null(), "{key}");
                    assert!(!is_enum || entity["unit_of_measurement"].is_null(), "{key}");
                }
                "event" => {
                    assert!(entity["event_types"].as_array().is_some_and(|types| !types.is_empty()));
                    assert!(entity["value_template"].as_str().unwrap().contains("event_type"));
                    assert!(entity["retain"].is_null() && entity["expire_after"].is_null());
                }
                "switch" => {
                    assert_eq!(entity["command_topic"], "emotiond/pi.hall/pause/set");
                    assert_eq!(
                        (&entity["payload_on"], &entity["payload_off"]),
                        (&json!("ON"), &json!("OFF"))
                    );
                }
                "binary_sensor" => assert_eq!(entity["payload_on"], "ON"),
                other => panic!("{key}: {other}"),
            }
        }
    }

    #[test]
    fn announces_everything_there_is() {
        let device = "pi.hall".parse().unwrap();
        let triggers = ["smile".to_owned()];
        let all = announced(&device, &triggers);
        let message = discovery(&all).unwrap();
        assert_eq!(message.topic, "homeassistant/device/emotiond_pi_hall/config");
        assert_eq!(message.birth_topic, "homeassistant/status");
        let body = body(&all);
        check(&body);
        let entities = body["components"].as_object().unwrap();
        let mut expected: Vec<_> = Expression::ALL.map(Expression::name).to_vec();
        expected.extend([
            "people",
            "faces",
            "facing",
            "expression",
            "valence",
            "arousal",
            "camera",
            "temperature",
            "memory",
            "fps",
            "event_smile",
            "pause",
        ]);
        expected.sort_unstable();
        let mut keys: Vec<_> = entities.keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, expected);
        assert_eq!(entities["people"]["expire_after"], 30);
        assert_eq!(entities["temperature"]["expire_after"], 180);
        assert_eq!(
            entities["happiness"]["value_template"],
            "{{ (value_json.expression.distribution.happiness * 100) | round(1) if value_json.expression else None }}"
        );
    }

    #[test]
    fn announces_no_emotion_where_there_is_none() {
        let device = "pi.hall".parse().unwrap();
        let body = body(&Announced {
            expressions: &[],
            valence_arousal: false,
            facing: false,
            commands: false,
            ..announced(&device, &[])
        });
        check(&body);
        let mut keys: Vec<_> = body["components"].as_object().unwrap().keys().collect();
        keys.sort_unstable();
        assert_eq!(keys, ["camera", "faces", "fps", "memory", "paused", "people", "temperature"]);
        for word in ["expression", "valence", "arousal", "facing", "happiness"] {
            assert!(!body.to_string().contains(word), "{word}");
        }
    }

    #[test]
    fn refuses_a_prefix_that_is_no_topic() {
        let device = "hall".parse().unwrap();
        for prefix in ["", "/ha", "ha/", "ha/#", "+"] {
            assert!(discovery(&Announced { prefix, ..announced(&device, &[]) }).is_err(), "{prefix:?}");
        }
    }
}
