//! Time as a value: a monotonic moment for everything that measures, wall time for stamping only.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

/// A moment on the monotonic clock: the time since the clock's origin (the start of the process).
///
/// Windows, tracks, smoothing and triggers use it alone, so that a step of the wall clock moves none of them.
pub type Moment = Duration;

/// Where "now" comes from.
pub trait Clock: Send + Sync {
    /// The moment on the monotonic clock; never goes back.
    fn now(&self) -> Moment;
    /// The wall clock; may step in either direction at any time.
    fn wall(&self) -> SystemTime;
    /// Whether the kernel believes the wall clock to be synchronized to a time server.
    fn synchronized(&self) -> bool;
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
        self.origin.elapsed()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn synchronized(&self) -> bool {
        // systemd-timesyncd's own mark; other daemons (chrony, ntpd) are seen through adjtimex by `rustix`-free means:
        // the kernel exports no file for it, so absence of the mark reads as "not known to be synchronized".
        std::path::Path::new("/run/systemd/timesync/synchronized").exists()
    }
}

/// A clock that moves only when told to, for tests and for replay at full speed.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<Mutex<(Moment, SystemTime)>>,
}

impl ManualClock {
    /// A clock at moment zero and the given wall time.
    #[must_use]
    pub fn new(wall: SystemTime) -> Self {
        Self { state: Arc::new(Mutex::new((Moment::ZERO, wall))) }
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
        let by = moment.saturating_sub(state.0);
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
        true
    }
}
