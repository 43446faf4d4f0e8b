//! The announcement: a device and its entities, under ids that do not change with any name that is shown.

use anyhow::bail;
use serde_json::{Value, json};

use emotiond_core::report::payload::{DeviceName, Topic};

use super::announced::{Announced, in_words};
use super::entities;

/// What is announced, or that there is nothing to announce.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Discovery {
    /// Where it goes.
    pub topic: String,
    /// What it says; `None` takes the device away.
    pub config: Option<Value>,
    /// Where Home Assistant says `online` when it has started.
    pub birth_topic: String,
    /// `emotiond/<device>/`, the topics that are this device's.
    pub(super) own: String,
}

/// Makes the announcement.
///
/// # Errors
/// If the prefix cannot stand at the beginning of a topic.
pub fn discovery(announced: &Announced) -> anyhow::Result<Discovery> {
    let mut discovery = withdrawal(announced.prefix, announced.device, announced.id)?;
    let path = |topic: Topic| topic.path(announced.device);
    let mut device = json!({
        "identifiers": [identifier(announced.id)],
        "name": in_words(&announced.device.to_string()),
        "manufacturer": "emotiond",
        "model": "Camera to emotion summaries",
        "sw_version": env!("CARGO_PKG_VERSION"),
    });
    if let Some(page) = &announced.page {
        device["configuration_url"] = page.as_str().into();
    }
    discovery.config = Some(json!({
        "device": device,
        "origin": { "name": ORIGIN, "sw_version": env!("CARGO_PKG_VERSION") },
        // `latest`: `offline` makes the device unavailable, and only a summary makes it available again. So what was
        // true before a restart is not shown once more, and a summary that was delivered late is not taken for news.
        "availability_mode": "latest",
        "availability": [
            entities::unavailable_if_offline(&path(Topic::Status)),
            { "topic": path(Topic::Summary), "value_template": entities::is_recent(announced.window) },
        ],
        "qos": 1,
        "components": entities::components(announced, &identifier(announced.id)),
    }));
    Ok(discovery)
}

/// Takes a device away that an earlier configuration announced.
///
/// # Errors
/// If the prefix cannot stand at the beginning of a topic.
pub fn withdrawal(prefix: &str, device: &DeviceName, id: &DeviceName) -> anyhow::Result<Discovery> {
    if prefix.is_empty()
        || prefix.starts_with('/')
        || prefix.ends_with('/')
        || prefix.contains(['+', '#', '\0'])
    {
        bail!(
            "{prefix:?} cannot be Home Assistant's discovery prefix: it is the beginning of a topic, like \"homeassistant\""
        );
    }
    Ok(Discovery {
        topic: format!("{prefix}/device/{}/config", identifier(id)),
        config: None,
        birth_topic: format!("{prefix}/status"),
        own: format!("emotiond/{device}/"),
    })
}

/// Who announces, by which an announcement of ours is known.
pub(super) const ORIGIN: &str = "emotiond";

