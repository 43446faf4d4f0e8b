//! The clock: who sets it, and whether that has worked.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::table::Finding;
use crate::host::clock::{Clock as _, SystemClock};

/// Time services, by the names of their processes (of which the kernel keeps 15 letters).
const SERVICES: [(&str, &str); 5] = [
    ("systemd-timesyn", "systemd-timesyncd"),
    ("chronyd", "chrony"),
    ("ntpd", "ntpd"),
    ("ntpd-rs", "ntpd-rs"),
    ("ntp-daemon", "ntpd-rs"),
];
/// What is asked must answer within this.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the clock is set by a time server. Starts other programs, and so before the process confines itself.
pub fn clock() -> Finding {
    judge(SystemClock::new().synchronized(), service(Path::new("/proc")), kernel())
}

/// The time service that runs.
fn service(proc: &Path) -> Option<&'static str> {
    let processes = std::fs::read_dir(proc).into_iter().flatten().flatten();
    let mut names = processes.filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok());
    names.find_map(|name| {
        SERVICES.into_iter().find(|(comm, _)| *comm == name.trim()).map(|(_, service)| service)
    })
}

/// The kernel's own flag, which every time service sets. To read it takes a system call that needs unsafe code here and
/// that the daemon's unit forbids; systemd tells it too.
fn kernel() -> Option<bool> {
    let mut child = Command::new("timedatectl")
        .args(["show", "--property=NTPSynchronized", "--value"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    let deadline = Instant::now() + PATIENCE;
    while child.try_wait().ok()?.is_none() {
        if Instant::now() > deadline {
            let _ended = child.kill();
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let output = child.wait_with_output().ok()?;
    match std::str::from_utf8(&output.stdout).ok()?.trim() {
        "yes" => Some(true),
        "no" => Some(false),
        _ => None,
    }
}

/// `mark`: what the daemon sees, systemd-timesyncd's mark.
fn judge(mark: bool, service: Option<&str>, kernel: Option<bool>) -> Finding {
    let now = jiff::Timestamp::now().strftime("%Y-%m-%d %H:%M:%S UTC");
    if mark {
        return Finding::ok("clock", format!("{now}, synchronized by systemd-timesyncd"));
    }
    let start = "start a time service: `sudo timedatectl set-ntp true`, or install chrony";
    let wait =
        "check its servers and the network (`chronyc sources`, `ntpq -p`, `timedatectl timesync-status`)";
    let other = "summaries say clock_synchronized: false, because this service leaves no mark that the daemon may read";
    match (service, kernel) {
        (service, Some(true)) => {
            let by = service.unwrap_or("a service that is not known here");
            Finding::ok("clock", format!("{now}, synchronized by {by}; {other}"))
        }
        (Some(service), Some(false)) => {
            Finding::warning("clock", format!("{now}, not synchronized yet; {service} runs"), wait)
        }
        (Some(service), None) => {
            let detail = format!("{now}; {service} runs, and it is not known whether it has set the clock");
            Finding::warning("clock", detail, wait)
        }
        (None, _) => Finding::warning(
            "clock",
            format!("{now}, not known to be synchronized: no time service runs"),
            start,
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::Verdict;
    use super::*;

    #[test]
    fn the_service_is_named_and_a_clock_that_nobody_sets_is_warned_of() {
        let of = |mark, service, kernel| judge(mark, service, kernel);
        assert_eq!(of(true, Some("systemd-timesyncd"), Some(true)).verdict, Verdict::Ok);
        let chrony = of(false, Some("chrony"), Some(true));
        assert!(chrony.verdict == Verdict::Ok && chrony.detail.contains("by chrony"), "{chrony:?}");
        for (service, kernel, words) in [
            (Some("ntpd"), Some(false), "not synchronized yet; ntpd runs"),
            (Some("chrony"), None, "chrony runs"),
            (None, Some(false), "no time service"),
            (None, None, "no time service"),
        ] {
            let finding = of(false, service, kernel);
            assert_eq!(finding.verdict, Verdict::Warning);
            assert!(finding.detail.contains(words) && finding.remedy.is_some(), "{finding:?}");
        }
    }

    #[test]
    fn services_are_known_by_their_processes() {
        let proc = tempfile::tempdir().unwrap();
        let process = |number: &str, name: &str| {
            std::fs::create_dir(proc.path().join(number)).unwrap();
            std::fs::write(proc.path().join(number).join("comm"), format!("{name}\n")).unwrap();
        };
        process("1", "systemd");
        assert_eq!(service(proc.path()), None);
        process("2", "chronyd");
        assert_eq!(service(proc.path()), Some("chrony"));
    }
}
