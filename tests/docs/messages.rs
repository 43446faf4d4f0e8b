//! docs/mqtt.md against the types that write the messages.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use emotiond::publish::mqtt::inbox::{Asked, Inbox, Request};
use emotiond_core::Moment;
use emotiond_core::report::observation::CameraState;
use emotiond_core::report::payload::{
    Capabilities, DeviceName, Encoder, Health, Info, Latency, Message, ModelInfo, PrivacyInfo, ReadingRate,
    Stamp, Topic,
};
use emotiond_core::report::policy::Policy;
use emotiond_core::report::reading::ReadingTimes;
use emotiond_core::report::trigger::{Phase, Signal, TriggerEvent};
use serde_json::Value;

use crate::markdown::{first_column, read};

/// Asserts that the table under `heading` lists these fields and no others.
fn assert_fields(heading: &str, fields: &BTreeSet<String>) {
    let documented: BTreeSet<String> =
        first_column(&read("docs/mqtt.md"), heading, "field").into_iter().collect();
    let missing: Vec<_> = fields.difference(&documented).collect();
    let invented: Vec<_> = documented.difference(fields).collect();
    assert!(
        missing.is_empty() && invented.is_empty(),
        "docs/mqtt.md, {heading}: missing {missing:?}, not in the message {invented:?}"
    );
}

/// The paths of a message's values: `a.b`, and `a[].b` within lists.
fn paths(value: &Value, path: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                paths(value, &path, found);
            }
        }
        Value::Array(list) if list.iter().any(Value::is_object) => {
            list.iter().for_each(|value| paths(value, &format!("{path}[]"), found));
        }
        _ => {
            found.insert(path.to_owned());
        }
    }
}

fn fields(message: &Message) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    paths(&serde_json::from_str(&message.body).unwrap(), "", &mut found);
    found
}

fn encoder() -> Encoder {
    Encoder::new("hall".to_owned(), "0".to_owned())
}

/// The properties of an object of the schema. One that may be null is a field itself, besides those within it.
fn properties(schema: &Value, object: &Value, path: &str, found: &mut BTreeSet<String>) {
    for (name, property) in object["properties"].as_object().unwrap() {
        let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
        let alternatives =
            property["anyOf"].as_array().map_or_else(|| vec![property], |all| all.iter().collect());
        let reference = alternatives.iter().find_map(|one| one["$ref"].as_str());
        let object = reference.map(|name| &schema["$defs"][name.rsplit('/').next().unwrap()]);
        match object.filter(|object| object["properties"].is_object()) {
            Some(object) => properties(schema, object, &path, found),
            None => {
                found.insert(path);
            }
        }
    }
}

#[test]
fn every_field_of_the_summary_is_documented() {
    let schema: Value = serde_json::from_str(&read("docs/summary.schema.json")).unwrap();
    let mut found = BTreeSet::new();
    properties(&schema, &schema, "", &mut found);
    assert!(found.len() > 20 && found.contains("faces.skipped.small"), "{found:?}");
    // What is said of these as a whole: when they are null.
    found.extend(["faces", "expression", "quality.readings"].map(str::to_owned));
    assert_fields("summary", &found);
}

#[test]
fn every_field_of_an_event_is_documented() {
    let event = TriggerEvent {
        name: "smile".to_owned(),
        signal: Signal::Faces,
        phase: Phase::Start,
        at: Moment::ZERO,
        value: None,
        lasted: Duration::ZERO,
        published: true,
        active: true,
    };
    let stamp = Stamp { now: Moment::ZERO, wall: jiff::Timestamp::UNIX_EPOCH, synchronized: false };
    assert_fields("event", &fields(&encoder().event(&event, &stamp)));
}

#[test]
fn every_field_of_info_is_documented() {
    let info = Info {
        version: String::new(),
        models: vec![ModelInfo { name: String::new(), version: String::new(), sha256: String::new() }],
        site: String::new(),
        privacy: PrivacyInfo {
            policy: Policy { emotion: true, facing: true, watchers: true, min_people: 1 },
            legal_basis: None,
            notice: String::new(),
        },
        window: 10.0,
        capabilities: Capabilities {
            expressions: Vec::new(),
            valence_arousal: true,
            action_units: Vec::new(),
            compound: Vec::new(),
            sequences: BTreeMap::from([("<head>".to_owned(), Vec::new())]),
        },
        triggers: Vec::new(),
    };
    assert_fields("info", &fields(&encoder().info(&info)));
}

#[test]
fn every_field_of_health_is_documented() {
    let health = Health {
        time: String::new(),
        uptime: 0.0,
        camera: CameraState::Ok,
        captured_fps: 0.0,
        fps: 0.0,
        readings: ReadingRate::of(&ReadingTimes {
            readable: Duration::from_secs(1),
            ..ReadingTimes::default()
        }),
        cpu: 0.0,
        latency: BTreeMap::from([("<stage>", Latency { mean: 0.0, max: 0.0 })]),
        dropped: 0,
        corrupt: 0,
        published: 0,
        queued: 0,
        queue_on_disk: None,
        queue_disk: "off",
        dropped_messages: 0,
        dropped_summaries: 0,
        temperature: None,
        memory: None,
        clock_synchronized: false,
    };
    assert_fields("health", &fields(&encoder().health(&health)));
}

#[test]
fn every_field_of_a_response_is_documented() {
    let request = Request { asked: Asked::Info, transaction: "1".to_owned() };
    let mut found = fields(&request.answer(&1).unwrap());
    found.extend(fields(&request.refusal("busy")));
    assert_fields("Commands", &found);
}

#[test]
fn the_topics_are_those_of_the_program() {
    let device: DeviceName = "hall".parse().unwrap();
    let topics = [
        Topic::Status,
        Topic::Info,
        Topic::Summary,
        Topic::Event("<trigger>".to_owned()),
        Topic::Health,
        Topic::PauseState,
        Topic::CameraState,
        Topic::TriggerState("<trigger>".to_owned()),
        Topic::Response("<request>".to_owned()),
    ];
    // Fails to compile when there is another topic, which then belongs into the list above.
    for topic in &topics {
        match topic {
            Topic::Status
            | Topic::Info
            | Topic::Summary
            | Topic::Event(_)
            | Topic::Health
            | Topic::PauseState
            | Topic::CameraState
            | Topic::TriggerState(_)
            | Topic::Response(_) => {}
        }
    }
    let filters = Inbox::new(&device, Box::new(|_| Ok(())), Instant::now()).filters();
    let received = filters.iter().flat_map(|filter| match filter.strip_suffix('+') {
        Some(prefix) => Asked::ALL.map(|asked| format!("{prefix}{}", asked.name())).to_vec(),
        None => vec![filter.clone()],
    });
    let mut expected: Vec<String> = topics.iter().map(|topic| topic.path(&device)).chain(received).collect();
    expected.iter_mut().for_each(|path| *path = path.replace("/hall/", "/<device>/"));
    expected.sort();
    let text = read("docs/mqtt.md");
    assert_eq!(first_column(&text, "Topics", "topic"), expected);

    let rows = crate::markdown::rows(&text, "topic");
    for topic in topics {
        let path = topic.path(&device).replace("/hall/", "/<device>/");
        let (_, cells) = rows.iter().find(|(_, cells)| cells[0] == format!("`{path}`")).unwrap();
        assert_eq!(cells[1] == "yes", topic.retained(), "{path}");
    }
}