/// Home Assistant allows letters, digits, "_" and "-" here; the name of a device may have dots besides.
fn identifier(id: &DeviceName) -> String {
    format!("emotiond_{}", id.to_string().replace('.', "_"))
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashSet};
    use std::time::Duration;

    use emotiond_core::report::expression::Expression;

    use super::*;

    static NONE: BTreeMap<String, Vec<String>> = BTreeMap::new();

    fn announced<'a>(device: &'a DeviceName, triggers: &'a [String]) -> Announced<'a> {
        Announced {
            prefix: "homeassistant",
            device,
            id: device,
            window: Duration::from_secs(10),
            health_interval: Duration::from_secs(60),
            expressions: &Expression::ALL,
            valence_arousal: true,
            action_units: &[],
            sequences: &NONE,
            facing: true,
            watchers: true,
            temperature: true,
            triggers,
            commands: true,
            page: None,
        }
    }

    fn config(announced: &Announced) -> Value {
        discovery(announced).unwrap().config.unwrap()
    }

    /// The rules of Home Assistant's `DEVICE_DISCOVERY_SCHEMA` and of the four platforms used.
    fn check(body: &Value) {
        assert!(body["device"]["identifiers"][0].is_string());
        assert_eq!(body["origin"]["name"], "emotiond");
        assert_eq!(body["availability"][0]["topic"], "emotiond/pi.hall/status");
        let mut unique = HashSet::new();
        for (key, entity) in body["components"].as_object().unwrap() {
            let platform = entity["platform"].as_str().unwrap();
            let id = entity["unique_id"].as_str().unwrap();
            assert!(unique.insert(id.to_owned()), "{id} twice");
            assert!(id.starts_with("emotiond_pi_hall_") && id.ends_with(key.as_str()));
            // Without a name of its own it has that of its device class, in the user's language.
            assert!(
                entity["name"].is_string() != ["occupancy", "temperature"].contains(&key.as_str()),
                "{key}"
            );
            assert!(entity["state_topic"].as_str().unwrap().starts_with("emotiond/pi.hall/"));
            match platform {
                "sensor" => {
                    let is_enum = entity["device_class"] == "enum";
                    assert_eq!(is_enum, entity["options"].is_array(), "{key}");
                    assert_eq!(is_enum, entity["state_class"].is_null(), "{key}");
                    assert!(!is_enum || entity["unit_of_measurement"].is_null(), "{key}");
                    assert_eq!(!is_enum, entity["suggested_display_precision"].is_u64(), "{key}");
                    // What is no state on the broker expires.
                    assert_eq!(
                        key != "camera",
                        entity["expire_after"].as_u64().is_some_and(|s| s > 0),
                        "{key}"
                    );
                    let template = entity["value_template"].as_str().unwrap();
                    assert!(template.starts_with("{{ "), "{key}");
                }
                "event" => {
                    assert!(entity["event_types"].as_array().is_some_and(|types| !types.is_empty()));
                    assert!(entity["value_template"].as_str().unwrap().contains("event_type"));
                    assert!(entity["retain"].is_null() && entity["expire_after"].is_null());
                }
                "switch" => {
                    assert_eq!(entity["command_topic"], "emotiond/pi.hall/pause/set");
                    assert_eq!(entity["entity_category"], "config");
                }
                // The states `ON` and `OFF` are Home Assistant's own defaults.
                "binary_sensor" => assert!(entity["payload_on"].is_null()),
                other => panic!("{key}: {other}"),
            }
        }
    }

    fn keys(body: &Value, on: bool) -> Vec<&str> {
        let components = body["components"].as_object().unwrap();
        let enabled = components.iter().filter(|(_, entity)| entity["enabled_by_default"].is_null() == on);
        enabled.map(|(key, _)| key.as_str()).collect()
    }

    #[test]
    fn announces_what_a_person_looks_for_and_keeps_the_rest_off() {
        let device = "pi.hall".parse().unwrap();
        let (triggers, action_units) = (["smile".to_owned()], ["AU12".to_owned(), "AU99".to_owned()]);
        let sequences = BTreeMap::from([("engagement".to_owned(), vec!["engaged".to_owned()])]);
        let all =
            Announced { action_units: &action_units, sequences: &sequences, ..announced(&device, &triggers) };
        let message = discovery(&all).unwrap();
        assert_eq!(message.topic, "homeassistant/device/emotiond_pi_hall/config");
        assert_eq!(message.birth_topic, "homeassistant/status");
        let body = config(&all);
        check(&body);
        assert_eq!(body["device"]["name"], "Pi hall");
        let expected = [
            "occupancy",
            "now",
            "people",
            "expression",
            "facing",
            "valence",
            "arousal",
            "camera",
            "temperature",
            "event_smile",
            "trigger_smile",
            "pause",
        ];
        assert_eq!(keys(&body, true), expected);
        let mut expected = vec!["visits", "dwell", "watchers", "facing_time"];
        expected.extend(Expression::ALL.map(Expression::name));
        expected.extend([
            "au12",
            "au99",
            "sequence_engagement_engaged",
            "memory",
            "fps",
            "latency_frame",
            "latency_decode",
            "latency_detect",
            "latency_emotion",
        ]);
        assert_eq!(keys(&body, false), expected);
        let entities = &body["components"];
        for key in expected {
            assert_eq!(entities[key]["entity_category"], "diagnostic", "{key}");
        }
        assert_eq!(entities["occupancy"]["device_class"], "occupancy");
        assert_eq!(entities["expression"]["name"], "Mood");
        assert_eq!(entities["au12"]["name"], "AU12 Lip corner puller");
        assert_eq!(entities["au99"]["name"], "AU99");
        assert_eq!(entities["sequence_engagement_engaged"]["name"], "Engagement engaged");
        assert_eq!(entities["trigger_smile"]["state_topic"], "emotiond/pi.hall/trigger/smile/state");
        assert_eq!(entities["now"]["expire_after"], 30);
        assert_eq!(entities["temperature"]["expire_after"], 80);
        assert_eq!(
            entities["happiness"]["value_template"],
            "{{ (value_json.expression.distribution.happiness * 100) | round | int if value_json.expression else None }}"
        );
    }

    #[test]
    fn a_long_window_expires_soon_after_it_is_due() {
        let device = "hall".parse().unwrap();
        let seconds = |window| {
            let announced = Announced { window: Duration::from_secs(window), ..announced(&device, &[]) };
            config(&announced)["components"]["now"]["expire_after"].as_u64().unwrap()
        };
        assert_eq!((seconds(1), seconds(10), seconds(3600)), (21, 30, 3620));
    }

    #[test]
    fn what_explains_an_absence_is_readable_during_it() {
        let device = "pi.hall".parse().unwrap();
        let body = config(&announced(&device, &["smile".to_owned()]));
        for key in ["camera", "pause", "event_smile", "trigger_smile"] {
            let entity = &body["components"][key];
            assert_eq!(entity["availability"], json!([{ "topic": "emotiond/pi.hall/status" }]), "{key}");
        }
        // The others wait for news of their own.
        assert_eq!(body["availability_mode"], "latest");
        assert_eq!(body["availability"][1]["topic"], "emotiond/pi.hall/summary");
        let fps = &body["components"]["fps"]["availability"];
        assert_eq!(fps[1]["topic"], "emotiond/pi.hall/health");
    }

    #[test]
    fn announces_no_emotion_where_there_is_none() {
        let device = "pi.hall".parse().unwrap();
        let body = config(&Announced {
            expressions: &[],
            valence_arousal: false,
            facing: false,
            watchers: false,
            temperature: false,
            commands: false,
            ..announced(&device, &[])
        });
        check(&body);
        assert_eq!(keys(&body, true), ["occupancy", "now", "people", "camera", "paused"]);
        assert_eq!(
            keys(&body, false),
            ["visits", "dwell", "memory", "fps", "latency_frame", "latency_decode", "latency_detect"]
        );
        for word in ["expression", "valence", "arousal", "facing", "watchers", "happiness", "Mood"] {
            assert!(!body.to_string().contains(word), "{word}");
        }
    }

    #[test]
    fn an_id_of_its_own_outlives_another_name() {
        let (device, id) = ("kitchen".parse().unwrap(), "hall".parse().unwrap());
        let triggers = ["smile".to_owned()];
        let before = discovery(&announced(&id, &triggers)).unwrap();
        let after = discovery(&Announced { id: &id, ..announced(&device, &triggers) }).unwrap();
        assert_eq!(before.topic, after.topic);
        let ids = |discovery: &Discovery| -> Vec<String> {
            let components = discovery.config.as_ref().unwrap()["components"].as_object().unwrap().clone();
            components.values().map(|entity| entity["unique_id"].to_string()).collect()
        };
        assert_eq!(ids(&before), ids(&after));
        let config = after.config.unwrap();
        assert_eq!(config["device"]["name"], "Kitchen");
        assert_eq!(config["components"]["pause"]["state_topic"], "emotiond/kitchen/pause/state");
    }

    #[test]
    fn the_device_links_to_its_page_if_there_is_one() {
        let device = "hall".parse().unwrap();
        assert!(config(&announced(&device, &[]))["device"].get("configuration_url").is_none());
        let page = Some("http://192.0.2.7:9480/".to_owned());
        let with = config(&Announced { page, ..announced(&device, &[]) });
        assert_eq!(with["device"]["configuration_url"], "http://192.0.2.7:9480/");
    }

    #[test]
    fn refuses_a_prefix_that_is_no_topic() {
        let device = "hall".parse().unwrap();
        for prefix in ["", "/ha", "ha/", "ha/#", "+"] {
            assert!(discovery(&Announced { prefix, ..announced(&device, &[]) }).is_err(), "{prefix:?}");
        }
    }

    #[test]
    fn the_largest_announcement_can_be_published() {
        let device: DeviceName = "d".repeat(64).parse().unwrap();
        let triggers: Vec<_> = (10..74).map(|number| format!("{}{number}", "t".repeat(62))).collect();
        let units: Vec<_> = (1..30).map(|unit| format!("AU{unit}")).collect();
        let all = Announced { action_units: &units, ..announced(&device, &triggers) };
        assert!(config(&all).to_string().len() < 200 * 1024, "{}", config(&all).to_string().len());
    }
}
