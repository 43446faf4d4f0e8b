//! Notices workers that hang in foreign code: the capture worker in a driver, the vision worker in inference.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::systemd::Supervisor;
use crate::capture::CaptureControl;

/// After how long without a sign of life a worker is said to hang, where no watchdog says how long that is.
const STALL: Duration = Duration::from_secs(30);

const VISION_HANGS: &str = "the vision worker hangs in inference";
const CAPTURE_HANGS: &str = "the capture worker hangs in the camera's driver";

/// What has changed about a worker.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum StallChange {
    /// It has not moved for as long as the limit says.
    Stalled,
    /// It moves again.
    Recovered,
}

/// One worker, watched by the counter that it moves.
#[derive(Debug)]
struct StallDetector {
    limit: Duration,
    count: u64,
    since: Instant,
    stalled: bool,
}

impl StallDetector {
    /// A worker is stalled if its counter stands still for `limit`, from `now` on.
    fn new(limit: Duration, now: Instant) -> Self {
        Self { limit, count: 0, since: now, stalled: false }
    }

    /// Takes the counter into account; returns each change once.
    fn update(&mut self, count: u64, now: Instant) -> Option<StallChange> {
        if count != self.count {
            (self.count, self.since) = (count, now);
        }
        let stalled = now.saturating_duration_since(self.since) >= self.limit;
        let changed = std::mem::replace(&mut self.stalled, stalled) != stalled;
        changed.then_some(if stalled { StallChange::Stalled } else { StallChange::Recovered })
    }
}

/// Says which worker hangs, in the log and to systemd, before systemd's watchdog ends the process.
pub struct Watchdog {
    supervisor: Supervisor,
    vision: StallDetector,
    vision_pulse: Arc<AtomicU64>,
    capture: StallDetector,
    control: Arc<CaptureControl>,
}

impl Watchdog {
    /// Watches both workers by their signs of life.
    #[must_use]
    pub fn new(supervisor: Supervisor, vision_pulse: Arc<AtomicU64>, control: Arc<CaptureControl>) -> Self {
        let limit = supervisor.watchdog().map_or(STALL, |time| time / 2);
        let detector = || StallDetector::new(limit, Instant::now());
        Self { supervisor, vision: detector(), vision_pulse, capture: detector(), control }
    }

    /// Looks at the workers' signs of life. Returns what hangs, if anything does.
    pub fn check(&mut self) -> Option<&'static str> {
        let now = Instant::now();
        let vision = self.vision.update(self.vision_pulse.load(Ordering::Relaxed), now);
        self.report(vision, VISION_HANGS);
        let capture = self.capture.update(self.control.pulse.load(Ordering::Relaxed), now);
        self.report(capture, CAPTURE_HANGS);
        let hangs = [(&self.vision, VISION_HANGS), (&self.capture, CAPTURE_HANGS)];
        hangs.into_iter().find(|(worker, _)| worker.stalled).map(|(_, what)| what)
    }

    fn report(&self, change: Option<StallChange>, what: &str) {
        match change {
            Some(StallChange::Stalled) => {
                let remedy = match self.supervisor.watchdog() {
                    Some(_) => "systemd's watchdog is no longer fed, so systemd restarts emotiond",
                    None => "restart emotiond",
                };
                log::error!("{what}; {remedy}");
                self.supervisor.status(what);
            }
            Some(StallChange::Recovered) => log::info!("no longer: {what}"),
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
        let mut thread = StallDetector::new(Duration::from_secs(10), start);
        let mut look = |second, count| thread.update(count, start + Duration::from_secs(second));
        assert_eq!(look(9, 0), None);
        assert_eq!(look(9, 5), None);
        assert_eq!(look(18, 5), None);
        assert_eq!(look(19, 5), Some(StallChange::Stalled));
        assert_eq!(look(60, 5), None);
        assert_eq!(look(61, 6), Some(StallChange::Recovered));
        assert_eq!(look(62, 6), None);
        assert_eq!(look(71, 6), Some(StallChange::Stalled));
    }
}
