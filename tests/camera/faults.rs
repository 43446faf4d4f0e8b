//! A camera that another program has, that sends garbage, and that is covered.

use std::path::Path;

use image::imageops::{self, FilterType};
use serde_json::Value;

use crate::broker::Broker;
use crate::guest::Guest;
use crate::support::mosquitto::Mosquitto;
use crate::{CONFIG, a_happy_face, frames, no_camera};

/// What a camera with a bad cable, or a bad temper, sends in place of frames.
fn garbage() -> Vec<Vec<u8>> {
    let scene = frames::scene();
    let whole = frames::mjpg(&scene);
    let cut = whole[..whole.len() / 2].to_vec();
    let noise = (0..20_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let small = frames::mjpg(&imageops::resize(&scene, 320, 240, FilterType::Triangle));
    vec![cut, noise, small, Vec::new()]
}

fn prepare(root: &Path) {
    frames::write(root, "mjpg-garbage", &garbage());
    frames::write(root, "mjpg-dark", &[frames::mjpg(&frames::flat(2))]);
    frames::write(root, "mjpg-grey", &[frames::mjpg(&frames::flat(120))]);
    let short = frames::yuyv(&frames::scene());
    frames::write(root, "yuyv-short", &[short[..short.len() / 3].to_vec(), short[..999].to_vec()]);
}

/// Pictures come, and nothing is to be seen in them: that is not "nobody".
fn blind(summary: &Value) -> bool {
    let blind = summary["quality"]["camera"] == "blind";
    assert!(!blind || (summary["faces"].is_null() && summary["suppressed"].is_null()), "{summary}");
    blind
}

fn corrupt(summary: &Value) -> bool {
    no_camera(summary) && summary["quality"]["corrupt"].as_u64().unwrap() > 0
}

#[test]
#[ignore = "boots a virtual machine; run with --ignored"]
fn a_camera_is_taken_sends_garbage_and_is_covered() {
    let mosquitto = Mosquitto::start();
    let broker = Broker::of(&mosquitto);
    let mut guest = Guest::boot_with(mosquitto.port(), CONFIG, include_str!("faults.sh"), prepare);

    let taken = guest.log("camera lost", 1);
    assert!(taken.contains("/dev/video0 is in use by another program"), "{taken}");
    guest.log("next try in", 3);
    broker.summary("taken by another program", 0, no_camera);
    guest.tell("free", "");
    guest.log("camera is back", 1);
    broker.summary("free", broker.seen(), a_happy_face);

    guest.camera("mjpg-garbage");
    guest.log("the camera sends damaged frames", 1);
    for reason in ["damaged JPEG", "a JPEG of 320×240 where 640×480 was agreed on"] {
        guest.log(&format!("frame skipped: {reason}"), 2);
    }
    broker.summary("garbage", broker.seen(), corrupt);
    guest.camera("mjpg");
    guest.log("frames are whole again", 1);
    broker.summary("whole again", broker.seen(), a_happy_face);

    for (times, cover) in [(1, "mjpg-dark"), (2, "mjpg-grey")] {
        guest.camera(cover);
        guest.log("the camera sees nothing", times);
        broker.summary(cover, broker.seen(), blind);
        guest.camera("mjpg");
        guest.log("the camera sees again", times);
        broker.summary("uncovered", broker.seen(), a_happy_face);
    }

    // As frames without compression, whose length shows that something is missing; the driver marks them.
    guest.camera("yuyv-short");
    guest.log("/dev/video0 is not there", 1);
    let lost = guest.log("only damaged frames", 1);
    assert!(lost.contains("/dev/video0 delivered only damaged frames for 4s"), "{lost}");
    broker.summary("wrong length", broker.seen(), corrupt);
    guest.camera("yuyv");
    guest.log("camera is back", 2);
    broker.summary("of full length", broker.seen(), a_happy_face);

    assert!(guest.end().success(), "emotiond's exit code is not 0");
    let log = guest.read("emotiond.log");
    for (words, times) in [
        ("camera lost", 2),
        ("camera is back", 2),
        ("sends damaged frames", 1),
        ("whole again", 1),
        ("sees nothing", 2),
        ("panicked", 0),
    ] {
        assert_eq!(log.matches(words).count(), times, "{words:?} in {log}");
    }
    broker.no_window_is_missing();
}
