//! The daemon under a real systemd, as the shipped unit has it: calls that hang bring a restart in the watchdog's time,
//! restarts wait longer and longer, a wrong configuration is not tried again.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::CONFIG;
use crate::broker::Broker;
use crate::guest::Guest;
use crate::support::mosquitto::Mosquitto;
use crate::support::preload;

/// Shorter than the unit's, for the sake of the test's own time.
const WATCHDOG: f64 = 20.0;

/// What the emulated processor may add, in seconds: a turn of vision's loop, the end of a process, a start by systemd.
const SLOWNESS: f64 = 8.0;

/// Where things are in the machine.
const DROP_IN: &str = "
[Service]
ExecStart=
ExecStart=/opt/emotiond/bin/emotiond run
Environment=LD_PRELOAD=/opt/emotiond/preload.so EMOTIOND_FAULT=/run/fault
StandardError=append:/run/emotiond.log
WatchdogSec=20
";

pub const DRIVER: &str = "
[Unit]
DefaultDependencies=no
[Service]
Type=oneshot
ExecStart=/bin/sh /tmp/w/driver.sh
StandardOutput=append:/tmp/w/driver.log
StandardError=append:/tmp/w/driver.log
";

/// Puts the shipped unit and its user into a folder.
pub fn units(folder: &Path) {
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("systemd");
    for file in ["emotiond.service", "emotiond.sysusers.conf"] {
        fs::copy(shipped.join(file), folder.join(file)).unwrap();
    }
}

fn prepare(root: &Path) {
    units(root);
    fs::write(root.join("emotiond.service.conf"), DROP_IN).unwrap();
    fs::write(root.join("driver.service"), DRIVER).unwrap();
    fs::write(root.join("driver.sh"), include_str!("driver.sh")).unwrap();
    preload::build(root);
}

/// Without the emotion network, so that the emulated processor does not need the watchdog's whole time for a frame.
fn config() -> String {
    CONFIG.replace("\"home\"", "\"education\"")
}

fn a_face(summary: &Value) -> bool {
    summary["quality"]["camera"] == "ok" && summary["faces"]["mean"].as_f64().unwrap_or_default() > 0.9
}

/// The moment in a line of the driver's log, in seconds.
fn moment(line: &str) -> f64 {
    line.split_once(": ").unwrap().1.parse().unwrap()
}

#[test]
#[ignore = "boots a virtual machine; run with --ignored"]
fn systemd_restarts_what_hangs_or_dies_and_leaves_alone_what_is_misconfigured() {
    let mosquitto = Mosquitto::start();
    let broker = Broker::of(&mosquitto);
    let mut guest = Guest::boot_with(mosquitto.port(), &config(), include_str!("supervised.sh"), prepare);

    assert_eq!(guest.line("driver.log", "started: ", 1), "started: active running, restarts 0");
    broker.summary("under systemd", 0, a_face);
    guest.tell("seen", "start");
    assert_eq!(guest.line("driver.log", "reloaded: ", 1), "reloaded: active running, restarts 0");
    let mut waits = Vec::new();
    for (number, fault) in [(1, "invoke"), (2, "dequeue"), (3, "kill")] {
        let [began, died] =
            ["began", "ended"].map(|what| moment(&guest.line("driver.log", &format!("{fault} {what}: "), 1)));
        // Before the next process can say anything.
        let (seen, boots) = (broker.seen(), broker.boots());
        let again = moment(&guest.line("driver.log", &format!("{fault} again: "), 1));
        let restarted = format!("restarted: active running, restarts {number}");
        assert_eq!(guest.line("driver.log", "restarted: ", number), restarted);
        let of_this_process = |summary: &Value| a_face(summary) && !boots.contains(&summary["boot"]);
        broker.summary(&format!("after {fault}"), seen, of_this_process);
        guest.tell("seen", fault);
        let bound = if fault == "kill" { SLOWNESS } else { WATCHDOG + SLOWNESS };
        assert!(died - began <= bound, "{fault}: dead only after {} s", died - began);
        eprintln!(
            "{fault}: dead after {:.1} s, started again after {:.1} s more",
            died - began,
            again - died
        );
        waits.push(again - died);
    }
    // RestartSec, and 3·n² s.
    for (wait, least) in waits.iter().zip([8.0, 17.0, 32.0]) {
        assert!((least - 0.5..least + 3.0 * SLOWNESS).contains(wait), "restarts came after {waits:?} s");
    }
    assert!(waits.is_sorted(), "restarts came after {waits:?} s");
    assert_eq!(
        guest.line("driver.log", "misconfigured: ", 1),
        "misconfigured: failed failed, exit-code 78, restarts 0"
    );
    assert!(guest.ended().success());

    let systemd = guest.read("console.log");
    assert_eq!(systemd.matches("emotiond.service: Watchdog timeout (limit 20s)!").count(), 2, "{systemd}");
    let log = guest.read("emotiond.log");
    for (words, times) in [
        // What the daemon gives up of itself, within what the unit leaves it, at each of its starts.
        ("confined: Landlock", 4),
        ("system calls filtered; memory never swapped", 4),
        ("the vision worker hangs in inference", 1),
        ("the capture worker hangs in the camera's driver", 1),
        ("camera lost", 0),
        ("`colour`", 1),
    ] {
        assert_eq!(log.matches(words).count(), times, "{words:?} in {log}");
    }
}
