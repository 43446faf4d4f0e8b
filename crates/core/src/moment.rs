//! A moment on the monotonic clock.

use core::ops::{Add, AddAssign, Sub};
use core::time::Duration;

/// A moment on the monotonic clock: the time since the clock's origin (the start of the process), in nanoseconds.
///
/// Windows, tracks, smoothing and triggers use it alone, so that a step of the wall clock moves none of them. Its
/// arithmetic saturates: before the origin there is only the origin, and between a moment and a later one no time has
/// passed. Readings of several threads may arrive out of order, and none of them may stop the daemon.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Moment(Duration);

impl Moment {
    /// The clock's origin.
    pub const ZERO: Self = Self(Duration::ZERO);

    /// The moment so long after the clock's origin.
    #[must_use]
    pub const fn after_origin(time: Duration) -> Self {
        Self(time)
    }

    /// The moment so many milliseconds after the clock's origin.
    #[must_use]
    pub const fn from_millis(milliseconds: u64) -> Self {
        Self(Duration::from_millis(milliseconds))
    }

    /// The moment so many seconds after the clock's origin.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }

    /// The time since the clock's origin.
    #[must_use]
    pub const fn since_origin(self) -> Duration {
        self.0
    }
}

impl Sub for Moment {
    type Output = Duration;

    /// The time from `earlier` to `self`; none if `earlier` is the later of the two.
    fn sub(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl Sub<Duration> for Moment {
    type Output = Self;

    /// The moment so long before; the origin if that would be before it.
    fn sub(self, time: Duration) -> Self {
        Self(self.0.saturating_sub(time))
    }
}

impl Add<Duration> for Moment {
    type Output = Self;

    /// The moment so long after, at most 584 billion years after the origin.
    fn add(self, time: Duration) -> Self {
        Self(self.0.saturating_add(time))
    }
}

impl AddAssign<Duration> for Moment {
    fn add_assign(&mut self, time: Duration) {
        *self = *self + time;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_saturate_in_both_directions() {
        let (early, late) = (Moment::from_millis(1_500), Moment::from_secs(2));
        assert_eq!((late - early, early - late), (Duration::from_millis(500), Duration::ZERO));
        assert_eq!(
            (early + Duration::from_millis(500), early - Duration::from_secs(9)),
            (late, Moment::ZERO)
        );
        let end = Moment::after_origin(Duration::MAX);
        assert_eq!(end + Duration::from_secs(1), end);
        assert_eq!(late.since_origin(), Duration::from_secs(2));
    }
}
