//! Windows and the clock: a live stream is dated by the clock, a stop and a reload lose nothing, silence and pauses are
//! windows of their own, and reading `health` changes nothing. The built program as a process, a real Mosquitto.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;

use support::daemon::{Daemon, emotiond};
use support::mosquitto::Mosquitto;
use support::subscriber::Subscriber;
use support::windows::{after, windows};

/// Pictures a second of the streams: no divisor of anything, and not what any default says.
const RATE: u64 = 7;

/// A grey JPEG without a face, so that it costs little to look at.
fn picture() -> Vec<u8> {
    let mut bytes = Vec::new();
    let image =
        image::RgbImage::from_fn(320, 240, |x, y| image::Rgb([((x * 7 + y * 3) % 200) as u8 + 20; 3]));
    image.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Jpeg).unwrap();
    bytes
}

/// Writes pictures to the daemon's standard input until dropped, except while told to be silent.
struct Feeder {
    silent: Arc<AtomicBool>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Feeder {
    fn start(mut pipe: ChildStdin) -> Self {
        let (silent, stop) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let flags = (Arc::clone(&silent), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            let picture = picture();
            let mut next = Instant::now();
            while !flags.1.load(Ordering::Relaxed) {
                if !flags.0.load(Ordering::Relaxed) && pipe.write_all(&picture).is_err() {
                    return;
                }
                next += Duration::from_millis(1000 / RATE);
                std::thread::sleep(next.saturating_duration_since(Instant::now())); // the camera's rate
            }
        });
        Self { silent, stop, thread: Some(thread) }
    }
}

impl Drop for Feeder {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ended = self.thread.take().unwrap().join();
    }
}

/// A configuration with windows of `window` from `source`; everything else as it is by default.
fn configure(folder: &Path, broker: &Mosquitto, source: &str, window: Option<&str>) -> PathBuf {
    let path = folder.join("emotiond.toml");
    let window = window.map(|window| format!("[summary]\nwindow = \"{window}\"\n")).unwrap_or_default();
    let config = format!(
        "site = \"home\"\ndevice = \"hall\"\n[camera]\nsource = \"{source}\"\n{window}[mqtt]\nurl = \"{}\"\n",
        broker.url()
    );
    std::fs::write(&path, config).unwrap();
    path
}

/// A daemon that reads a live stream from its standard input.
fn fed(config: &Path) -> (Daemon, Feeder) {
    let mut daemon = Daemon::start(Daemon::command(config).stdin(Stdio::piped()));
    let feeder = Feeder::start(daemon.child.stdin.take().unwrap());
    (daemon, feeder)
}

fn summaries(subscriber: &Subscriber) -> Vec<Value> {
    let parse = |received: &[support::subscriber::Received]| {
        let bodies = received.iter().filter(|m| m.topic == "emotiond/hall/summary");
        Some(bodies.map(|m| serde_json::from_str(&m.body).unwrap()).collect())
    };
    subscriber.until("summaries", parse)
}

fn cameras(summaries: &[Value]) -> Vec<&str> {
    summaries.iter().map(|summary| summary["quality"]["camera"].as_str().unwrap()).collect()
}

/// Panics unless the windows received join without hole or overlap, by the wall clock that they are stamped with.
fn assert_joined(subscriber: &Subscriber) -> (SystemTime, SystemTime) {
    let windows = subscriber.until("windows", |received| Some(windows(received)));
    for pair in windows.windows(2) {
        let (hole, overlap) = (after(pair[0].end, pair[1].start), after(pair[1].start, pair[0].end));
        // Each is dated when it is published, from the age of its ends: to the millisecond.
        assert!(hole.max(overlap) <= Duration::from_millis(5), "{pair:#?} do not join");
    }
    (windows.first().unwrap().start, windows.last().unwrap().end)
}

