//! What people see at a terminal: `watch`, `setup` and `analyze` at a pseudo-terminal made by `script`, with a real
//! Mosquitto and a real daemon.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Instant;

use support::PATIENCE;
use support::daemon::{Daemon, emotiond};
use support::mosquitto::{Mosquitto, free_port};
use support::subscriber::Subscriber;

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");
const PROGRAM: &str = env!("CARGO_BIN_EXE_emotiond");

/// A program at a terminal of 24 lines and 100 columns.
struct Terminal {
    child: Child,
    shown: Arc<(Mutex<Vec<u8>>, Condvar)>,
    process: PathBuf,
    _folder: tempfile::TempDir,
}

impl Terminal {
    fn run(arguments: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let process = folder.path().join("process");
        let command =
            format!("stty rows 24 cols 100; echo $$ > {}; exec {PROGRAM} {arguments}", process.display());
        let mut child = Command::new("script")
            .args(["--quiet", "--flush", "--return", "--command", &command, "/dev/null"])
            .env("TERM", "xterm-256color")
            .env("SHELL", "/bin/sh")
            .env_remove("RUST_LOG")
            .env_remove("STATE_DIRECTORY")
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script of util-linux makes terminals; Debian's package bsdutils has it");
        let mut out = child.stdout.take().unwrap();
        let shown = Arc::<(Mutex<Vec<u8>>, Condvar)>::default();
        let written = Arc::clone(&shown);
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut piece) {
                written.0.lock().unwrap().extend(&piece[..length]);
                written.1.notify_all();
            }
        });
        Self { child, shown, process, _folder: folder }
    }

    /// Waits until all of these words have been written to the terminal, and gives all that was.
    fn wait(&self, words: &[&str]) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let missing = |bytes: &mut Vec<u8>| words.iter().any(|word| !text(bytes).contains(word));
        let (bytes, _) =
            self.shown.1.wait_timeout_while(self.shown.0.lock().unwrap(), PATIENCE, missing).unwrap();
        let text = text(&bytes);
        for word in words {
            assert!(text.contains(word), "waited in vain for {word:?} in\n{text}");
        }
        text
    }

    fn type_in(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Sends the program at the terminal a signal.
    fn signal(&self, name: &str) {
        let process = fs::read_to_string(&self.process).unwrap();
        assert!(Command::new("kill").args(["-s", name, process.trim()]).status().unwrap().success());
    }

    fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(std::time::Duration::from_millis(20)); // between two looks
        }
        panic!("still running:\n{}", self.wait(&[]));
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ended_before = self.child.kill();
        let _ended_before = self.child.wait();
    }
}

/// A daemon `hall` whose camera is the photo, at this broker.
fn configuration(folder: &Path, broker: &Mosquitto) -> PathBuf {
    let path = folder.join("emotiond.toml");
    let text = format!(
        "site = \"home\"\ndevice = \"hall\"\n[camera]\nsource = \"replay:{PHOTO}\"\n[summary]\nwindow = \"1s\"\n\
         [mqtt]\nurl = \"{}\"\n",
        broker.url()
    );
    fs::write(&path, text).unwrap();
    path
}

/// What takes the whole screen, and gives it back.
const TAKEN: &str = "\u{1b}[?1049h";
const GIVEN: &str = "\u{1b}[?1049l";

