//! What systemd is told: ready, stopping, a status line, and proof of life from vision's own progress.

use std::time::Duration;

use sd_notify::NotifyState;

/// The service manager, or nothing if the process was not started by one.
#[derive(Clone, Copy, Debug)]
pub struct Supervisor {
    watchdog: Option<Duration>,
}

impl Supervisor {
    /// Reads what systemd left in the environment (`NOTIFY_SOCKET`, `WATCHDOG_USEC`).
    #[must_use]
    pub fn from_environment() -> Self {
        Self { watchdog: sd_notify::watchdog_enabled() }
    }

    /// How often at least [`Self::alive`] has to be called, if the unit sets `WatchdogSec=`.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// Start-up is over: models are loaded and the stages run.
    pub fn ready(&self) {
        notify(&[NotifyState::Ready]);
    }

    /// A reload has begun; [`Self::ready`] ends it.
    pub fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => notify(&[NotifyState::Reloading, now]),
            Err(error) => log::debug!("no monotonic clock for systemd's reload notice: {error}"),
        }
    }

    /// The process is about to end on purpose.
    pub fn stopping(&self) {
        notify(&[NotifyState::Stopping]);
    }

    /// One line for `systemctl status`.
    pub fn status(&self, line: &str) {
        notify(&[NotifyState::Status(line)]);
    }

    /// Vision made progress. Called from its loop and from nowhere else, so that a hung camera call or network
    /// invocation starves the watchdog and systemd restarts the daemon.
    pub fn alive(&self) {
        if self.watchdog.is_some() {
            notify(&[NotifyState::Watchdog]);
        }
    }
}

fn notify(states: &[NotifyState<'_>]) {
    // Outside systemd there is no socket, which is not an error to sd-notify.
    if let Err(error) = sd_notify::notify(states) {
        log::debug!("systemd could not be notified: {error}");
    }
}
