//! The state directory and the card or disk it is on: can it be written, and is there room for what is to be kept.

use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use rustix::fs::statvfs;

use super::table::Finding;
use crate::publish::settings::{Broker, DurableSettings, MqttSettings};

/// What a summary takes on disk, in bytes (docs/numbers.md).
const SUMMARY: u64 = 1200;
/// Where the unit keeps state. Without the unit's `$STATE_DIRECTORY` a `check` by hand would not see it.
const OF_THE_UNIT: &str = "/var/lib/emotiond";
/// Where the unit is, if it is installed.
const UNITS: [&str; 2] = ["/usr/lib/systemd/system/emotiond.service", "/etc/systemd/system/emotiond.service"];

/// Tries where summaries are kept while the broker is unreachable.
pub fn disk(settings: &MqttSettings) -> Finding {
    match &settings.durable {
        Some(durable) => kept(durable),
        None if settings.broker == Broker::Embedded => {
            Finding::ok("state", "nothing to keep: the embedded broker is always there")
        }
        None => unset(Path::new(OF_THE_UNIT), UNITS.iter().any(|unit| Path::new(unit).is_file())),
    }
}

fn kept(durable: &DurableSettings) -> Finding {
    let shown = durable.directory.display();
    let needed = durable.limit.saturating_mul(SUMMARY);
    if let Err(error) = written(&durable.directory) {
        let remedy = match error.kind() {
            io::ErrorKind::StorageFull => {
                "free some space there: `df -h`, `journalctl --vacuum-size=50M`".to_owned()
            }
            io::ErrorKind::ReadOnlyFilesystem => {
                "the card may be worn out or damaged: see `dmesg`, and replace it".to_owned()
            }
            _ => format!(
                "make the folder and give it to the daemon's user: `sudo install -d -o emotiond -m 700 {shown}`"
            ),
        };
        return Finding::failed("state", format!("{shown} cannot be written: {error}"), remedy);
    }
    let volume = Volume::of(&durable.directory);
    let mut detail = format!("{shown} can be written");
    if let Some(volume) = &volume {
        detail += &format!(", {volume}");
    }
    match volume {
        Some(volume) if volume.kind == "tmpfs" => Finding::warning(
            "state",
            detail + ": it is in memory, and lost when the machine goes down",
            "set mqtt.state_directory to a folder on a disk",
        ),
        Some(volume) if volume.free < needed => Finding::warning(
            "state",
            format!("{detail}, and {} may be kept", size(needed)),
            "free some space there, or shorten mqtt.keep",
        ),
        _ => Finding::ok("state", detail),
    }
}

/// No folder is configured, and systemd's is not known to a program that systemd has not started.
fn unset(of_the_unit: &Path, installed: bool) -> Finding {
    let on = |folder: &Path| Volume::of(folder).map_or_else(String::new, |volume| format!(", {volume}"));
    let shown = of_the_unit.display();
    if of_the_unit.is_dir() {
        let detail = format!("under its unit the daemon keeps it in {shown}{}", on(of_the_unit));
        return Finding::ok("state", detail);
    }
    if installed {
        let volume = of_the_unit.parent().map_or_else(String::new, on);
        return Finding::ok("state", format!("systemd makes {shown} when it starts the unit{volume}"));
    }
    Finding::warning(
        "state",
        "summaries are kept in memory alone while the broker is unreachable",
        "run emotiond by its systemd unit, or set mqtt.state_directory",
    )
}

/// Writes a file there as the queue does, and removes it.
fn written(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let path = folder.join(format!(".check-{}", std::process::id()));
    let outcome = OpenOptions::new()
        .write(true)
        .create_new(true)
        .open(&path)
        .and_then(|mut file| file.write_all(b"check\n").and_then(|()| file.sync_all()));
    let removed = fs::remove_file(&path);
    outcome.and(removed)
}

