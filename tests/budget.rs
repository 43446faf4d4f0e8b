//! Thirty faces at once: the frame rate is kept, every face is read about once a second, and `camera.cpu` holds. The built
//! program on a picture composed of thirty copies of one face, shown in real time.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use image::imageops::{self, FilterType};
use serde_json::Value;
use support::daemon::emotiond;

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");
/// The head in the photo: left, top, width and height.
const HEAD: (u32, u32, u32, u32) = (155, 20, 140, 180);
/// Faces beside and above each other.
const CROWD: (u32, u32) = (6, 5);
/// Of one face in the composed picture.
const TILE: (u32, u32) = (160, 144);
const FACES: u64 = 30;
/// How long a machine with much else to do is given to show one good window.
const PATIENCE: Duration = Duration::from_secs(120);
/// The unit of times in `/proc/<pid>/stat`: `USER_HZ`, which is 100 on every architecture this is built for.
const TICK: f64 = 0.01;

/// Writes the picture of thirty faces into a folder.
fn crowd(folder: &Path) -> PathBuf {
    let photo = image::open(PHOTO).unwrap().into_rgb8();
    let (left, top, width, height) = HEAD;
    let head = imageops::crop_imm(&photo, left, top, width, height).to_image();
    let head = imageops::resize(&head, width * TILE.1 / height, TILE.1, FilterType::Triangle);
    let mut picture = image::RgbImage::from_pixel(CROWD.0 * TILE.0, CROWD.1 * TILE.1, image::Rgb([96; 3]));
    for (row, column) in (0..CROWD.1).flat_map(|row| (0..CROWD.0).map(move |column| (row, column))) {
        let x = column * TILE.0 + (TILE.0 - head.width()) / 2;
        imageops::replace(&mut picture, &head, x.into(), (row * TILE.1).into());
    }
    let path = folder.join("crowd.jpg");
    picture.save(&path).unwrap();
    path
}

/// A daemon that looks at the crowd in real time.
struct Run {
    child: Child,
    summaries: Receiver<Value>,
}

impl Run {
    fn start(folder: &Path, camera: &str) -> Self {
        let config = folder.join("emotiond.toml");
        let text = format!("site = \"home\"\n[camera]\n{camera}\n[summary]\nwindow = \"2s\"\n");
        std::fs::write(&config, text).unwrap();
        let mut command = emotiond();
        let systemd = folder.join("notify");
        if systemd.exists() {
            command.env("NOTIFY_SOCKET", systemd).env("WATCHDOG_USEC", "3000000");
        }
        let mut child = command
            .args(["run", "--publish", "stdout", "--pace", "realtime", "--config"])
            .arg(&config)
            .args(["--source", &format!("replay:{}", crowd(folder).display())])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, summaries) = channel();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _test_is_over = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, summaries }
    }

    /// The next window in which the whole crowd was counted; `None` when the recording is over.
    fn window(&self) -> Option<Value> {
        self.summaries.iter().find(|summary| summary["faces"]["max"] == FACES)
    }

    /// Processor time of all threads so far, seconds.
    fn processor_time(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        // After the name in brackets come the state and numbers; user and system time are the 14th and 15th field.
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks = |field: usize| fields[field - 3].parse::<f64>().unwrap();
        (ticks(14) + ticks(15)) * TICK
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _ended_before = self.child.wait();
    }
}

#[test]
fn thirty_faces_keep_the_frame_rate_and_each_is_read_every_second() {
    let folder = tempfile::tempdir().unwrap();
    // A replay ends after half a minute; a busy machine may need more than one.
    let began = Instant::now();
    let mut last = Value::Null;
    while began.elapsed() < PATIENCE {
        let run = Run::start(folder.path(), "rate = 5.0");
        while let Some(window) = run.window() {
            last = window;
            let quality = &last["quality"];
            let (readings, frames) = (&quality["readings"], quality["frames"].as_u64().unwrap());
            let (rate, oldest) = (readings["rate"].as_f64().unwrap(), readings["oldest"].as_f64().unwrap());
            // Whatever the machine: no more than every frame's faces, and all of them are counted.
            assert!(rate <= 5.5, "{last:#}");
            let counted = last["faces"]["mean"].as_f64().unwrap() > 29.0;
            let settled = readings["fresh"].as_f64().unwrap() > 0.99 && rate < 2.0;
            if frames >= 9 && counted && settled && oldest <= 1.2 {
                return;
            }
        }
    }
    panic!("in {PATIENCE:?} no window had its ten frames and a reading of every face a second:\n{last:#}");
}

#[test]
fn camera_cpu_holds_with_fewer_readings_and_frames_and_a_fed_watchdog() {
    const CORES: f64 = 0.06;
    let folder = tempfile::tempdir().unwrap();
    let systemd = UnixDatagram::bind(folder.path().join("notify")).unwrap();
    let watchdog = std::thread::spawn(move || {
        let (mut longest, mut count, mut fed) = (Duration::ZERO, 0, None);
        let mut buffer = [0; 4096];
        loop {
            let length = systemd.recv(&mut buffer).unwrap();
            let notice = str::from_utf8(&buffer[..length]).unwrap();
            if notice.contains("end of the test") {
                return (count, longest);
            }
            if notice.contains("WATCHDOG=1") {
                count += 1;
                longest =
                    fed.replace(Instant::now()).map_or(longest, |fed: Instant| fed.elapsed().max(longest));
            }
        }
    });
    // Twenty frames a second take more than that for decoding and detection alone.
    let run = Run::start(folder.path(), &format!("rate = 20.0\ncpu = {CORES}"));
    run.window().unwrap();
    let (began, before) = (Instant::now(), run.processor_time());
    let windows: Vec<Value> = (0..5).map(|_| run.window().unwrap()).collect();
    let (passed, used) = (began.elapsed().as_secs_f64(), run.processor_time() - before);
    // What may be over: the unit of the measurement, one frame, and what was saved up before.
    let allowed = CORES * (passed + 1.0) + 0.05 + TICK;
    assert!(used <= allowed, "{used:.2} s of {allowed:.2} s in {passed:.1} s");
    for window in &windows {
        let quality = &window["quality"];
        let (frames, dropped) = (quality["frames"].as_u64().unwrap(), quality["dropped"].as_u64().unwrap());
        assert!(frames >= 1 && dropped >= 1 && frames < 40, "frames are left unread: {window:#}");
        let readings = quality["readings"]["count"].as_u64().unwrap();
        assert!(readings <= 2 * frames, "before frames are, readings are: {window:#}");
    }
    drop(run);
    let end = UnixDatagram::unbound().unwrap();
    end.send_to(b"end of the test", folder.path().join("notify")).unwrap();
    let (count, longest) = watchdog.join().unwrap();
    assert!(count > 20 && longest < Duration::from_secs(3), "fed {count} times, once after {longest:?}");
}
