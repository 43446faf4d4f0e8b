//! Notices threads that hang in foreign code: the camera's in its driver, vision's in a network.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::runtime::capture_worker::Switches;
use crate::runtime::systemd::Supervisor;

/// After how long without a move a thread is said to hang, where no watchdog says how long that is.
const HANGS: Duration = Duration::from_secs(30);

/// What has changed about a thread.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It has not moved for the patience given.
    Watchdog,
    /// It moves again.
    Moves,
}

/// One thread, watched by the counter that it moves.
#[derive(Debug)]
pub struct Watched {
    patience: Duration,
    count: u64,
    since: Instant,
    hangs: bool,
}

impl Watched {
    /// A thread that hangs if its counter stands still for `patience`, from `now` on.
    #[must_use]
    pub fn new(patience: Duration, now: Instant) -> Self {
        Self { patience, count: 0, since: now, hangs: false }
    }

    /// Takes the counter into account; gives each change once.
    pub fn look(&mut self, count: u64, now: Instant) -> Option<Change> {
        if count != self.count {
            (self.count, self.since) = (count, now);
        }
        let hangs = now.saturating_duration_since(self.since) >= self.patience;
        let changed = std::mem::replace(&mut self.hangs, hangs) != hangs;
        changed.then_some(if hangs { Change::Watchdog } else { Change::Moves })
    }
}

/// Says which thread hangs, in the log and to systemd, before its watchdog ends the process.
pub struct Watchdog {
    supervisor: Supervisor,
    vision: Watched,
    /// A replay's thread may wait for whoever writes it.
    camera: Option<Watched>,
}

impl Watchdog {
    /// Watches vision, and the camera thread if `camera` says so.
    #[must_use]
    pub fn new(supervisor: Supervisor, camera: bool) -> Self {
        let patience = supervisor.watchdog().map_or(HANGS, |time| time / 2);
        let watched = || Watched::new(patience, Instant::now());
        Self { supervisor, vision: watched(), camera: camera.then(watched) }
    }

    /// Looks at the threads' signs of life.
    pub fn look(&mut self, switches: &Switches) {
        let now = Instant::now();
        let vision = self.vision.look(switches.turns.load(Ordering::Relaxed), now);
        self.tell(vision, "vision hangs in a network");
        if let Some(camera) = &mut self.camera {
            let camera = camera.look(switches.beats.load(Ordering::Relaxed), now);
            self.tell(camera, "the camera thread hangs in the driver");
        }
    }

    fn tell(&self, change: Option<Change>, what: &str) {
        match change {
            Some(Change::Watchdog) => {
                let remedy = match self.supervisor.watchdog() {
                    Some(_) => "the watchdog is not fed any more, so that systemd restarts emotiond",
                    None => "restart emotiond",
                };
                log::error!("{what}; {remedy}");
                self.supervisor.status(what);
            }
            Some(Change::Moves) => log::info!("it moves again: {what} no more"),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hang_is_told_once_and_so_is_its_end() {
        let start = Instant::now();
        let mut thread = Watched::new(Duration::from_secs(10), start);
        let mut look = |second, count| thread.look(count, start + Duration::from_secs(second));
        assert_eq!(look(9, 0), None);
        assert_eq!(look(9, 5), None);
        assert_eq!(look(18, 5), None);
        assert_eq!(look(19, 5), Some(Change::Watchdog));
        assert_eq!(look(60, 5), None);
        assert_eq!(look(61, 6), Some(Change::Moves));
        assert_eq!(look(62, 6), None);
        assert_eq!(look(71, 6), Some(Change::Watchdog));
    }
}