#[test]
fn a_live_stream_is_dated_by_the_clock_through_a_silence_and_a_pause() {
    let broker = Mosquitto::start();
    let folder = tempfile::tempdir().unwrap();
    let subscriber = Subscriber::new(broker.port(), "emotiond/#").patient(Duration::from_secs(60));
    let (mut daemon, feeder) = fed(&configure(folder.path(), &broker, "stream:-", None));
    daemon.wait_line(&["capturing Motion JPEG from standard input"]);
    let began = Instant::now();
    let wait_until = |second: u64| {
        std::thread::sleep((began + Duration::from_secs(second)).saturating_duration_since(Instant::now()));
    };
    // How long after its end each window arrives.
    let arrivals = || -> Vec<f64> {
        let arrival = |count: usize| {
            let end = subscriber.until("the next summary", |all| windows(all).get(count).map(|w| w.end));
            after(end, SystemTime::now()).as_secs_f64()
        };
        (0..12).map(arrival).collect()
    };
    let lateness = std::thread::scope(|scope| {
        let arrivals = scope.spawn(arrivals);
        wait_until(33);
        feeder.silent.store(true, Ordering::Relaxed);
        daemon.wait_line(&["camera lost: standard input delivered no frame for 5s"]);
        wait_until(65);
        feeder.silent.store(false, Ordering::Relaxed);
        daemon.wait_line(&["camera is back"]);
        wait_until(75);
        subscriber.say("emotiond/hall/pause/set", false, "ON");
        subscriber.message("emotiond/hall/pause/state", |body| body == "ON");
        wait_until(108);
        subscriber.say("emotiond/hall/pause/set", false, "OFF");
        arrivals.join().unwrap()
    });
    daemon.signal("TERM");
    assert!(daemon.ended().success());

    let summaries = summaries(&subscriber);
    let cameras = cameras(&summaries);
    for expected in ["ok", "lost", "paused"] {
        assert!(cameras.contains(&expected), "{cameras:?}");
    }
    let (paused, ok) = (cameras.iter().position(|c| *c == "paused").unwrap(), cameras.len());
    assert!(cameras[..paused].contains(&"lost") && cameras[paused..ok].contains(&"ok"), "{cameras:?}");
    for summary in &summaries[..summaries.len() - 1] {
        assert_eq!(summary["window"]["seconds"], 10.0, "{summary}");
    }
    // A window is published at the latest half a second after its end, however long the stream has run.
    for (window, late) in lateness.iter().enumerate() {
        assert!((0.0..3.0).contains(late), "window {} was published {late} s after its end", window + 1);
    }
    let windows = subscriber.until("windows", |received| Some(windows(received)));
    for (number, window) in windows[..windows.len() - 1].iter().enumerate() {
        let passed = after(windows[0].start, window.end).as_secs_f64();
        let expected = 10.0 * (number + 1) as f64;
        assert!((passed - expected).abs() < 0.2, "window {} ends after {passed} s", number + 1);
    }
    assert_joined(&subscriber);
    let seen: u64 = summaries.iter().map(|s| s["quality"]["frames"].as_u64().unwrap()).sum();
    assert!(seen > 200, "{seen} frames analysed");
}

#[test]
fn a_stop_publishes_the_open_window_whatever_the_camera_does() {
    for state in ["ok", "lost", "paused"] {
        let broker = Mosquitto::start();
        let folder = tempfile::tempdir().unwrap();
        let subscriber = Subscriber::new(broker.port(), "emotiond/#");
        let source = if state == "lost" { "v4l2:/dev/emotiond-none" } else { "stream:-" };
        let (mut daemon, _feeder) = fed(&configure(folder.path(), &broker, source, Some("1h")));
        daemon.wait_line(&[if state == "lost" { "camera lost" } else { "capturing" }]);
        if state == "paused" {
            subscriber.message("emotiond/hall/pause/state", |body| body == "OFF");
            subscriber.say("emotiond/hall/pause/set", false, "ON");
            daemon.wait_line(&["camera closed: paused"]);
        }
        std::thread::sleep(Duration::from_millis(1500)); // what the window is to hold
        let stopped = Instant::now();
        daemon.signal("TERM");
        assert!(daemon.ended().success());
        assert!(stopped.elapsed() < Duration::from_secs(5), "{:?}", stopped.elapsed());
        subscriber.message("emotiond/hall/summary", |_| true);
        let summaries = summaries(&subscriber);
        assert_eq!(summaries.len(), 1, "{summaries:#?}");
        let seconds = summaries[0]["window"]["seconds"].as_f64().unwrap();
        assert!((1.4..60.0).contains(&seconds), "{state}: {seconds} s");
        let (_, end) = assert_joined(&subscriber);
        assert!(after(end, SystemTime::now()) < stopped.elapsed() + Duration::from_secs(2));
        if state == "ok" {
            assert_eq!(cameras(&summaries), ["ok"]);
        }
    }
}

