//! What a subscriber has heard of each device, made of messages that anybody may have written: whatever they contain, what
//! is kept of them is bounded, and no text of theirs reaches the terminal raw.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::command::printable;
use emotiond_core::report::payload::DeviceName;

/// The most devices that are followed.
const MOST_DEVICES: usize = 64;
/// Points of the trail, one a window.
const TRAIL: usize = 40;
/// Events that are kept.
const EVENTS: usize = 50;
/// Bars of one kind, and letters of their names.
const MOST_BARS: usize = 32;
const LONGEST_WORD: usize = 32;

/// The devices by their names.
pub type Devices = BTreeMap<String, Heard>;

/// What has been heard of one device.
#[derive(Debug, Default)]
pub struct Heard {
    /// What `status` says: `online` or `offline`.
    pub status: Option<String>,
    /// What `camera/state` says.
    pub camera: Option<String>,
    /// Whether the camera is closed on request.
    pub paused: bool,
    /// The last window.
    pub window: Option<WindowHeard>,
    /// When it arrived.
    pub arrived: Option<Instant>,
    /// Valence and arousal of the last windows, the latest at the end; -1 to 1.
    pub trail: VecDeque<(f64, f64)>,
    /// The last health report.
    pub health: Option<HealthHeard>,
    /// Events and changes of state, the latest first.
    pub events: VecDeque<String>,
}

/// A window, as far as the page shows it.
#[derive(Debug, Default)]
pub struct WindowHeard {
    /// Number of the window in its run.
    pub sequence: u64,
    /// Length in seconds.
    pub seconds: f64,
    /// Mean number of faces, the most at once, and people; `None` if nothing was observed.
    pub faces: Option<(f64, f64, f64)>,
    /// Shares of the expressions by name, 0 to 1.
    pub expression: Vec<(String, f64)>,
    /// Activations of the action units by name, 0 to 1.
    pub units: Vec<(String, f64)>,
    /// Why there is no emotion.
    pub suppressed: Option<String>,
    /// The camera's state.
    pub camera: String,
    /// Frames analysed, a second.
    pub rate: f64,
    /// Frames not analysed.
    pub dropped: f64,
}

