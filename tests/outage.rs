//! What becomes of summaries while the broker is unreachable: over a kill, a stop and a reload, and on disks that fail.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use serde_json::Value;
use support::daemon::{Daemon, configure};
use support::gate::Gate;
use support::mosquitto::Mosquitto;
use support::subscriber::Subscriber;
use support::windows::{after, runs, windows};

const SUMMARY: &str = "emotiond/hall/summary";
const WINDOW: Duration = Duration::from_secs(1);

/// A broker behind a gate, a state directory, and the configuration that names both.
struct Site {
    broker: Mosquitto,
    gate: Gate,
    folder: tempfile::TempDir,
}

impl Site {
    fn new() -> Self {
        let broker = Mosquitto::start();
        let gate = Gate::new(broker.port());
        gate.set_open(true);
        Self { broker, gate, folder: tempfile::tempdir().unwrap() }
    }

    /// Takes the broker away and returns how many summaries `daemon` has written to disk before. The last one received may
    /// not have been acknowledged, and is written then, too.
    fn outage(&mut self, daemon: &Daemon) -> u64 {
        self.gate.set_open(false);
        self.broker.kill();
        written(&daemon.log())
    }

    /// Starts the broker again, with a subscriber that is there before the daemon can be: the broker has lost its state.
    fn back(&mut self) -> Subscriber {
        self.broker.restart();
        let subscriber = self.subscribe();
        self.gate.set_open(true);
        subscriber
    }

