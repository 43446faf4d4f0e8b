//! Time as a value: a monotonic moment for everything that measures, wall time for stamping only.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use emotiond_core::Moment;
use emotiond_core::report::payload::Stamp;
use jiff::Timestamp;
use rustix::time::{ClockId, Timespec, clock_gettime};

/// Where "now" comes from.
pub trait Clock: Send + Sync {
    /// The moment on the monotonic clock; never goes back.
    fn now(&self) -> Moment;
    /// The wall clock; may step in either direction at any time.
    fn wall(&self) -> SystemTime;
    /// Whether the wall clock is known to be synchronized to a time server.
    fn synchronized(&self) -> bool;

    /// Reads all of it at once, to date what happened. A wall clock outside the years -9999 to 9999 says nothing, and
    /// the epoch stands in for it.
    fn stamp(&self) -> Stamp {
        let wall = Timestamp::try_from(self.wall()).unwrap_or(Timestamp::UNIX_EPOCH);
        Stamp { now: self.now(), wall, synchronized: self.synchronized() }
    }
}

/// Processor time that the calling thread has used.
#[must_use]
pub fn thread_time() -> Duration {
    duration(clock_gettime(ClockId::ThreadCPUTime))
}

/// Processor time that all threads of the process have used since it was started.
#[must_use]
pub fn process_time() -> Duration {
    duration(clock_gettime(ClockId::ProcessCPUTime))
}

fn duration(time: Timespec) -> Duration {
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

/// The machine's own clocks.
#[derive(Debug)]
pub struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    /// A clock whose origin is this call.
    #[must_use]
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Moment {
        Moment::after_origin(self.origin.elapsed())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn synchronized(&self) -> bool {
        // systemd-timesyncd's own mark. The kernel's flag (adjtimex) is out of reach on purpose: the unit's
        // ProtectClock= forbids that call. Under another time server (chrony, ntpd) there is no such mark, and the
        // answer is "not known to be".
        std::path::Path::new("/run/systemd/timesync/synchronized").exists()
    }
}

/// A clock that moves only when told to, for tests and for replay at full speed.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<Mutex<(Moment, SystemTime, bool)>>,
}

impl ManualClock {
    /// A clock at moment zero and the given wall time, synchronized.
    #[must_use]
    pub fn new(wall: SystemTime) -> Self {
        Self { state: Arc::new(Mutex::new((Moment::ZERO, wall, true))) }
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let mut state = self.state.lock().expect("no holder of the clock's lock panics");
        state.0 += by;
        state.1 += by;
    }

    /// Moves both clocks on to a moment; one that has passed changes nothing.
    pub fn advance_to(&self, moment: Moment) {
        let mut state = self.state.lock().expect("no holder of the clock's lock panics");
        let by = moment - state.0;
        state.0 += by;
        state.1 += by;
    }

    /// Steps the wall clock alone, as a time server or an operator does.
    pub fn step_wall(&self, to: SystemTime) {
        self.state.lock().expect("no holder of the clock's lock panics").1 = to;
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Moment {
        self.state.lock().expect("no holder of the clock's lock panics").0
    }

    fn wall(&self) -> SystemTime {
        self.state.lock().expect("no holder of the clock's lock panics").1
    }

    fn synchronized(&self) -> bool {
        self.state.lock().expect("no holder of the clock's lock panics").2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_the_wall_clock_leaves_the_monotonic_one_alone() {
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
        let shared = clock.clone();
        clock.advance(Duration::from_secs(5));
        clock.step_wall(SystemTime::UNIX_EPOCH);
        shared.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Moment::from_secs(6));
        assert_eq!(clock.wall(), SystemTime::UNIX_EPOCH + Duration::from_secs(1));
    }

    #[test]
    fn the_system_clock_does_not_go_back() {
        let clock = SystemClock::new();
        let moments: Vec<Moment> = (0..1000).map(|_| clock.now()).collect();
        assert!(moments.is_sorted());
    }
}