#[test]
fn watch_is_a_page_that_gives_the_terminal_back() {
    let (folder, broker) = (tempfile::tempdir().unwrap(), Mosquitto::start());
    let config = configuration(folder.path(), &broker);
    let watch = format!("watch --config {}", config.display());
    let mut page = Terminal::run(&watch);
    page.wait(&[TAKEN, "heard"]);
    let _daemon = Daemon::run(&config);
    let text = page.wait(&["connected", "online", "happiness", "valence", "AU12", "frames/s"]);
    assert!(!text.contains(GIVEN));

    // What anybody may publish: a title for the window, another direction of writing.
    let other = Subscriber::new(broker.port(), "nothing/#");
    let evil = r#"{"trigger":"\u001b]0;taken\u0007\u202e","phase":"start","time":"2026-01-01T00:00:00Z"}"#;
    other.say("emotiond/hall/event/x", false, evil);
    other.say("emotiond/kitchen/status", true, "\u{1b}]0;taken\u{7}online");
    let text = page.wait(&["\\u001b]0;taken\\u0007\\u202e", "kitchen"]);
    assert!(!text.contains("\u{1b}]0;") && !text.contains('\u{202e}'));
    page.type_in("\t");
    // Cells that have not changed are not written again, so only the first letters are sure to come in a row.
    page.wait(&["\\u001b]0;t"]);
    page.type_in("q");
    assert!(page.ended().success());
    page.wait(&[GIVEN]);

    for signal in ["TERM", "HUP"] {
        let mut page = Terminal::run(&watch);
        page.wait(&[TAKEN, "happiness"]);
        page.signal(signal);
        page.ended();
        page.wait(&[GIVEN]);
    }
    let mut page = Terminal::run(&watch);
    page.wait(&[TAKEN, "connected"]);
    page.type_in("\u{3}");
    assert!(page.ended().success(), "Ctrl-C");
    page.wait(&[GIVEN]);

    // The window is closed.
    let mut page = Terminal::run(&watch);
    page.wait(&[TAKEN, "connected"]);
    let process = fs::read_to_string(&page.process).unwrap();
    page.child.kill().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let runs = || Path::new("/proc").join(process.trim()).join("exe").exists();
    while runs() && Instant::now() < deadline {
        std::thread::sleep(std::time::Duration::from_millis(20)); // between two looks
    }
    assert!(!runs(), "the page goes on without a terminal");
}

#[test]
fn watch_says_that_the_broker_is_gone_and_connects_again() {
    let (folder, mut broker) = (tempfile::tempdir().unwrap(), Mosquitto::start());
    let config = configuration(folder.path(), &broker);
    let mut page = Terminal::run(&format!("watch --config {}", config.display()));
    page.wait(&[TAKEN, "connected"]);
    broker.kill();
    page.wait(&["closed"]);
    broker.restart();
    let other = Subscriber::new(broker.port(), "nothing/#");
    other.say("emotiond/hall/status", true, "online");
    page.wait(&["online"]);
    page.type_in("q");
    assert!(page.ended().success());
}

#[test]
fn watch_prints_lines_where_they_are_asked_for() {
    let (folder, broker) = (tempfile::tempdir().unwrap(), Mosquitto::start());
    let config = configuration(folder.path(), &broker);
    let _daemon = Daemon::run(&config);
    for options in ["--count 1", "--lines"] {
        let mut lines = Terminal::run(&format!("watch --config {} {options}", config.display()));
        let text = lines.wait(&["emotiond/hall/summary {\"schema\":1"]);
        assert!(!text.contains(TAKEN), "{text}");
        if options == "--count 1" {
            assert!(lines.ended().success());
        }
    }
    let output = emotiond().args(["watch", "--count", "1", "--config"]).arg(&config).output().unwrap();
    assert!(output.stdout.starts_with(b"emotiond/hall/summary {"), "a pipe is no terminal");
}

#[test]
fn setup_asks_five_questions_and_check_takes_what_it_writes() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start();
    for (site, law) in [
        ("home", "Art. 50(3)"),
        ("retail", "Art. 50(3)"),
        ("research", "Art. 50(3)"),
        ("education", "Art. 5(1)(f)"),
        ("workplace", "Art. 5(1)(f)"),
    ] {
        let config = folder.path().join(format!("{site}.toml"));
        let mut setup = Terminal::run(&format!("setup --config {}", config.display()));
        setup.wait(&["Where does the device stand?"]);
        setup.type_in(&format!("garden\n{site}\n"));
        setup.wait(&["is none of home", law]);
        setup.type_in(&format!("replay:{PHOTO}\n"));
        setup.wait(&["broker, a number"]);
        setup.type_in(&format!("127.0.0.1:{}\n", broker.port()));
        setup.wait(&["a level of every topic"]);
        setup.type_in("a b\nhall\n");
        setup.wait(&["cannot be the name", "Home Assistant?"]);
        setup.type_in("no\n");
        setup.wait(&["The notice for the wall", "A camera counts faces here", "published and received"]);
        assert!(setup.ended().success());
        let text = setup.wait(&["to start it: emotiond run --config"]);
        assert_eq!(text.matches("]: ").count(), 7, "five questions and two wrong answers:\n{text}");
        assert!(!text.contains("failed"), "{text}");
        let written = fs::read_to_string(&config).unwrap();
        for line in [format!("site = \"{site}\""), "device = \"hall\"".into(), "discovery = false".into()] {
            assert!(written.lines().any(|found| found == line), "{line} is not in\n{written}");
        }
        let output = emotiond().arg("check").arg("--config").arg(&config).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
}

