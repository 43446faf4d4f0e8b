//! What Home Assistant sees of the built program, on the wire: nothing stale, nothing left behind, no blink.
//! `make test-ha` shows the same in a real Home Assistant.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use support::daemon::Daemon;
use support::mosquitto::Mosquitto;
use support::subscriber::{Received, Subscriber};

const CONFIG: &str = "homeassistant/device/emotiond_hall/config";
const NO_CAMERA: &str = "v4l2:/dev/emotiond-none";
const PHOTO: &str = concat!("replay:", env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");

/// A device `hall` with windows of a second, a broker, and a client that notes what Home Assistant would receive.
struct Home {
    folder: tempfile::TempDir,
    broker: Mosquitto,
    home: Subscriber,
}

impl Home {
    fn new() -> Self {
        let broker = Mosquitto::start();
        let home = Subscriber::new(broker.port(), "#");
        Self { folder: tempfile::tempdir().unwrap(), broker, home }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("emotiond.toml")
    }

    fn configure(&self, source: &str, triggers: &[&str], more: &str) {
        let trigger = |name: &&str| {
            format!(
                "[[trigger]]\nname = \"{name}\"\nsignal = \"expression.happiness\"\nabove = 0.5\nend = false\n"
            )
        };
        let triggers: String = triggers.iter().map(trigger).collect();
        let config = format!(
            "site = \"home\"\ndevice = \"hall\"\n[camera]\nsource = {source:?}\n[summary]\nwindow = \"1s\"\n\
             [mqtt]\nurl = \"{}\"\n[home_assistant]\n{more}\n{triggers}",
            self.broker.url()
        );
        fs::write(self.path(), config).unwrap();
    }

    fn run(&self) -> Daemon {
        Daemon::run(&self.path())
    }

    /// Waits for an announcement that is accepted.
    fn announced(&self, what: &str, accepted: impl Fn(&Value) -> bool) -> Received {
        self.home.until(what, |received| {
            let config = |m: &&Received| {
                m.topic == CONFIG
                    && accepted(&serde_json::from_str(&m.body).unwrap_or(Value::Null)["components"])
            };
            received.iter().find(config).cloned()
        })
    }

    /// How often emotiond has connected.
    fn connections(&self) -> usize {
        self.broker
            .log()
            .lines()
            .filter(|line| line.contains("New client connected") && line.contains("as emotiond-hall "))
            .count()
    }

    /// What a client that comes now finds on the broker.
    fn retained(&self) -> Vec<Received> {
        let late = Subscriber::new(self.broker.port(), "#");
        late.message("emotiond/hall/summary", |_| true);
        late.take().into_iter().filter(|message| message.retained).collect()
    }
}

fn bodies<'a>(received: &'a [Received], topic: &str) -> Vec<&'a str> {
    received.iter().filter(|m| m.topic == topic).map(|m| m.body.as_str()).collect()
}

#[test]
fn a_reload_changes_what_is_announced_without_a_blink() {
    let home = Home::new();
    let status = Subscriber::new(home.broker.port(), "emotiond/hall/status");
    home.configure(NO_CAMERA, &["smile"], "");
    let daemon = home.run();
    home.announced("the device", |components| {
        components["event_smile"]["unique_id"] == "emotiond_hall_event_smile"
    });
    home.home.message("emotiond/hall/summary", |_| true);

    home.configure(NO_CAMERA, &["grin"], "");
    daemon.signal("HUP");
    let second = home.announced("the other trigger", |components| components["event_grin"].is_object());
    let components = &serde_json::from_str::<Value>(&second.body).unwrap()["components"];
    // Removed as Home Assistant asks for it: the component with its platform alone.
    assert_eq!(components["event_smile"], json!({ "platform": "event" }));
    assert_eq!(components["trigger_smile"], json!({ "platform": "binary_sensor" }));
    home.home.message("emotiond/hall/trigger/smile/state", str::is_empty);

    home.configure(NO_CAMERA, &["grin"], "discovery = false");
    daemon.signal("HUP");
    home.home.message(CONFIG, str::is_empty);
    home.home.take();
    home.configure(NO_CAMERA, &["grin"], "discovery = true");
    daemon.signal("HUP");
    home.announced("the device again", |components| components["event_grin"]["unique_id"].is_string());
    home.home.message("emotiond/hall/summary", |_| true);
    assert_eq!(bodies(&home.retained(), CONFIG).len(), 1);
    assert_eq!(bodies(&status.take(), "emotiond/hall/status"), ["online"]);
    assert_eq!(home.connections(), 1, "{}", home.broker.log());
}