    fn state(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn config(&self, state: &str) -> std::path::PathBuf {
        let broker = format!("mqtt://127.0.0.1:{}", self.gate.port());
        configure(self.folder.path(), &broker, &format!("state_directory = {state:?}"))
    }

    fn daemon(&self) -> Daemon {
        Daemon::run(&self.config(&self.state()))
    }

    fn subscribe(&self) -> Subscriber {
        Subscriber::new(self.broker.port(), "emotiond/hall/#")
    }
}

/// Waits for the summary with this number.
fn wait_for(subscriber: &Subscriber, boot: usize, sequence: u64) {
    subscriber.until(&format!("window {sequence} of run {boot}"), |received| {
        let runs = runs(&windows(received));
        runs.get(boot).is_some_and(|(_, numbers)| numbers.contains(&sequence)).then_some(())
    });
}

/// Waits until so many summaries have been written to disk.
fn wait_written(daemon: &Daemon, count: u64) {
    daemon.wait_log(&format!("{count} summaries on disk"), |log| written(log) >= count);
}

fn written(log: &str) -> u64 {
    let counts =
        log.lines().filter_map(|line| line.split_once(" summaries written to disk")?.0.rsplit(' ').next());
    counts.map(|count| count.parse::<u64>().unwrap()).sum()
}

fn health(subscriber: &Subscriber) -> Value {
    subscriber.take();
    subscriber.say("emotiond/hall/request/health", false, r#"{"transaction":"1"}"#);
    let answer = subscriber.message("emotiond/hall/response/health", |_| true);
    serde_json::from_str::<Value>(&answer.body).unwrap()["result"].clone()
}

#[test]
fn every_window_closed_before_a_kill_in_an_outage_arrives_in_order() {
    // Longer ones than elsewhere, so that the time from a window's end to the disk and to the kill is short against them.
    let window = 2 * WINDOW;
    let mut site = Site::new();
    let config = site.config(&site.state());
    let text = std::fs::read_to_string(&config).unwrap().replace("\"1s\"", "\"2s\"");
    std::fs::write(&config, text).unwrap();
    let daemon = Daemon::run(&config);
    let subscriber = site.subscribe();
    wait_for(&subscriber, 0, 1);
    let before = windows(&subscriber.take());
    drop(subscriber);
    let before_it = site.outage(&daemon);
    wait_written(&daemon, before_it + 3);
    let killed = SystemTime::now();
    daemon.kill();

    let daemon = Daemon::run(&config);
    daemon.wait_line(&["summaries of an earlier run wait in", "queue"]);
    wait_written(&daemon, 2);
    let subscriber = site.back();
    subscriber.until("a live summary of the second run", |received| {
        let last = windows(received).pop()?;
        (after(last.end, SystemTime::now()) < window).then_some(())
    });
    let all = [before, windows(&subscriber.take())].concat();
    let [(first, _), _] = runs(&all).try_into().expect("two runs");
    let last = all.iter().rfind(|window| window.boot == first).unwrap();
    let open = after(last.end, killed);
    assert!(open < window, "the last window of the first run ended {open:?} before the kill");
    assert!(last.sequence >= 3, "{last:?}");
}

#[test]
fn a_stop_in_an_outage_is_quick_and_loses_nothing() {
    let mut site = Site::new();
    let mut daemon = site.daemon();
    let subscriber = site.subscribe();
    wait_for(&subscriber, 0, 1);
    let before = windows(&subscriber.take());
    drop(subscriber);
    let before_it = site.outage(&daemon);
    wait_written(&daemon, before_it + 3);
    let begun = Instant::now();
    daemon.signal("TERM");
    assert_eq!(daemon.end_within(support::PATIENCE).code(), Some(0));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    daemon.wait_line(&["summaries wait on disk for the next start"]);
    let subscriber = site.back();
    let _daemon = site.daemon();
    subscriber.until("a summary of the second run", |received| {
        let all = [before.clone(), windows(received)].concat();
        let runs = runs(&all);
        (runs.len() == 2).then(|| assert!(runs[0].1.len() >= 3, "{runs:?}"))
    });
}

#[test]
fn a_reload_in_an_outage_keeps_the_queue_and_goes_on_counting() {
    let mut site = Site::new();
    let daemon = site.daemon();
    let subscriber = site.subscribe();
    wait_for(&subscriber, 0, 1);
    let before = windows(&subscriber.take());
    drop(subscriber);
    let before_it = site.outage(&daemon);
    wait_written(&daemon, before_it + 2);
    daemon.signal("HUP");
    daemon.wait_line(&["configuration reloaded"]);
    wait_written(&daemon, before_it + 4);
    let subscriber = site.back();
    subscriber.until("a live summary", |received| {
        let all = [before.clone(), windows(received)].concat();
        let runs = runs(&all);
        assert!(runs.len() < 2, "one run: {runs:?}");
        let live = all.last().is_some_and(|last| after(last.end, SystemTime::now()) < WINDOW);
        (live && all.len() >= 6).then_some(())
    });
    assert_eq!(health(&subscriber)["queue_disk"], "ok");
}

#[test]
fn nothing_is_written_while_the_broker_acknowledges() {
    let site = Site::new();
    let _daemon = site.daemon();
    let subscriber = site.subscribe();
    wait_for(&subscriber, 0, 1);
    let file = segment(&site);
    let written = || std::fs::metadata(&file).unwrap().modified().unwrap();
    let before = written();
    wait_for(&subscriber, 0, 5);
    assert_eq!(written(), before);
    let health = health(&subscriber);
    assert_eq!((&health["queue_disk"], &health["queue_on_disk"]), (&Value::from("ok"), &Value::from(0)));
}

/// A disk that refuses writes: the daemon goes on, says so, and keeps what it can in memory.
fn goes_on_without_a_disk(site: &mut Site, mut command: Command, reason: &str) {
    let daemon = Daemon::start(&mut command);
    let subscriber = site.subscribe();
    wait_for(&subscriber, 0, 1);
    daemon.wait_line(&["ERROR", "summaries cannot be kept in", reason]);
    let report = health(&subscriber);
    assert_eq!((&report["queue_disk"], &report["queue_on_disk"]), (&Value::from("failing"), &Value::Null));
    drop(subscriber);
    site.outage(&daemon);
    daemon.wait_line(&["ERROR", "no connection to"]);
    std::thread::sleep(2 * WINDOW); // the outage
    let subscriber = site.back();
    // Gaps would show in `runs`, but for the first number, which came before the outage.
    subscriber.until("summaries of the outage, in order", |received| {
        let numbers: Vec<_> = windows(received).iter().map(|window| window.sequence).collect();
        let gapless = numbers.windows(2).all(|pair| pair[1] <= pair[0] + 1);
        (numbers.len() >= 3).then(|| assert!(gapless, "{numbers:?}"))
    });
    assert_eq!(daemon.log().matches("cannot be kept in").count(), 1, "said once:\n{}", daemon.log());
}

#[test]
fn a_full_disk_costs_the_queue_and_not_the_daemon() {
    let mut site = Site::new();
    // A limit of the process stands in for the end of the disk, so that the test needs no rights. Its signal is turned
    // off, as a full disk sends none.
    let run = Daemon::command(&site.config(&site.state()));
    let mut command = Command::new("bash");
    command.args(["-c", "trap '' XFSZ; ulimit -f 8; exec \"$@\"", "bash"]).arg(run.get_program());
    command.args(run.get_args()).env("RUST_LOG", "emotiond=debug").env_remove("NOTIFY_SOCKET");
    goes_on_without_a_disk(&mut site, command, "File too large");
}

#[test]
fn a_directory_that_cannot_be_written_costs_the_queue_and_not_the_daemon() {
    let mut site = Site::new();
    // Nobody may make a file there, root included.
    let command = Daemon::command(&site.config("/proc"));
    goes_on_without_a_disk(&mut site, command, "/proc/queue");
}

/// The first file of the queue.
fn segment(site: &Site) -> PathBuf {
    Path::new(&site.state()).join("queue/00000000000000000001.log")
}

#[test]
fn a_damaged_file_is_set_aside_and_reported() {
    let site = Site::new();
    let file = segment(&site);
    std::fs::create_dir(file.parent().unwrap()).unwrap();
    std::fs::write(&file, vec![0xa5; 50_000]).unwrap();
    let daemon = site.daemon();
    let subscriber = site.subscribe();
    wait_for(&subscriber, 0, 1);
    daemon.wait_line(&["ERROR", "was damaged", "00000000000000000001.damaged"]);
    assert_eq!(health(&subscriber)["queue_disk"], "replaced");
    assert_eq!(std::fs::read(file.with_extension("damaged")).unwrap(), vec![0xa5; 50_000]);
}

/// Deletes something of the state directory in an outage; what closes afterwards has to be on disk when it is killed.
fn goes_on_after_a_deletion(delete: impl Fn(&Site)) {
    let mut site = Site::new();
    let daemon = site.daemon();
    let subscriber = site.subscribe();
    wait_for(&subscriber, 0, 1);
    let before = site.outage(&daemon);
    wait_written(&daemon, before + 1);
    delete(&site);
    daemon.wait_line(&[
        "ERROR",
        "was deleted or replaced while emotiond was running",
        "nothing but emotiond may change",
    ]);
    let first = written(&daemon.log());
    wait_written(&daemon, first + 2);
    daemon.kill();
    drop(subscriber);
    let subscriber = site.back();
    let daemon = site.daemon();
    daemon.wait_line(&["summaries of an earlier run wait in"]);
    // Not by `runs`, which allows no losses: what was in the file is lost, and only that.
    subscriber.until("two summaries of the first run, and one of the second", |received| {
        let all = windows(received);
        let of_first = all.iter().filter(|window| window.boot == all[0].boot).count();
        (of_first >= 2 && all.len() > of_first).then_some(())
    });
}

#[test]
fn a_queue_file_that_is_deleted_or_replaced_is_noticed() {
    goes_on_after_a_deletion(|site| std::fs::remove_file(segment(site)).unwrap());
    goes_on_after_a_deletion(|site| {
        let copy = site.folder.path().join("copy");
        std::fs::copy(segment(site), &copy).unwrap();
        std::fs::rename(copy, segment(site)).unwrap();
    });
    goes_on_after_a_deletion(|site| std::fs::remove_dir_all(segment(site).parent().unwrap()).unwrap());
    goes_on_after_a_deletion(|site| {
        std::fs::remove_file(segment(site)).unwrap();
        std::fs::create_dir(segment(site)).unwrap();
    });
    goes_on_after_a_deletion(|site| {
        std::fs::remove_file(segment(site)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", segment(site)).unwrap();
    });
}

#[test]
fn two_daemons_do_not_share_a_state_directory() {
    let site = Site::new();
    let first = site.daemon();
    let subscriber = site.subscribe();
    wait_for(&subscriber, 0, 1);
    let other = Mosquitto::start();
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), &other.url(), &format!("state_directory = {:?}", site.state()));
    let second = Daemon::run(&config);
    second.wait_line(&["ERROR", "another process has it open", "a state directory of its own"]);
    Subscriber::new(other.port(), SUMMARY).message(SUMMARY, |_| true);
    assert!(!first.log().contains("cannot be kept"), "{}", first.log());
}
