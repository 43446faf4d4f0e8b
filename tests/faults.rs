//! Faults of what the daemon stands on: a network that hangs, a library that lies, model files that change, a
//! configuration that cannot work. The built program, real parts, and no hook in the product.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::Read as _;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;
use support::PATIENCE;
use support::daemon::{Daemon, emotiond};
use support::mosquitto::Mosquitto;
use support::preload;
use support::subscriber::Subscriber;

const PHOTO: &str = concat!("replay:", env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");

/// What systemd would receive of a daemon.
struct Systemd {
    socket: UnixDatagram,
}

impl Systemd {
    fn new(socket: &Path) -> Self {
        Self { socket: UnixDatagram::bind(socket).unwrap() }
    }

    /// The next notification that comes within a time.
    fn next(&self, within: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(within.max(Duration::from_millis(1)))).unwrap();
        let mut buffer = [0; 4096];
        let length = self.socket.recv(&mut buffer).ok()?;
        Some(str::from_utf8(&buffer[..length]).unwrap().trim_end().to_owned())
    }

    /// Waits for a notification.
    fn wait(&self, accepted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + PATIENCE;
        let mut seen = Vec::new();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(left) {
                Some(notice) if accepted(&notice) => return notice,
                Some(notice) => seen.push(notice),
                None => panic!("waited in vain; received {seen:?}"),
            }
        }
    }
}

#[test]
fn a_hung_network_starves_the_watchdog_and_is_named() {
    const WATCHDOG: Duration = Duration::from_secs(4);
    let folder = tempfile::tempdir().unwrap();
    let fault = folder.path().join("fault");
    fs::write(&fault, "").unwrap();
    let systemd = Systemd::new(&folder.path().join("notify"));
    let mut daemon = Daemon::start(
        emotiond()
            .args(["run", "--source", PHOTO, "--publish", "stdout", "--pace", "realtime"])
            .env("NOTIFY_SOCKET", folder.path().join("notify"))
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env("LD_PRELOAD", preload::build(folder.path()))
            .env("EMOTIOND_FAULT", &fault)
            .stdout(Stdio::null()),
    );
    systemd.wait(|notice| notice.contains("READY=1"));
    systemd.wait(|notice| notice.contains("WATCHDOG=1"));
    fs::write(&fault, "invoke").unwrap();
    daemon.line("fault: TfLiteInterpreterInvoke hangs", 1);
    // Those sent before the hang are read first; from then on there is none until systemd's patience is over.
    while systemd.next(Duration::from_millis(1)).is_some_and(|notice| notice.contains("WATCHDOG=1")) {}
    let killed = Instant::now() + WATCHDOG;
    let mut statuses = Vec::new();
    while let Some(notice) = systemd.next(killed.saturating_duration_since(Instant::now())) {
        assert!(!notice.contains("WATCHDOG=1"), "the watchdog is fed while vision hangs");
        statuses.push(notice);
    }
    assert_eq!(statuses, ["STATUS=the vision worker hangs in inference"]);
    assert!(daemon.line("the vision worker hangs in inference", 1).contains("systemd restarts emotiond"));
    daemon.signal("TERM");
    assert!(daemon.ended().success(), "a thread that hangs does not keep the process from ending");
}

#[test]
fn a_stop_waits_for_a_slow_frame_and_publishes_its_window() {
    let folder = tempfile::tempdir().unwrap();
    let (fault, config) = (folder.path().join("fault"), folder.path().join("emotiond.toml"));
    fs::write(&fault, "").unwrap();
    fs::write(&config, "site = \"home\"\n[summary]\nwindow = \"1h\"\n").unwrap();
    let mut daemon = Daemon::start(
        emotiond()
            .args(["run", "--source", PHOTO, "--publish", "stdout", "--pace", "realtime", "--config"])
            .arg(&config)
            .env("LD_PRELOAD", preload::build(folder.path()))
            .env("EMOTIOND_FAULT", &fault)
            .stdout(Stdio::piped()),
    );
    daemon.wait_line(&["capturing"]);
    fs::write(&fault, "slow").unwrap();
    daemon.line("TfLiteInterpreterInvoke is slow", 1);
    daemon.signal("TERM");
    assert!(daemon.ended().success(), "{}", daemon.log());
    let mut published = String::new();
    daemon.child.stdout.take().unwrap().read_to_string(&mut published).unwrap();
    let summaries: Vec<Value> = published.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(summaries.len(), 1, "{published}\n{}", daemon.log());
    assert!(summaries[0]["quality"]["frames"].as_u64().unwrap() > 0, "{published}");
}