/// A health report, as far as the page shows it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct HealthHeard {
    /// Frames captured a second.
    pub captured_fps: f64,
    /// Frames analysed a second.
    pub fps: f64,
    /// Messages waiting for the broker.
    pub queued: u64,
    /// The hottest sensor in °C.
    pub temperature: Option<f64>,
    /// Resident memory in MiB.
    pub memory: Option<f64>,
    /// Whether the wall clock is known to be synchronized.
    pub clock_synchronized: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct SummaryHeard {
    sequence: u64,
    window: LengthHeard,
    faces: Option<FacesHeard>,
    expression: Option<ExpressionHeard>,
    valence: Option<MeanHeard>,
    arousal: Option<MeanHeard>,
    action_units: Option<Map<String, Value>>,
    suppressed: Option<String>,
    quality: QualityHeard,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct LengthHeard {
    seconds: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct FacesHeard {
    mean: f64,
    max: f64,
    people: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct ExpressionHeard {
    distribution: Map<String, Value>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct MeanHeard {
    mean: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct QualityHeard {
    camera: String,
    frames: f64,
    dropped: f64,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct EventHeard {
    trigger: String,
    phase: String,
    time: String,
    value: Option<f64>,
    seconds: f64,
}

/// Takes a message in. What is none of a device, or says nothing that can be read, changes nothing.
pub fn take(devices: &mut Devices, topic: &str, body: &str, now: Instant, wall: Timestamp) {
    let mut levels = topic.split('/');
    let (Some("emotiond"), Some(name), Some(kind)) = (levels.next(), levels.next(), levels.next()) else {
        return;
    };
    if name.parse::<DeviceName>().is_err() || (!devices.contains_key(name) && devices.len() >= MOST_DEVICES) {
        return;
    }
    let device = devices.entry(name.to_owned()).or_default();
    match (kind, levels.next()) {
        ("status", None) => {
            let status = word(body);
            if device.status.replace(status.clone()).is_some_and(|before| before != status) {
                device.note(&wall.strftime("%H:%M:%S").to_string(), &status);
            }
        }
        ("pause", Some("state")) => {
            let paused = body == "ON";
            if std::mem::replace(&mut device.paused, paused) != paused {
                let what = if paused { "paused: the camera is closed" } else { "the camera is open again" };
                device.note(&wall.strftime("%H:%M:%S").to_string(), what);
            }
        }
        ("camera", Some("state")) => {
            let camera = word(body);
            if device.camera.replace(camera.clone()).is_some_and(|before| before != camera) {
                device.note(&wall.strftime("%H:%M:%S").to_string(), &format!("camera {camera}"));
            }
        }
        ("summary", None) => {
            if let Ok(summary) = serde_json::from_str::<SummaryHeard>(body) {
                device.summary(summary);
                device.arrived = Some(now);
            }
        }
        ("health", None) => device.health = serde_json::from_str(body).ok().or(device.health.take()),
        ("event", Some(_)) => {
            if let Ok(event) = serde_json::from_str::<EventHeard>(body) {
                let value =
                    event.value.map_or_else(String::new, |value| format!(", value {}", figure(value, 2)));
                let (trigger, phase) = (word(&event.trigger), word(&event.phase));
                let time: String = word(event.time.get(11..19).unwrap_or("--:--:--"));
                device
                    .note(&time, &format!("{trigger}: {phase} after {} s{value}", figure(event.seconds, 1)));
            }
        }
        _ => {}
    }
}

impl Heard {
    fn note(&mut self, time: &str, what: &str) {
        self.events.truncate(EVENTS - 1);
        self.events.push_front(format!("{time}  {what}"));
    }

    fn summary(&mut self, summary: SummaryHeard) {
        if let (Some(valence), Some(arousal)) = (&summary.valence, &summary.arousal) {
            self.trail.push_back((valence.mean.clamp(-1.0, 1.0), arousal.mean.clamp(-1.0, 1.0)));
            if self.trail.len() > TRAIL {
                self.trail.pop_front();
            }
        }
        let seconds = summary.window.seconds;
        self.window = Some(WindowHeard {
            sequence: summary.sequence,
            seconds,
            faces: summary.faces.map(|faces| (faces.mean, faces.max, faces.people)),
            expression: summary.expression.map(|e| named(&e.distribution)).unwrap_or_default(),
            units: summary.action_units.as_ref().map(named).unwrap_or_default(),
            suppressed: summary.suppressed.as_deref().map(word),
            camera: word(&summary.quality.camera),
            rate: if seconds > 0.0 { summary.quality.frames / seconds } else { 0.0 },
            dropped: summary.quality.dropped,
        });
    }
}

/// Shares by name, in the order in which they came.
fn named(map: &Map<String, Value>) -> Vec<(String, f64)> {
    let pairs = map.iter().filter_map(|(name, share)| Some((word(name), share.as_f64()?.clamp(0.0, 1.0))));
    pairs.take(MOST_BARS).collect()
}

/// A word of a foreign message: short, and without anything that acts on a terminal.
fn word(text: &str) -> String {
    let short: String = text.chars().take(LONGEST_WORD).collect();
    printable::word(&short).into_owned()
}

/// A number with so many decimals, never longer than its place on the page.
pub fn figure(value: f64, decimals: usize) -> String {
    if (-99_999.0..=99_999.0).contains(&value) { format!("{value:.decimals$}") } else { "?".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn heard(messages: &[(&str, &str)]) -> Devices {
        let mut devices = Devices::new();
        let wall = Timestamp::from_second(1_800_000_000).unwrap();
        for (topic, body) in messages {
            take(&mut devices, topic, body, Instant::now(), wall);
        }
        devices
    }

    #[test]
    fn a_device_is_what_its_messages_say() {
        let devices = heard(&[
            ("emotiond/hall/status", "online"),
            (
                "emotiond/hall/summary",
                r#"{"sequence":7,"window":{"seconds":2.0},"faces":{"mean":1.5,"max":2,"people":3},
                "expression":{"distribution":{"neutral":0.25,"happiness":0.75}},"valence":{"mean":0.5},
                "arousal":{"mean":-0.25},"action_units":{"AU12":0.9},"suppressed":null,
                "quality":{"camera":"ok","frames":10},"later":{"field":[1]}}"#,
            ),
            (
                "emotiond/hall/event/smile",
                r#"{"trigger":"smile","phase":"start","time":"2026-11-29T04:33:01.000Z",
                "value":0.83,"seconds":2.0}"#,
            ),
            ("emotiond/hall/health", r#"{"fps":4.98,"queued":3,"temperature":null,"memory":61.2}"#),
            ("emotiond/hall/camera/state", "ok"),
            ("emotiond/hall/camera/state", "lost"),
            ("emotiond/hall/pause/state", "ON"),
            ("emotiond/hall/status", "offline"),
            ("emotiond/kitchen/status", "online"),
        ]);
        assert_eq!(devices.keys().collect::<Vec<_>>(), ["hall", "kitchen"]);
        let hall = &devices["hall"];
        let window = hall.window.as_ref().unwrap();
        assert_eq!((window.sequence, window.faces, window.rate), (7, Some((1.5, 2.0, 3.0)), 5.0));
        assert_eq!(window.expression, [("neutral".to_owned(), 0.25), ("happiness".to_owned(), 0.75)]);
        assert_eq!(hall.trail, [(0.5, -0.25)]);
        assert_eq!(hall.health.as_ref().unwrap().queued, 3);
        let events: Vec<_> = hall.events.iter().map(String::as_str).collect();
        assert_eq!(
            events,
            [
                "08:00:00  offline",
                "08:00:00  paused: the camera is closed",
                "08:00:00  camera lost",
                "04:33:01  smile: start after 2.0 s, value 0.83"
            ]
        );
    }

    #[test]
    fn what_others_write_is_bounded_and_cannot_act() {
        let evil = "\u{1b}[2J\u{9b}31m\u{202e}";
        let long = format!("{evil}{}", "x".repeat(100_000));
        let body = serde_json::json!({
            "expression": {"distribution": (0..100).map(|n| (format!("{evil}{n}"), 1e300)).collect::<BTreeMap<_, _>>()},
            "valence": {"mean": 1e300}, "arousal": {"mean": -1e300}, "suppressed": long, "quality": {"camera": long}
        });
        let event =
            serde_json::json!({"trigger": long, "phase": evil, "time": "éééééééééééééééé", "seconds": 1e300});
        let many: Vec<_> = (0..500).map(|n| (format!("emotiond/d{n}/status"), long.clone())).collect();
        let mut messages: Vec<(&str, &str)> = many.iter().map(|(t, b)| (&**t, &**b)).collect();
        let (body, event, name) = (body.to_string(), event.to_string(), format!("emotiond/{evil}/status"));
        messages.insert(0, (&name, "online"));
        for _ in 0..100 {
            messages.insert(0, ("emotiond/hall/event/a", &event));
            messages.insert(0, ("emotiond/hall/summary", &body));
        }
        let devices = heard(&messages);
        assert_eq!(devices.len(), MOST_DEVICES);
        let hall = &devices["hall"];
        assert_eq!((hall.trail.len(), hall.events.len()), (TRAIL, EVENTS));
        assert_eq!(hall.trail[0], (1.0, -1.0));
        assert_eq!(hall.window.as_ref().unwrap().expression.len(), MOST_BARS);
        let everything = format!("{devices:?}");
        assert!(!everything.contains(['\u{1b}', '\u{9b}', '\u{202e}']));
        assert!(hall.events.iter().all(|event| event.len() < 1000), "{:?}", hall.events);
    }

    proptest! {
        #[test]
        fn no_message_is_too_strange(topic in "emotiond/hall/(summary|health|event/a|status|pause/state|x)",
                                     body in "\\PC{0,40}|\\{\"(window|faces|quality|valence|value|time)\":(null|1|\"a\"|\\[\\]|\\{\\})\\}") {
            heard(&[(&topic, &body)]);
        }
    }
}