#[test]
fn a_restart_removes_what_an_earlier_run_announced() {
    let home = Home::new();
    home.configure(NO_CAMERA, &["smile"], "");
    let daemon = home.run();
    home.announced("the device", |components| components["event_smile"].is_object());
    home.home.message("emotiond/hall/summary", |_| true);
    daemon.kill();

    home.configure(NO_CAMERA, &[], "");
    let daemon = home.run();
    let gone = |components: &Value| components["event_smile"] == json!({ "platform": "event" });
    let announced = home.announced("the removal", gone);
    assert!(announced.body.contains("\"now\":{\"platform\":\"sensor\",\"unique_id\""), "{}", announced.body);
    home.home.message("emotiond/hall/summary", |_| true);
    let retained = home.retained();
    assert_eq!(bodies(&retained, "emotiond/hall/trigger/smile/state"), [""; 0]);
    daemon.kill();

    home.home.take();
    home.configure(NO_CAMERA, &[], "discovery = false");
    let _daemon = home.run();
    home.home.message(CONFIG, str::is_empty);
    assert_eq!(bodies(&home.retained(), CONFIG), [""; 0]);
}

#[test]
fn the_camera_and_the_triggers_have_states_that_a_late_comer_finds() {
    let home = Home::new();
    home.configure(PHOTO, &["smile"], "");
    let daemon = home.run();
    home.home.message("emotiond/hall/camera/state", |body| body == "ok");
    home.home.message("emotiond/hall/trigger/smile/state", |body| body == "ON");
    let retained = home.retained();
    assert_eq!(bodies(&retained, "emotiond/hall/camera/state"), ["ok"]);
    assert_eq!(bodies(&retained, "emotiond/hall/trigger/smile/state"), ["ON"]);
    home.home.say("emotiond/hall/pause/set", false, "ON");
    home.home.message("emotiond/hall/camera/state", |body| body == "paused");
    // Its end is no event for this trigger, and a change of its state all the same.
    home.home.until("the end", |received| {
        (bodies(received, "emotiond/hall/trigger/smile/state").last() == Some(&"OFF")).then_some(())
    });
    let all = home.home.take();
    assert_eq!(bodies(&all, "emotiond/hall/trigger/smile/state"), ["OFF", "ON", "OFF"]);
    assert_eq!(bodies(&all, "emotiond/hall/event/smile").len(), 1);
    // Nobody was told that the camera was lost while it was being opened.
    assert_eq!(bodies(&all, "emotiond/hall/camera/state"), ["ok", "paused"]);
    // While it is paused, summaries go on and say why they are empty.
    home.home.message("emotiond/hall/summary", |body| body.contains("\"camera\":\"paused\""));
    drop(daemon);
}

#[test]
fn a_flood_or_a_giant_on_the_birth_topic_costs_nothing() {
    let home = Home::new();
    home.configure(NO_CAMERA, &[], "");
    let daemon = home.run();
    home.announced("the device", |components| components["now"].is_object());
    home.home.message("emotiond/hall/summary", |_| true);
    home.home.take();
    for _ in 0..500 {
        home.home.say("homeassistant/status", false, "online");
    }
    home.home.say("homeassistant/status", false, &"x".repeat(70_000));
    home.home.until("a summary after all of it", |received| {
        let last =
            received.iter().rposition(|m| m.topic == "homeassistant/status" && m.body.len() == 70_000)?;
        received[last..].iter().any(|m| m.topic == "emotiond/hall/summary").then_some(())
    });
    assert_eq!(bodies(&home.home.take(), CONFIG).len(), 1);
    assert_eq!(home.connections(), 1);

    // A message too large to be read ends the connection; the next one does without the topic, retained or not.
    let giant = home.folder.path().join("giant");
    fs::write(&giant, vec![b'x'; 3 << 20]).unwrap();
    let port = home.broker.port().to_string();
    let watcher = Subscriber::new(home.broker.port(), "emotiond/#");
    let said = Command::new("mosquitto_pub")
        .args(["-h", "127.0.0.1", "-p", &port, "-q", "1", "-r", "-t", "homeassistant/status", "-f"])
        .arg(&giant)
        .status()
        .unwrap();
    assert!(said.success());
    let line = daemon.wait_line(&["ERROR", "somebody sent a message of", "look for a retained message"]);
    assert!(line.contains("3145"), "{line}");
    daemon.wait_line(&["connected to", "again"]);
    for _ in 0..3 {
        watcher.take();
        watcher.message("emotiond/hall/summary", |_| true);
    }
    assert_eq!(home.connections(), 2, "{}", daemon.log());
}
