//! What comes after the configuration: `check` as the daemon's user, and the systemd unit.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, ensure};

use crate::config::DEFAULT_PATH;

/// The daemon's user, as packages and `make install` make it.
const USER: &str = "emotiond";

/// Runs `check` on a configuration in a process of its own, because it confines itself for good, and as the daemon's user
/// if this one may. Returns whether everything works.
///
/// # Errors
/// If it cannot be started.
pub fn check(config: &Path) -> anyhow::Result<bool> {
    let program = std::env::current_exe().context("the program's own path is unknown")?;
    let mut command = if config == Path::new(DEFAULT_PATH) && is_root() && has_user() {
        let mut command = Command::new("runuser");
        command.args(["-u", USER, "--"]).arg(&program);
        command
    } else {
        Command::new(&program)
    };
    command.arg("check").arg("--config").arg(config).stdin(Stdio::null());
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    Ok(status.success())
}

/// The unit that runs a configuration, if there is one: `emotiond` for that in `/etc`.
#[must_use]
pub fn of(config: &Path) -> Option<&'static str> {
    (config == Path::new(DEFAULT_PATH)).then_some("emotiond")
}

/// Whether units can be enabled here: systemd runs, and this user may ask it to.
#[must_use]
pub fn can_enable() -> bool {
    is_root() && Path::new("/run/systemd/system").is_dir()
}

/// Enables and starts a unit; one that runs already starts again with the new configuration.
///
/// # Errors
/// If systemd refuses.
pub fn enable(unit: &str) -> anyhow::Result<()> {
    let systemctl = |arguments: &[&str]| {
        let status = Command::new("systemctl").args(arguments).stdin(Stdio::null()).status();
        status.with_context(|| format!("cannot start systemctl {}", arguments.join(" ")))
    };
    let runs = systemctl(&["is-active", "--quiet", unit])?.success();
    ensure!(
        systemctl(&["enable", "--now", unit])?.success(),
        "systemctl enable --now {unit} failed; its message stands above"
    );
    if runs {
        ensure!(
            systemctl(&["restart", unit])?.success(),
            "systemctl restart {unit} failed; its message stands above"
        );
    }
    Ok(())
}

/// Makes the Raspberry Pi's own camera available on its socket. What keeps it from that is said, and `check` says it too.
pub fn listen_for_the_camera() {
    let socket = "emotiond-rpicam.socket";
    let enabled = Command::new("systemctl").args(["enable", "--now", socket]).stdin(Stdio::null()).status();
    if !enabled.is_ok_and(|status| status.success()) {
        log::warn!(
            "systemctl enable --now {socket} failed; install the package rpicam-apps-lite and try it again"
        );
    }
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn has_user() -> bool {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    users.lines().any(|line| line.split(':').next() == Some(USER))
}