#[test]
fn windows_join_over_reloads_whatever_the_camera_does() {
    let broker = Mosquitto::start();
    let folder = tempfile::tempdir().unwrap();
    let subscriber = Subscriber::new(broker.port(), "emotiond/#");
    let (mut daemon, _feeder) = fed(&configure(folder.path(), &broker, "stream:-", Some("2s")));
    let closed = |count: usize| {
        subscriber.until("more windows", |received| (windows(received).len() >= count).then_some(()));
    };
    closed(2);
    daemon.signal("HUP");
    daemon.line("capturing", 2);
    closed(4);
    subscriber.say("emotiond/hall/pause/set", false, "ON");
    daemon.wait_line(&["camera closed: paused"]);
    daemon.signal("HUP");
    daemon.line("restarting with it", 2);
    closed(7);
    subscriber.say("emotiond/hall/pause/set", false, "OFF");
    daemon.line("capturing", 3);
    closed(9);
    daemon.signal("TERM");
    assert!(daemon.ended().success());
    let sequence: Vec<_> = summaries(&subscriber).iter().map(|s| s["sequence"].as_u64().unwrap()).collect();
    assert_eq!(sequence, (1..=sequence.len() as u64).collect::<Vec<_>>());
    assert_joined(&subscriber);
    assert!(!daemon.log().contains("does not stop in time"), "{}", daemon.log());
}

#[test]
fn asking_for_health_takes_nothing_away() {
    let broker = Mosquitto::start();
    let folder = tempfile::tempdir().unwrap();
    let subscriber = Subscriber::new(broker.port(), "emotiond/#");
    let (daemon, _feeder) = fed(&configure(folder.path(), &broker, "stream:-", Some("1s")));
    daemon.wait_line(&["capturing"]);
    subscriber.until("windows", |received| (windows(received).len() >= 5).then_some(()));
    let ask = |transaction: &str| -> Value {
        let body = format!("{{\"transaction\":\"{transaction}\"}}");
        subscriber.say("emotiond/hall/request/health", false, &body);
        let named = |body: &str| body.contains(&format!("\"transaction\":\"{transaction}\""));
        let answer = subscriber.message("emotiond/hall/response/health", named);
        serde_json::from_str::<Value>(&answer.body).unwrap()["result"].clone()
    };
    let (first, second) = (ask("1"), ask("2"));
    for key in ["captured_fps", "fps"] {
        let of = |health: &Value| health[key].as_f64().unwrap();
        assert!(of(&first) > 1.0, "{first}");
        assert!(
            (of(&first) - of(&second)).abs() < 0.3 * of(&first),
            "{key}: {first} and at once after it {second}"
        );
    }
    assert_eq!(first["latency"].as_object().unwrap().len(), second["latency"].as_object().unwrap().len());
}

#[test]
fn no_such_input_nothing_came_and_garbage_are_told_apart() {
    let run = |source: &str, input: &[u8]| {
        let mut child = emotiond()
            .args(["run", "--publish", "stdout", "--config"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/systemd/emotiond.toml"))
            .args(["--source", source])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let _gone = child.stdin.take().unwrap().write_all(input);
        let output = child.wait_with_output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for (source, input, code, words) in [
        ("replay:/no/such/file", b"".as_slice(), 78, "/no/such/file"),
        ("replay:-", b"", 66, "0 bytes came"),
        ("replay:-", &[7; 100_000], 65, "100000 bytes came"),
        ("stream:-", b"", 66, "standard input has ended"),
    ] {
        let (found, log) = run(source, input);
        assert!(found == code && log.contains(words), "{source}: {found}, not {code}\n{log}");
    }
}
