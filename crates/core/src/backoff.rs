//! How long to wait before trying again.

use core::time::Duration;

/// Waits that double from attempt to attempt up to a bound, each drawn from the upper half of its interval so that a
/// house full of devices does not come back to a restarted broker at the same instant.
#[derive(Clone, Debug)]
pub struct Backoff {
    shortest: Duration,
    longest: Duration,
    attempts: u32,
}

impl Backoff {
    /// Waits of at least `shortest` and at most `longest` (raised to `shortest` if it is less).
    #[must_use]
    pub fn new(shortest: Duration, longest: Duration) -> Self {
        Self { shortest, longest: longest.max(shortest), attempts: 0 }
    }

    /// Starts again from the shortest wait.
    pub fn reset(&mut self) {
        self.attempts = 0;
    }

    /// The next wait; `chance` in 0..=1 places it within its interval.
    pub fn next(&mut self, chance: f64) -> Duration {
        let doublings = self.attempts.min(31);
        self.attempts = self.attempts.saturating_add(1);
        let ceiling = self.shortest.saturating_mul(1 << doublings).saturating_mul(2).min(self.longest);
        let floor = (ceiling / 2).max(self.shortest);
        floor + (ceiling.saturating_sub(floor)).mul_f64(chance.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn waits_double_up_to_the_bound_and_start_again() {
        let mut backoff = Backoff::new(SECOND, 60 * SECOND);
        let longest: Vec<_> = (0..8).map(|_| backoff.next(1.0).as_secs()).collect();
        assert_eq!(longest, [2, 4, 8, 16, 32, 60, 60, 60]);
        backoff.reset();
        let shortest: Vec<_> = (0..8).map(|_| backoff.next(0.0).as_secs()).collect();
        assert_eq!(shortest, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn never_leaves_its_bounds_however_long_the_outage() {
        let mut backoff = Backoff::new(SECOND, 60 * SECOND);
        for draw in 0..10_000 {
            let wait = backoff.next(f64::from(draw % 101) / 100.0);
            assert!((SECOND..=60 * SECOND).contains(&wait), "{wait:?}");
        }
    }
}
