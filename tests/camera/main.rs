//! The built program with a real V4L2 camera: Debian's kernel in a virtual machine, its own `uvcvideo` driver, and a USB
//! camera made of software (`vuvc`) that is plugged in, pulled out, stalled and worse, while a broker on the host receives what
//! the daemon publishes.
//!
//! Slow, and with needs of its own (QEMU, Debian's kernel package), so it runs only when asked for:
//! `cargo test --locked --test camera -- --ignored --nocapture --test-threads 1`.

#![allow(clippy::unwrap_used, clippy::print_stderr, reason = "a test may")]

#[path = "../support/mod.rs"]
mod support;

mod broker;
mod cycles;
mod faults;
mod frames;
mod guest;
mod inside;
mod several;
mod supervised;

use std::time::Duration;

use serde_json::Value;

use broker::Broker;
use guest::Guest;
use support::mosquitto::Mosquitto;

/// How long each step may take on an emulated processor that shares a loaded machine.
const PATIENCE: Duration = Duration::from_secs(90);

/// Rate and window are for a machine that needs about a second for a frame.
const CONFIG: &str = r#"
site = "home"
device = "guest"
[camera]
source = "v4l2:/dev/video0"
rate = 1.0
timeout = "4s"
[summary]
window = "4s"
[mqtt]
url = "mqtt://10.0.2.100:1883"
"#;

/// A window throughout which the smiling face of the photo was there.
fn a_happy_face(summary: &Value) -> bool {
    summary["quality"]["camera"] == "ok"
        && summary["quality"]["frames"].as_u64().unwrap() > 0
        && (0.95..=1.05).contains(&summary["faces"]["mean"].as_f64().unwrap_or_default())
        && summary["expression"]["dominant"] == "happiness"
}

/// A window about which nothing is claimed, because there was no camera.
fn no_camera(summary: &Value) -> bool {
    let lost = summary["quality"]["camera"] == "lost";
    assert!(!lost || (summary["faces"].is_null() && summary["expression"].is_null()), "{summary}");
    lost
}

#[test]
#[ignore = "boots a virtual machine; run with --ignored"]
fn a_camera_is_plugged_in_pulled_out_and_stalled() {
    let mosquitto = Mosquitto::start();
    let broker = Broker::of(&mosquitto);
    let mut guest = Guest::boot(mosquitto.port(), CONFIG);

    let capturing = guest.log("capturing", 1);
    assert!(capturing.contains("640×480 MJPG at") && capturing.contains("/dev/video0"), "{capturing}");
    assert!(capturing.contains("uvcvideo") && !capturing.contains("back"), "{capturing}");
    lists_the_camera(&guest);
    broker.subscriber.message("emotiond/guest/status", |body| body == "online");
    broker.summary("MJPG", 0, a_happy_face);

    guest.camera("unplugged");
    let lost = guest.log("camera lost", 1);
    assert!(lost.contains("/dev/video0 is not there") && lost.contains("trying again"), "{lost}");
    broker.summary("unplugged", broker.seen(), no_camera);

    guest.camera("yuyv");
    let back = guest.log("camera is back", 1);
    assert!(back.contains("640×480 YUYV at"), "{back}");
    broker.summary("plugged in as YUYV", broker.seen(), a_happy_face);

    guest.camera("stalled");
    let lost = guest.log("camera lost", 2);
    assert!(lost.contains("/dev/video0 delivered no frame for 4s"), "{lost}");
    broker.summary("stalled", broker.seen(), no_camera);
    // Twice the window is more than the time-out and the wait: the stalled camera has been opened again.
    broker.summary("still stalled", broker.seen(), no_camera);
    broker.summary("still stalled", broker.seen(), no_camera);

    guest.camera("yuyv");
    guest.log("camera is back", 2);
    broker.summary("streaming again", broker.seen(), a_happy_face);

    let ended = guest.end();
    assert!(ended.success(), "emotiond's exit code is not 0");
    broker.subscriber.message("emotiond/guest/status", |body| body == "offline");
    let log = guest.read("emotiond.log");
    eprintln!("---- emotiond's log\n{log}");
    // Debian's kernel has Landlock: the new nodes of a camera that comes back lie within what the daemon left itself.
    assert!(log.contains("INFO  confined: Landlock"), "{log}");
    // Each loss is told once, however often the camera was tried in vain.
    for (words, times) in [("camera lost", 2), ("camera is back", 2), ("capturing", 3), ("still lost", 0)] {
        assert_eq!(log.matches(words).count(), times, "{words:?} in {log}");
    }
    assert!(!log.contains("panicked") && log.contains("emotiond ends"), "{log}");
    let statuses = broker.subscriber.until("anything", |received| {
        let statuses = received.iter().filter(|message| message.topic == "emotiond/guest/status");
        Some(statuses.map(|message| message.body.clone()).collect::<Vec<_>>())
    });
    assert_eq!(statuses, ["online", "offline"], "a camera's faults do not touch the connection");
    broker.no_window_is_missing();
}

/// `emotiond cameras` has named the device, its modes and what is taken of them.
fn lists_the_camera(guest: &Guest) {
    let text = guest.read("cameras.txt");
    for words in
        ["/dev/video0  Virtual UVC", "driver uvcvideo", "emotiond takes 640×480 MJPG", "30, 15, 10, 5 fps"]
    {
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
    assert!(text.contains("not usable: it is a camera's metadata node"), "{text}");
    let list: Value = serde_json::from_str(&guest.read("cameras.json")).unwrap();
    let camera = &list["devices"][0];
    assert_eq!(camera["modes"][0]["rates"], serde_json::json!([30.0, 15.0, 10.0, 5.0]), "{camera:#}");
    assert_eq!((&camera["choice"]["fourcc"], &camera["choice"]["width"]), (&"MJPG".into(), &640.into()));
    assert!(list["devices"][1]["choice"].is_null(), "{list:#}");
}
