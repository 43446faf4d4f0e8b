//! How often faces are read: emotion is not read of every face in every frame.

use core::time::Duration;

use crate::moment::Moment;

/// A reading counts as fresh for this long.
pub const FRESH: Duration = Duration::from_secs(1);

/// What is known of the reading that a face's scores are from.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Reading {
    /// The face is not read: it is too small or too far turned, or nothing reads emotion.
    #[default]
    No,
    /// It is to be read, and has not been yet.
    Due,
    /// It was last read in the frame of this moment.
    At(Moment),
}

/// How often the faces that can be read were read, over some time.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReadingTimes {
    /// Readings.
    pub count: u64,
    /// Face-time in which there was a face to read.
    pub readable: Duration,
    /// The part of it with a reading younger than [`FRESH`].
    pub fresh: Duration,
    /// The greatest age of a reading that stood for a face.
    pub oldest: Duration,
}

impl ReadingTimes {
    /// Credits the time from a moment on in which a face stood with this reading.
    pub(crate) fn stand(&mut self, from: Moment, passed: Duration, reading: Reading) {
        match reading {
            Reading::No => {}
            Reading::Due => self.readable += passed,
            Reading::At(read) => {
                self.readable += passed;
                self.fresh += passed.min(read + FRESH - from);
                self.oldest = self.oldest.max(from + passed - read);
            }
        }
    }

    /// Adds another time.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.readable += other.readable;
        self.fresh += other.fresh;
        self.oldest = self.oldest.max(other.oldest);
    }

    /// What was added since `earlier`, a state of the same sums; `oldest`, which is no sum, stays.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            count: self.count - earlier.count,
            readable: self.readable.saturating_sub(earlier.readable),
            fresh: self.fresh.saturating_sub(earlier.fresh),
            oldest: self.oldest,
        }
    }

    /// Readings a face and second; `None` if there was nobody to read.
    #[must_use]
    pub fn rate(&self) -> Option<f64> {
        (!self.readable.is_zero()).then(|| self.count as f64 / self.readable.as_secs_f64())
    }

    /// The share of face-time with a reading younger than [`FRESH`], 0..=1; `None` if there was nobody to read.
    #[must_use]
    pub fn freshness(&self) -> Option<f64> {
        (!self.readable.is_zero()).then(|| self.fresh.as_secs_f64() / self.readable.as_secs_f64())
    }
}