#[test]
fn a_panic_ends_the_process_with_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let fault = folder.path().join("fault");
    fs::write(&fault, "").unwrap();
    let systemd = Systemd::new(&folder.path().join("notify"));
    // An emotion network with outputs of float: three bytes are no number of them.
    let config = folder.path().join("emotiond.toml");
    fs::write(&config, "site = \"home\"\n[models]\nemotion = \"mini-xception-fer2013\"\n").unwrap();
    let mut daemon = Daemon::start(
        emotiond()
            .args(["run", "--source", PHOTO, "--publish", "stdout", "--pace", "realtime", "--config"])
            .arg(&config)
            .env("NOTIFY_SOCKET", folder.path().join("notify"))
            .env("LD_PRELOAD", preload::build(folder.path()))
            .env("EMOTIOND_FAULT", &fault)
            .stdout(Stdio::null()),
    );
    systemd.wait(|notice| notice.contains("READY=1"));
    fs::write(&fault, "lie").unwrap();
    assert_eq!(daemon.ended().code(), Some(70), "EX_SOFTWARE: {}", daemon.log());
    let line = daemon.line("internal error", 1);
    assert!(line.contains("data length 3 should be divisible") && line.contains("please report"), "{line}");
    assert_eq!(daemon.log().matches("internal error").count(), 1, "{}", daemon.log());
}

/// A daemon on models of its own, with a broker.
struct Site {
    folder: tempfile::TempDir,
    broker: Mosquitto,
}

impl Site {
    fn new() -> Self {
        let site = Self { folder: tempfile::tempdir().unwrap(), broker: Mosquitto::start() };
        fs::create_dir(site.models()).unwrap();
        for entry in fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/models")).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "tflite" || extension == "toml") {
                fs::copy(&path, site.models().join(path.file_name().unwrap())).unwrap();
            }
        }
        site.configure(&site.broker.url(), "");
        site
    }

    fn models(&self) -> PathBuf {
        self.folder.path().join("models")
    }

    fn emotion_model(&self) -> PathBuf {
        self.models().join("emotiond-mtl.tflite")
    }

    fn configure(&self, broker: &str, mqtt: &str) {
        let config = format!(
            "site = \"home\"\ndevice = \"hall\"\n[camera]\nsource = {PHOTO:?}\n[models]\ndirectory = {:?}\n\
             [summary]\nwindow = \"1s\"\n[mqtt]\nurl = {broker:?}\n{mqtt}",
            self.models()
        );
        fs::write(self.folder.path().join("emotiond.toml"), config).unwrap();
    }

    fn start(&self) -> Daemon {
        Daemon::start(emotiond().arg("run").arg("--config").arg(self.folder.path().join("emotiond.toml")))
    }

    fn subscriber(&self) -> Subscriber {
        Subscriber::new(self.broker.port(), "emotiond/hall/#")
    }
}

/// Waits for `count` windows more in which emotion was read, as it is while the models work.
fn emotion_goes_on(subscriber: &Subscriber, count: usize) {
    let happy =
        |body: &str| serde_json::from_str::<Value>(body).unwrap()["expression"]["dominant"] == "happiness";
    let seen = subscriber.until("anything", |received| Some(received.len()));
    subscriber.until("summaries with emotion", |received| {
        let summaries = received[seen..].iter().filter(|m| m.topic == "emotiond/hall/summary");
        (summaries.filter(|message| happy(&message.body)).count() >= count).then_some(())
    });
}

