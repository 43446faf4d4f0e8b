//! The wall clock is wrong, or steps by years, under the built daemon: libfaketime lies to it, and to nobody else.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rumqttc::{QoS, Transport};
use support::certificates::{Authority, Validity};
use support::daemon::{Daemon, configure};
use support::mosquitto::{Mosquitto, Options};
use support::subscriber::Subscriber;
use support::windows::{Window, runs, windows};

const YEAR: i64 = 365 * 24 * 3600;

/// The wall clock of a daemon, by its distance from ours.
struct Clock(PathBuf);

impl Clock {
    fn new(folder: &Path, seconds: i64) -> Self {
        let clock = Self(folder.join("clock"));
        clock.set(seconds);
        clock
    }

    fn set(&self, seconds: i64) {
        // In one step: half a file would be another time.
        let part = self.0.with_extension("part");
        std::fs::write(&part, format!("{seconds:+}\n")).unwrap();
        std::fs::rename(part, &self.0).unwrap();
    }

    /// Makes `command` believe it. The monotonic clock stays as it is, as when somebody sets a clock.
    fn rule(&self, mut command: Command) -> Command {
        let library = std::fs::read_dir("/usr/lib").unwrap().find_map(|folder| {
            let path = folder.unwrap().path().join("faketime/libfaketimeMT.so.1");
            path.exists().then_some(path)
        });
        command.env("LD_PRELOAD", library.expect("the package libfaketime is installed"));
        command.env("FAKETIME_TIMESTAMP_FILE", &self.0).env("FAKETIME_NO_CACHE", "1");
        command.env("FAKETIME_DONT_FAKE_MONOTONIC", "1").env("DONT_FAKE_MONOTONIC", "1");
        command
    }
}

fn year(window: &Window) -> u64 {
    1970 + window.end.duration_since(UNIX_EPOCH).unwrap().as_secs() / (365 * 24 * 3600 + 6 * 3600)
}

#[test]
fn a_machine_that_believes_it_is_1970_says_so_and_recovers_when_its_clock_is_set() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let (certificate, key) = authority.sign("127.0.0.1", Validity::Now);
    let broker =
        Mosquitto::start_with(&Options { tls: Some((certificate, key, None)), ..Options::default() });
    let ca = std::fs::read(authority.certificate()).unwrap();
    let subscriber = Subscriber::with(broker.port(), "emotiond/hall/summary", QoS::AtLeastOnce, |options| {
        options.set_transport(Transport::tls(ca, None, None));
    });
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64;
    let clock = Clock::new(folder.path(), 600 - now);
    let mqtt = format!("ca_file = {:?}\nstate_directory = {:?}", authority.certificate(), folder.path());
    let url = format!("mqtts://127.0.0.1:{}", broker.port());
    let daemon = Daemon::start(&mut clock.rule(Daemon::command(&configure(folder.path(), &url, &mqtt))));
    let line = daemon.wait_line(&["ERROR", "no connection to mqtts://"]);
    assert!(line.contains("not valid yet") && line.contains("clock says 1970-01-01"), "{line}");
    assert!(line.contains("timedatectl"), "the remedy: {line}");
    daemon.wait_line(&["summaries written to disk"]);
    clock.set(0);
    daemon.wait_line(&["connected to mqtts://", "after"]);
    subscriber.until("windows of both times, without gaps", |received| {
        let windows = windows(received);
        let [(_, numbers)] = runs(&windows).try_into().ok()?;
        let years = [year(&windows[0]), year(windows.last()?)];
        (years[0] == 1970 && years[1] > 2020 && numbers.len() > 2).then_some(())
    });
}

#[test]
fn a_clock_that_steps_by_years_skips_and_doubles_no_window() {
    let folder = tempfile::tempdir().unwrap();
    let broker = Mosquitto::start();
    let clock = Clock::new(folder.path(), 0);
    let config = configure(folder.path(), &broker.url(), &format!("state_directory = {:?}", folder.path()));
    let subscriber = Subscriber::new(broker.port(), "emotiond/hall/summary");
    let daemon = Daemon::start(&mut clock.rule(Daemon::command(&config)));
    let last = || {
        subscriber.until("a summary", |received| {
            let windows = windows(received);
            let [(_, numbers)] = runs(&windows).try_into().ok()?;
            Some((numbers.len(), year(windows.last()?)))
        })
    };
    let (first, this_year) = last();
    let begun = Instant::now();
    for years in [-20, 30, -50, 0] {
        clock.set(years * YEAR);
        let expected = this_year.checked_add_signed(years).unwrap();
        subscriber.until(&format!("windows of {expected}"), |received| {
            let windows = windows(received);
            (windows.iter().rev().take(2).filter(|window| year(window).abs_diff(expected) <= 1).count() == 2)
                .then_some(())
        });
    }
    let (windows_since, seconds) = (last().0 - first, begun.elapsed().as_secs_f64());
    assert!((windows_since as f64 - seconds).abs() <= 2.0, "{windows_since} windows of 1 s in {seconds} s");
    let lengths = subscriber.until("all", |received| {
        Some(windows(received).iter().map(|w| support::windows::after(w.start, w.end)).collect::<Vec<_>>())
    });
    let second = Duration::from_millis(998)..Duration::from_millis(1002);
    assert!(lengths.iter().all(|length| second.contains(length)), "{lengths:?}");
    drop(daemon);
}