#[test]
fn setup_needs_no_terminal_and_loses_no_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("emotiond.toml");
    let setup = |more: &[&str]| {
        let source = format!("replay:{PHOTO}");
        let broker = format!("mqtt://127.0.0.1:{}", free_port());
        let mut command = emotiond();
        command.args(["setup", "--camera", &source, "--broker", &broker, "--name", "hall", "--config"]);
        command.arg(&config).args(more).output().unwrap()
    };
    let error = |output: &std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();

    let output = setup(&["--yes"]);
    assert!(!output.status.success() && error(&output).contains("--site"), "{}", error(&output));
    let output = setup(&[]);
    assert!(error(&output).contains("nobody to answer"), "{}", error(&output));
    let output = setup(&["--yes", "--site", "garden"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(error(&output).contains("--site cannot be used"), "{}", error(&output));
    assert!(!config.exists(), "nothing is written before everything is answered");

    let output = setup(&["--yes", "--site", "workplace"]);
    // There is no broker at that port, and check says so; the configuration is written all the same.
    assert_eq!(output.status.code(), Some(69), "{}", error(&output));
    let shown = String::from_utf8(output.stdout).unwrap();
    assert!(shown.contains("Art. 5(1)(f)") && shown.contains("connection refused"), "{shown}");
    let first = fs::read(&config).unwrap();

    let output = setup(&["--yes", "--site", "home"]);
    assert_eq!(output.status.code(), Some(78));
    assert!(error(&output).contains("--force"), "{}", error(&output));
    assert_eq!(fs::read(&config).unwrap(), first);
    setup(&["--yes", "--site", "home", "--force"]);
    assert_eq!(fs::read(folder.path().join("emotiond.toml.bak")).unwrap(), first);
    assert_ne!(fs::read(&config).unwrap(), first);
}

#[test]
fn analyze_shows_bars_at_a_terminal_and_draws_on_a_copy() {
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("copy.png");
    let original = fs::read(PHOTO).unwrap();
    let mut analyze = Terminal::run(&format!("analyze --draw {} {PHOTO}", copy.display()));
    let text = analyze.wait(&["1 face", "happiness", "█", "valence", "●", "AU12"]);
    assert!(analyze.ended().success(), "{text}");
    let (drawn, photo) = (image::open(&copy).unwrap().into_rgb8(), image::open(PHOTO).unwrap().into_rgb8());
    assert_eq!(drawn.dimensions(), photo.dimensions());
    // The box is around the face (golden values of tests/process.rs), and nothing else has changed below it.
    let changed = |x: u32, y: u32| drawn.get_pixel(x, y) != photo.get_pixel(x, y);
    assert!((60..180).any(|y| changed(180, y)) && (0..512).all(|x| (200..512).all(|y| !changed(x, y))));

    let output = emotiond().arg("analyze").arg(PHOTO).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains(", happiness ") && !text.contains('█'), "a pipe gets lines: {text}");
    let output = emotiond().args(["analyze", PHOTO, "--draw"]).arg(&copy).output().unwrap();
    assert_eq!(output.status.code(), Some(65), "what is there is not overwritten");
    let output = emotiond().args(["analyze", PHOTO, "--draw", PHOTO]).output().unwrap();
    assert_eq!(output.status.code(), Some(65));
    assert_eq!(fs::read(PHOTO).unwrap(), original);
    let output = emotiond()
        .args(["analyze", PHOTO, PHOTO, "--draw"])
        .arg(folder.path().join("b.png"))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("name one"));
}