#[test]
fn a_model_file_that_is_cut_costs_the_reload_and_not_the_daemon() {
    let site = Site::new();
    let subscriber = site.subscriber();
    let mut daemon = site.start();
    emotion_goes_on(&subscriber, 1);

    // In place: a file that is mapped, not read, would be cut under the daemon's feet (SIGBUS).
    let whole = fs::read(site.emotion_model()).unwrap();
    let file = fs::OpenOptions::new().write(true).open(site.emotion_model()).unwrap();
    file.set_len(whole.len() as u64 / 2).unwrap();
    emotion_goes_on(&subscriber, 2);
    daemon.signal("HUP");
    let refusal = daemon.line("the old configuration stays in force", 1);
    assert!(refusal.contains("emotiond-mtl.tflite is not the file that its manifest describes"), "{refusal}");
    assert!(refusal.contains("run scripts/setup"), "{refusal}");
    emotion_goes_on(&subscriber, 2);
    let starts = site.start().ended();
    assert_eq!(starts.code(), Some(78), "a start has no old models to go on with");

    fs::remove_file(site.emotion_model()).unwrap();
    daemon.signal("HUP");
    let refusal = daemon.line("the old configuration stays in force", 2);
    assert!(refusal.contains("cannot read") && refusal.contains("emotiond-mtl.tflite"), "{refusal}");
    emotion_goes_on(&subscriber, 1);

    fs::write(site.emotion_model(), &whole).unwrap();
    daemon.signal("HUP");
    daemon.line("restarting with it", 1);
    emotion_goes_on(&subscriber, 1);
    assert!(daemon.child.try_wait().unwrap().is_none(), "{}", daemon.log());
}

#[test]
fn a_replaced_model_is_taken_by_a_reload_and_not_before() {
    let site = Site::new();
    let subscriber = site.subscriber();
    let daemon = site.start();
    let models = |body: &str| serde_json::from_str::<Value>(body).unwrap()["models"].to_string();
    let first = subscriber.message("emotiond/hall/info", |_| true);
    assert!(models(&first.body).contains("emotiond-mtl"), "{}", first.body);
    emotion_goes_on(&subscriber, 1);

    // Another network under the name in the configuration, as an update of the package would put it there.
    for extension in ["toml", "tflite"] {
        let [new, old] = ["mini-xception-fer2013", "emotiond-mtl"].map(|name| site.models().join(name));
        fs::rename(new.with_extension(extension), old.with_extension(extension)).unwrap();
    }
    let manifest = site.models().join("emotiond-mtl.toml");
    let renamed =
        fs::read_to_string(&manifest).unwrap().replace("mini-xception-fer2013.tflite", "emotiond-mtl.tflite");
    fs::write(&manifest, renamed).unwrap();
    emotion_goes_on(&subscriber, 2);
    daemon.signal("HUP");
    subscriber.message("emotiond/hall/info", |body| models(body).contains("mini-xception"));
    assert!(!daemon.log().contains("stays in force"), "{}", daemon.log());
}

#[test]
fn a_reload_that_fails_only_when_it_is_put_into_force_brings_the_old_configuration_back() {
    let site = Site::new();
    let subscriber = site.subscriber();
    let mut daemon = site.start();
    emotion_goes_on(&subscriber, 1);
    // Well-formed and within the process's reach, but the file is not there, which the connection alone finds out.
    let authority = site.folder.path().join("authority.pem");
    site.configure(&format!("mqtts://127.0.0.1:{}", site.broker.port()), &format!("ca_file = {authority:?}"));
    daemon.signal("HUP");
    let refusal = daemon.line("the old configuration comes back into force", 1);
    assert!(refusal.contains("authority.pem"), "{refusal}");
    emotion_goes_on(&subscriber, 2);
    assert!(daemon.child.try_wait().unwrap().is_none(), "{}", daemon.log());
}
