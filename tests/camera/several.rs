//! Two cameras, each with an instance of the shipped `emotiond@.service` under a real systemd: one is stopped, started and
//! reloaded, and the other goes on.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::guest::Guest;
use crate::support::mosquitto::Mosquitto;
use crate::support::subscriber::Subscriber;
use crate::{CONFIG, PATIENCE, supervised};

const DROP_IN: &str = "
[Service]
ExecStart=
ExecStart=/opt/emotiond/bin/emotiond run --config /etc/emotiond/%i.toml
StandardError=append:/tmp/w/%i.log
";

/// The detector alone, so that an emulated processor has enough for two.
fn config(name: &str, camera: &str) -> String {
    CONFIG
        .replace("\"home\"", "\"education\"")
        .replace("\"guest\"", &format!("\"{name}\""))
        .replace("/dev/video0", camera)
        .replace("rate = 1.0", "rate = 0.5")
}

fn prepare(root: &Path) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    for file in ["emotiond@.service", "emotiond.sysusers.conf"] {
        fs::copy(shipped.join(file), root.join(file)).unwrap();
    }
    fs::write(root.join("emotiond@.service.conf"), DROP_IN).unwrap();
    fs::write(root.join("driver.service"), supervised::DRIVER).unwrap();
    fs::write(root.join("driver.sh"), include_str!("several.sh")).unwrap();
    fs::write(root.join("hall.toml"), config("hall", "/dev/video0")).unwrap();
    fs::write(root.join("door.toml"), config("door", "/dev/video2")).unwrap();
    fs::write(root.join("state2"), "mjpg").unwrap();
}

/// Waits for a summary with a face in it from one device, after the first `seen` messages.
fn a_face(subscriber: &Subscriber, device: &str, seen: usize) {
    let topic = format!("emotiond/{device}/summary");
    subscriber.until(&format!("a summary of {device}"), |received| {
        let summaries = received[seen..].iter().filter(|message| message.topic == topic);
        summaries
            .map(|message| serde_json::from_str::<Value>(&message.body).unwrap())
            .find(|summary| summary["faces"]["mean"].as_f64().unwrap_or_default() > 0.9)
    });
}

#[test]
#[ignore = "boots a virtual machine; run with --ignored"]
fn of_two_cameras_one_is_stopped_and_reloaded_alone() {
    let mosquitto = Mosquitto::start();
    let subscriber = Subscriber::new(mosquitto.port(), "emotiond/#").patient(PATIENCE);
    let seen = || subscriber.until("anything", |received| Some(received.len()));
    let unused = config("unused", "/dev/video0");
    let mut guest = Guest::boot_with(mosquitto.port(), &unused, include_str!("supervised.sh"), prepare);

    assert_eq!(guest.line("driver.log", "started: ", 1), "started: hall active, door active");
    a_face(&subscriber, "hall", 0);
    a_face(&subscriber, "door", 0);
    guest.tell("seen", "both");

    assert_eq!(
        guest.line("driver.log", "stopped: ", 1),
        "stopped: hall inactive, door active, the same door"
    );
    subscriber.message("emotiond/hall/status", |body| body == "offline");
    a_face(&subscriber, "door", seen());
    guest.tell("seen", "door");

    assert_eq!(
        guest.line("driver.log", "started again: ", 1),
        "started again: hall active, door active, the same door"
    );
    a_face(&subscriber, "hall", seen());
    guest.tell("seen", "again");

    assert_eq!(
        guest.line("driver.log", "reloaded: ", 1),
        "reloaded: hall active, door active, the same door"
    );
    a_face(&subscriber, "hall", seen());
    a_face(&subscriber, "door", seen());
    guest.tell("seen", "reloaded");
    assert_eq!(guest.line("driver.log", "state: ", 1), "state: emotiond@door emotiond@hall");
    assert!(guest.ended().success());
    for log in ["hall.log", "door.log"] {
        let text = guest.read(log);
        assert!(text.contains("confined: Landlock") && !text.contains("camera lost"), "{log}: {text}");
    }
    assert_eq!(guest.read("door.log").matches("capturing").count(), 1, "{}", guest.read("door.log"));
}
