//! What somebody inside the daemon can do under the shipped unit: the attempts of `support/inside.c`, on Debian's kernel.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use crate::CONFIG;
use crate::guest::Guest;
use crate::supervised::{DRIVER, units};
use crate::support::mosquitto::Mosquitto;
use crate::support::preload;

/// The library makes its attempts at the first frame and ends the daemon.
const DROP_IN: &str = "
[Service]
ExecStart=
ExecStart=/opt/emotiond/bin/emotiond run
Environment=LD_PRELOAD=/opt/emotiond/preload.so INSIDE=attempts INSIDE_PROCESS=1 INSIDE_PORT=9
Environment=INSIDE_SOCKET=/run/systemd/private INSIDE_FILE=/etc/emotiond/emotiond.toml
StandardError=append:/run/emotiond.log
Restart=no
";

fn prepare(root: &Path) {
    units(root);
    fs::write(root.join("emotiond.service.conf"), DROP_IN).unwrap();
    fs::write(root.join("driver.service"), DRIVER).unwrap();
    fs::write(root.join("driver.sh"), include_str!("inside.sh")).unwrap();
    fs::rename(preload::build_of("inside.c", root), root.join("preload.so")).unwrap();
}

#[test]
#[ignore = "boots a virtual machine; run with --ignored"]
fn the_unit_and_the_daemon_leave_tcp_to_somebody_inside_and_nothing_else() {
    let mosquitto = Mosquitto::start();
    // One network, so that the emulated processor has little to open.
    let config = CONFIG.replace("\"home\"", "\"education\"");
    let mut guest = Guest::boot_with(mosquitto.port(), &config, include_str!("supervised.sh"), prepare);
    guest.line("driver.log", "made: ", 1);
    assert!(guest.ended().success());
    let log = guest.read("emotiond.log");
    assert!(log.contains("confined: Landlock") && log.contains("inside: done"), "{log}");
    let attempts: Vec<(&str, &str)> =
        log.lines().filter_map(|line| line.strip_prefix("attempt ")?.split_once(' ')).collect();
    assert!(attempts.len() > 50, "{log}");
    let refused = ["EPERM", "EACCES", "ENOSYS", "EBADF", "EAFNOSUPPORT"];
    let open: BTreeSet<&str> =
        attempts.iter().filter(|(_, outcome)| !refused.contains(outcome)).map(|(name, _)| *name).collect();
    // Landlock of Linux 6.1 does not hold ports: the attempt to connect ends at the port on which nothing listens.
    let ports = if log.contains("TCP ports") { BTreeSet::new() } else { BTreeSet::from(["tcp-connect"]) };
    // Datagrams tell the service manager how the daemon is.
    let own = ["tcp-socket", "unix-datagram-socket", "unix-stream-pair", "prlimit-own-read", "signal-self"];
    let expected: BTreeSet<&str> = own.into_iter().chain(ports).collect();
    assert_eq!(open, expected, "{log}");
}