/// The file system that a folder is on.
struct Volume {
    /// `ext4`, `tmpfs` …
    kind: String,
    /// What is mounted: `/dev/mmcblk0p2`.
    device: String,
    /// Bytes that the daemon's user may still write.
    free: u64,
}

impl Volume {
    fn of(folder: &Path) -> Option<Self> {
        let space = statvfs(folder).ok()?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        let folder = fs::canonicalize(folder).ok()?;
        let mounts = fs::read_to_string("/proc/self/mountinfo").ok()?;
        let (kind, device) = mounted(&mounts, &folder)?;
        Some(Self { kind, device, free })
    }
}

impl std::fmt::Display for Volume {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let card = if self.device.starts_with("/dev/mmcblk") { "the SD card " } else { "" };
        write!(f, "{} free on {card}{} ({})", size(self.free), self.device, self.kind)
    }
}

/// Kind and device of the mount that a path lies in: the longest mount point that the path begins with.
fn mounted(mounts: &str, path: &Path) -> Option<(String, String)> {
    let of = |line: &str| {
        let (front, back) = line.split_once(" - ")?;
        let point = PathBuf::from(front.split(' ').nth(4)?.replace("\\040", " "));
        let mut back = back.split(' ');
        Some((point, back.next()?.to_owned(), back.next()?.to_owned()))
    };
    let under = mounts.lines().filter_map(of).filter(|(point, ..)| path.starts_with(point));
    // Of two mounts on one point the later one is seen.
    let (_, kind, device) =
        under.enumerate().max_by_key(|(place, (point, ..))| (point.components().count(), *place))?.1;
    Some((kind, device))
}

fn size(bytes: u64) -> String {
    match bytes {
        1_000_000_000.. => format!("{:.1} GB", bytes as f64 / 1e9),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}

#[cfg(test)]
mod tests {
    use super::super::table::Verdict;
    use super::*;

    #[test]
    fn a_folder_that_can_be_written_and_one_that_cannot() {
        let folder = tempfile::tempdir().unwrap();
        let of = |directory: PathBuf, limit| kept(&DurableSettings { directory, limit });
        let good = of(folder.path().join("state"), 10);
        assert!(good.detail.contains("can be written") && good.detail.contains("free on"), "{good:?}");
        assert_eq!(fs::read_dir(folder.path().join("state")).unwrap().count(), 0, "nothing is left behind");
        let full = of(folder.path().join("state"), u64::MAX);
        assert!(full.verdict == Verdict::Warning, "{full:?}");
        fs::write(folder.path().join("file"), "").unwrap();
        let bad = of(folder.path().join("file"), 10);
        assert!(bad.verdict == Verdict::Failed && bad.remedy.is_some(), "{bad:?}");
    }

    #[test]
    fn a_folder_that_the_unit_makes_at_its_first_start_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let absent = folder.path().join("emotiond");
        assert_eq!(unset(&absent, false).verdict, Verdict::Warning);
        assert_eq!(unset(folder.path(), false).verdict, Verdict::Ok);
        let first = unset(&absent, true);
        assert!(first.verdict == Verdict::Ok && first.remedy.is_none(), "{first:?}");
        assert!(first.detail.contains("systemd makes") && first.detail.contains("free on"), "{first:?}");
    }

    #[test]
    fn the_nearest_mount_is_the_one() {
        let mounts = "22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw\n\
                      30 22 0:26 / /run rw shared:2 - tmpfs tmpfs rw\n\
                      31 22 8:1 / /var/lib/my\\040data rw - btrfs /dev/sda1 rw\n";
        let of = |path: &str| mounted(mounts, Path::new(path)).unwrap();
        assert_eq!(of("/var/lib/emotiond"), ("ext4".to_owned(), "/dev/mmcblk0p2".to_owned()));
        assert_eq!(of("/run/emotiond").0, "tmpfs");
        assert_eq!(of("/var/lib/my data/a").0, "btrfs");
        assert!(Volume::of(Path::new("/")).is_some());
    }
}
