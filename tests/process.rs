//! The built program as its users run it: as a process, with a real broker where there is one to talk to.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::PATIENCE;
use support::mosquitto::Mosquitto;
use support::subscriber::Subscriber;

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");

fn emotiond() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emotiond"));
    command.env_remove("RUST_LOG").env_remove("NOTIFY_SOCKET").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> Output {
    emotiond().args(arguments).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn json_lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The camera's state in a summary.
fn camera(body: &str) -> String {
    serde_json::from_str::<Value>(body).unwrap()["quality"]["camera"].as_str().unwrap().to_owned()
}

fn kill(child: &Child, signal: &str) {
    let status = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(status.success());
}

/// A daemon on a replay of the photo that ends with the test.
struct Daemon {
    child: Child,
    _folder: tempfile::TempDir,
    config: PathBuf,
}

impl Daemon {
    fn start(broker: &str, extra: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("emotiond.toml");
        write_config(&config, broker, extra);
        let child = emotiond()
            .args(["run", "--source", &format!("replay:{PHOTO}"), "--config"])
            .arg(&config)
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Self { child, _folder: folder, config }
    }

    /// Waits for the process to end by itself; gives its exit code.
    fn code_within(&mut self, within: Duration) -> Option<i32> {
        let deadline = Instant::now() + within;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("still running after {within:?}");
    }

    /// Waits for a line of the log that contains `words`.
    fn wait_for_log(&mut self, words: &str) {
        let mut log = BufReader::new(self.child.stderr.as_mut().unwrap());
        let mut line = String::new();
        let mut seen = String::new();
        while log.read_line(&mut line).unwrap() > 0 {
            if line.contains(words) {
                return;
            }
            seen.push_str(&line);
            line.clear();
        }
        panic!("{words:?} is not in the log:\n{seen}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _ended_before = self.child.wait();
    }
}

fn write_config(path: &Path, broker: &str, extra: &str) {
    let config = format!(
        "site = \"home\"\ndevice = \"hall\"\n[summary]\nwindow = \"1s\"\n[mqtt]\nurl = \"{broker}\"\n{extra}\n"
    );
    std::fs::write(path, config).unwrap();
}

#[test]
fn a_photo_replayed_to_standard_output_gives_one_line_a_window() {
    let source = format!("replay:{PHOTO}");
    let output = run(&["run", "--source", &source, "--publish", "stdout"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 3, "an image is replayed for 30 s, a window is 10 s");
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["sequence"], index + 1);
        assert_eq!((&line["faces"]["max"], &line["faces"]["people"]), (&Value::from(1), &Value::from(1)));
        // A track counts from its second frame on, so the very first frame is nobody's.
        assert!(line["faces"]["mean"].as_f64().unwrap() >= if index == 0 { 0.97 } else { 1.0 });
        assert_eq!(line["window"]["seconds"], 10.0);
        assert_eq!(line["expression"]["dominant"], "happiness");
        assert_eq!(line["quality"]["frames"], 50);
    }
    assert_eq!(lines[0]["window"]["end"], lines[1]["window"]["start"]);
}

#[test]
fn somebody_who_comes_looks_and_goes_is_a_visit_with_its_dwell() {
    let jpeg = |picture: &image::RgbImage| {
        let mut bytes = Vec::new();
        picture.write_with_encoder(image::codecs::jpeg::JpegEncoder::new(&mut bytes)).unwrap();
        bytes
    };
    let photo = jpeg(&image::open(PHOTO).unwrap().into_rgb8());
    let empty =
        jpeg(&image::RgbImage::from_fn(512, 512, |x, y| image::Rgb([(x / 2) as u8, (y / 2) as u8, 90])));
    // At 5 frames a second: nobody for 4 s, a visit of 8 s that is interrupted for 2 s, nobody, another of 4 s.
    let stream: Vec<u8> =
        [(&empty, 20), (&photo, 15), (&empty, 10), (&photo, 15), (&empty, 30), (&photo, 20)]
            .iter()
            .flat_map(|(jpeg, frames)| jpeg.repeat(*frames))
            .collect();
    let folder = tempfile::tempdir().unwrap();
    let (clip, config) = (folder.path().join("clip.mjpeg"), folder.path().join("emotiond.toml"));
    std::fs::write(&clip, stream).unwrap();
    write_config(
        &config,
        "embedded",
        "[camera]\nreplay_fps = 5.0\n[[trigger]]\nname = \"door\"\nsignal = \"visit\"\n",
    );
    let source = format!("replay:{}", clip.display());
    let config = config.display().to_string();
    let output =
        run(&["run", "--config", &config, "--source", &source, "--publish", "stdout", "--window", "5s"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = json_lines(&output);
    let faces = |key: &str| lines.iter().map(|line| line["faces"][key].clone()).collect::<Vec<_>>();
    let sum = |counts: Vec<Value>| counts.iter().map(|count| count.as_u64().unwrap()).sum::<u64>();
    assert_eq!((sum(faces("visits")), sum(faces("watchers"))), (2, 2), "{lines:#?}");
    let told: Vec<_> = faces("dwell").into_iter().filter(|dwell| dwell["ended"] != 0).collect();
    // From the first sight to the last: 40 and 20 frames show the two, the first with a break between.
    let expected = [7.8, 3.8];
    assert_eq!(told.len(), 2, "{lines:#?}");
    for (dwell, seconds) in told.iter().zip(expected) {
        assert_eq!(dwell["ended"], 1);
        assert!((dwell["mean"].as_f64().unwrap() - seconds).abs() < 0.5, "{dwell}");
    }
    assert_eq!((&told[0]["histogram"][1], &told[1]["histogram"][0]), (&Value::from(1), &Value::from(1)));
    let first = lines.iter().position(|line| line["faces"]["dwell"]["ended"] != 0).unwrap();
    // While it was hidden for two seconds nobody knows where it looked.
    let attraction = lines[first]["faces"]["attraction"].as_f64().unwrap();
    assert!((0.6..0.8).contains(&attraction), "{attraction}");
    assert!(faces("longest").iter().any(|longest| longest.as_f64().is_some_and(|longest| longest > 3.0)));
}

#[test]
fn motion_jpeg_on_standard_input_is_replayed_and_garbage_in_it_is_counted() {
    let photo = image::open(PHOTO).unwrap().into_rgb8();
    let mut jpeg = Vec::new();
    photo.write_with_encoder(image::codecs::jpeg::JpegEncoder::new(&mut jpeg)).unwrap();
    let mut child = emotiond()
        .args(["run", "--source", "replay:-", "--publish", "stdout"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || {
        for frame in 0..50 {
            // Every tenth frame is cut in half, as a bad cable would.
            let end = if frame % 10 == 5 { jpeg.len() / 2 } else { jpeg.len() };
            input.write_all(&jpeg[..end]).unwrap();
        }
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    assert!(output.status.success());
    let lines = json_lines(&output);
    let sum = |key: &str| lines.iter().map(|line| line["quality"][key].as_u64().unwrap()).sum::<u64>();
    assert_eq!(lines.len(), 1);
    assert!(sum("corrupt") > 0, "{lines:?}");
    assert_eq!(lines[0]["expression"]["dominant"], "happiness");
}

#[test]
fn a_reader_that_has_gone_ends_the_run_without_an_error() {
    let mut child = emotiond()
        .args(["run", "--source", &format!("replay:{PHOTO}"), "--publish", "stdout"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(child.wait().unwrap().success(), "{log}");
    assert!(!log.contains("ERROR"), "{log}");
}

#[test]
fn kill_minus_nine_makes_the_broker_say_offline() {
    let broker = Mosquitto::start();
    let status = Subscriber::new(broker.port(), "emotiond/hall/status");
    let mut daemon = Daemon::start(&broker.url(), "");
    status.message("emotiond/hall/status", |body| body == "online");
    daemon.child.kill().unwrap(); // SIGKILL
    status.message("emotiond/hall/status", |body| body == "offline");
}

#[test]
fn a_restarted_broker_hears_of_the_daemon_again() {
    let mut broker = Mosquitto::start();
    let info = Subscriber::new(broker.port(), "emotiond/hall/info");
    let _daemon = Daemon::start(&broker.url(), "");
    let first = info.message("emotiond/hall/info", |_| true).body;
    drop(info);
    broker.kill();
    broker.restart();
    let info = Subscriber::new(broker.port(), "emotiond/hall/info");
    let again = info.message("emotiond/hall/info", |_| true).body;
    assert_eq!(again, first, "the same daemon (its boot id is in there), never restarted");
}

#[test]
fn a_crash_leaves_no_core_dump() {
    let broker = Mosquitto::start();
    let status = Subscriber::new(broker.port(), "emotiond/hall/status");
    let daemon = Daemon::start(&broker.url(), "");
    status.message("emotiond/hall/status", |body| body == "online");
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", daemon.child.id())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert!(core.split_whitespace().rev().skip(1).take(2).all(|limit| limit == "0"), "{core}");
    // The files of a process that cannot be dumped belong to root, whoever runs it.
    use std::os::unix::fs::MetadataExt as _;
    let owner = std::fs::metadata(format!("/proc/{}/environ", daemon.child.id())).unwrap().uid();
    assert_eq!(owner, 0);
}

#[test]
fn termination_is_clean_and_quick() {
    let broker = Mosquitto::start();
    let status = Subscriber::new(broker.port(), "emotiond/hall/status");
    let mut daemon = Daemon::start(&broker.url(), "");
    status.message("emotiond/hall/status", |body| body == "online");
    kill(&daemon.child, "-TERM");
    assert_eq!(daemon.code_within(PATIENCE), Some(0));
    status.message("emotiond/hall/status", |body| body == "offline");
}

#[test]
fn a_reload_takes_a_good_configuration_and_refuses_a_bad_one() {
    let broker = Mosquitto::start();
    let info = Subscriber::new(broker.port(), "emotiond/hall/info");
    let mut daemon = Daemon::start(&broker.url(), "");
    let window = |body: &str| serde_json::from_str::<Value>(body).unwrap()["window"].as_f64();
    info.message("emotiond/hall/info", |body| window(body) == Some(1.0));
    std::fs::write(&daemon.config, "site = \"nowhere\"").unwrap();
    kill(&daemon.child, "-HUP");
    daemon.wait_for_log("the old configuration stays in force");
    write_config(&daemon.config, &broker.url(), "");
    let better = std::fs::read_to_string(&daemon.config).unwrap().replace("\"1s\"", "\"2s\"");
    std::fs::write(&daemon.config, better).unwrap();
    kill(&daemon.child, "-HUP");
    info.message("emotiond/hall/info", |body| window(body) == Some(2.0));
}

#[test]
fn pause_closes_the_camera_and_summaries_say_so() {
    let broker = Mosquitto::start();
    let all = Subscriber::new(broker.port(), "emotiond/hall/#");
    let _daemon = Daemon::start(&broker.url(), "");
    all.message("emotiond/hall/pause/state", |body| body == "OFF");
    all.message("emotiond/hall/summary", |body| camera(body) == "ok");
    all.say("emotiond/hall/pause/set", false, "ON");
    all.message("emotiond/hall/pause/state", |body| body == "ON");
    all.say("emotiond/hall/pause/set", false, "OFF");
    all.until("summaries after the pause", |received| {
        let on = received.iter().position(|m| m.topic.ends_with("pause/state") && m.body == "ON")?;
        let off =
            on + received[on..].iter().position(|m| m.topic.ends_with("pause/state") && m.body == "OFF")?;
        received[off..].iter().find(|m| m.topic.ends_with("summary") && camera(&m.body) == "ok").cloned()
    });
}

#[test]
fn analyze_finds_the_face_and_reports_what_it_cannot_read() {
    let output = run(&["analyze", "--json", PHOTO]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let line = &json_lines(&output)[0];
    assert_eq!((&line["width"], &line["height"]), (&Value::from(512), &Value::from(512)));
    // Golden values of the default models, within what kernels of other processors may change.
    let near = |value: &Value, golden: f64, tolerance: f64| {
        let value = value.as_f64().unwrap();
        assert!((value - golden).abs() <= tolerance, "{value} is not {golden} ± {tolerance}");
    };
    let [face] = line["faces"].as_array().unwrap().as_slice() else { panic!("one face: {line}") };
    for (index, golden) in [180.4, 62.9, 88.1, 109.2].into_iter().enumerate() {
        near(&face["box"][index], golden, 3.0);
    }
    near(&face["expression"]["happiness"], 0.96, 0.03);
    near(&face["valence"], 0.76, 0.05);
    near(&face["arousal"], 0.51, 0.05);
    near(&face["action_units"]["AU12"], 0.87, 0.12);

    let folder = tempfile::tempdir().unwrap();
    let (grey, broken) = (folder.path().join("grey.png"), folder.path().join("broken.jpg"));
    image::RgbImage::from_pixel(320, 240, image::Rgb([128; 3])).save(&grey).unwrap();
    std::fs::write(&broken, b"\xff\xd8\xff\xe0 no jpeg").unwrap();
    let output = emotiond().args(["analyze", "--json"]).args([&broken, &grey]).output().unwrap();
    assert_eq!(output.status.code(), Some(65), "EX_DATAERR");
    assert!(text(&output.stderr).contains("broken.jpg"), "{}", text(&output.stderr));
    let lines = json_lines(&output);
    assert_eq!(lines.len(), 1, "the other pictures go on");
    assert_eq!(lines[0]["faces"], Value::Array(Vec::new()));
}

#[test]
fn a_damaged_or_huge_picture_ends_with_65_and_without_a_count_of_faces() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("photo.jpg");
    image::open(PHOTO).unwrap().save(&path).unwrap();
    let whole = std::fs::read(&path).unwrap();
    let mut huge = whole.clone();
    let header = huge.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    huge[header + 5..header + 9].copy_from_slice(&[0x40, 0, 0x40, 0]);
    for (bytes, words) in [(&whole[..whole.len() / 2], "damaged JPEG"), (&huge, "16384×16384 is too large")]
    {
        std::fs::write(&path, bytes).unwrap();
        let output = emotiond().arg("analyze").arg(&path).output().unwrap();
        let log = text(&output.stderr);
        assert_eq!(output.status.code(), Some(65), "{log}");
        assert!(log.contains("photo.jpg") && log.contains(words), "{log}");
        assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    }
    std::fs::write(&path, &whole[..whole.len() / 2]).unwrap();
    let source = format!("replay:{}", path.display());
    let output = run(&["run", "--source", &source, "--publish", "stdout"]);
    assert_eq!(output.status.code(), Some(65), "{}", text(&output.stderr));
    let output =
        emotiond().args(["run", "--publish", "stdout", "--source", "replay:/dev/zero"]).output().unwrap();
    assert!(text(&output.stderr).contains("it is a device"), "{}", text(&output.stderr));
}

/// What a picture may take in all, MiB: SECURITY.md and `scripts/attack` name the same figure.
const MOST_FOR_A_PICTURE: u64 = 300;

/// The highest resident memory of `analyze` on a picture, in MiB.
fn peak_of_analyze(picture: &Path) -> u64 {
    let mut child =
        emotiond().arg("analyze").arg(picture).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let status = PathBuf::from(format!("/proc/{}/status", child.id()));
    let mut highest = 0;
    let ended = loop {
        // It only rises, and the network runs after the picture has been decoded: no look comes too late.
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.split_whitespace().next());
        highest = highest.max(peak.map_or(0, |kib| kib.parse::<u64>().unwrap() / 1024));
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        std::thread::sleep(Duration::from_millis(2)); // between two looks
    };
    let mut log = String::new();
    child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(ended.success(), "{}: {log}", picture.display());
    highest
}

#[test]
fn the_costliest_pictures_that_are_allowed_take_a_bounded_amount_of_memory() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let jpeg = |name: &str, (width, height): (u16, u16), progressive: bool| {
        let mut bytes = Vec::new();
        let mut encoder = jpeg_encoder::Encoder::new(&mut bytes, 90);
        encoder.set_sampling_factor(jpeg_encoder::SamplingFactor::F_1_1);
        encoder.set_progressive(progressive);
        let pixels = vec![100; usize::from(width) * usize::from(height) * 3];
        encoder.encode(&pixels, width, height, jpeg_encoder::ColorType::Rgb).unwrap();
        // Lying on its side, and with comments up to the largest file: each of them costs a copy.
        let tiff = b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        let exif = [&[0xff, 0xe1, 0, 8 + tiff.len() as u8], b"Exif\0\0".as_slice(), tiff].concat();
        let comment = [&[0xff, 0xfe, 0xff, 0xff], vec![b'x'; 0xffff - 2].as_slice()].concat();
        let room = (emotiond::capture::picture::LARGEST as usize - bytes.len() - exif.len()) / comment.len();
        let whole = [&bytes[..2], &exif, &comment.repeat(room), &bytes[2..]].concat();
        std::fs::write(path(name), whole).unwrap();
    };
    jpeg("baseline.jpg", (8000, 6000), false);
    jpeg("progressive.jpg", (5000, 4000), true);
    // The most pixels of 16 bits and an alpha channel, and of those that are decoded in place.
    let deep = image::ImageBuffer::from_pixel(4500, 4000, image::Rgba([1000_u16; 4]));
    image::DynamicImage::from(deep).save(path("deep.png")).unwrap();
    image::RgbImage::new(8000, 6000).save(path("plain.png")).unwrap();
    for name in ["baseline.jpg", "progressive.jpg", "deep.png", "plain.png"] {
        let peak = peak_of_analyze(&path(name));
        // Not `eprintln`, which the test harness would keep to itself.
        std::io::stderr().write_all(format!("analyze {name}: {peak} MiB at most\n").as_bytes()).unwrap();
        assert!((60..=MOST_FOR_A_PICTURE).contains(&peak), "{name}: {peak} MiB");
    }
}

#[test]
fn what_cannot_work_ends_with_the_exit_code_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("bad.toml");
    std::fs::write(&config, "site = \"home\"\ncolour = \"red\"\n").unwrap();
    let output = emotiond().arg("run").arg("--config").arg(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "EX_CONFIG");
    assert!(text(&output.stderr).contains("colour"), "{}", text(&output.stderr));
    let output = run(&["run", "--source", "replay:/nonexistent.jpg", "--publish", "stdout"]);
    assert!(matches!(output.status.code(), Some(66 | 78)), "{:?}", output.status);
    assert!(text(&output.stderr).contains("/nonexistent.jpg"), "{}", text(&output.stderr));
    assert_eq!(run(&["dance"]).status.code(), Some(2), "clap's own code for a wrong command line");
}

#[test]
fn what_others_named_reaches_no_terminal_raw() {
    let folder = tempfile::tempdir().unwrap();
    // What clears a terminal, turns the direction of writing, and makes up a line of the log.
    let name = "a\u{1b}[2J\u{9b}\u{202e}\n<3>b.png";
    let picture = folder.path().join(name);
    image::RgbImage::from_pixel(32, 24, image::Rgb([128; 3])).save(&picture).unwrap();
    let output = emotiond().args(["analyze", "--json"]).arg(&picture).output().unwrap();
    let (stdout, line) = (text(&output.stdout), &json_lines(&output)[0]);
    assert!(!stdout.trim_end().contains(|c: char| c.is_control() || c == '\u{202e}'), "{stdout:?}");
    assert_eq!(line["path"], picture.to_str().unwrap(), "JSON still says the name");
    let output = emotiond().arg("analyze").arg(&picture).output().unwrap();
    let shown = text(&output.stdout);
    assert!(shown.contains("a\\u001b[2J\\u009b\\u202e\\u000a<3>b.png: 0 faces\n"), "{shown:?}");

    std::fs::write(&picture, "no picture").unwrap();
    let output = emotiond().arg("analyze").arg(&picture).env("JOURNAL_STREAM", "1:2").output().unwrap();
    let log = text(&output.stderr);
    assert!(log.contains("a\\u001b[2J\\u009b\\u202e\n  <3>b.png"), "{log:?}");

    let config = folder.path().join("long.toml");
    std::fs::write(&config, format!("site = \"home\"\ncolour = \"{}\"\n", "x".repeat(900_000))).unwrap();
    let output = emotiond().arg("check").arg("--config").arg(&config).output().unwrap();
    let log = text(&output.stderr);
    assert!(log.len() < 5000 && log.contains("bytes more"), "{} bytes", log.len());
    assert!(log.contains("long.toml") && log.contains("unknown field `colour`, expected"), "{log}");
}

#[test]
fn the_printed_configuration_is_a_valid_one() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("emotiond.toml");
    std::fs::write(&config, run(&["config"]).stdout).unwrap();
    let output = emotiond()
        .args(["run", "--publish", "stdout", "--source", &format!("replay:{PHOTO}"), "--config"])
        .arg(&config)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn cameras_can_be_listed_where_there_are_none() {
    let output = run(&["cameras", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(serde_json::from_slice::<Value>(&output.stdout).is_ok());
    assert!(!run(&["cameras"]).stdout.is_empty());
}
