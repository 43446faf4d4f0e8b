//! How long the stages take.

use std::time::Duration;

/// Upper bounds of the classes in which times are counted, in milliseconds: from a face on a desktop to a frame on the
/// smallest Raspberry Pi. What takes longer is in a class of its own.
const BOUNDS: [f64; 10] = [1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0];

/// Times of one stage.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct StageTimes {
    count: u64,
    total: Duration,
    max: Duration,
    classes: [u64; BOUNDS.len() + 1],
}

impl StageTimes {
    /// Adds one run of the stage.
    pub fn add(&mut self, time: Duration) {
        self.count += 1;
        self.total += time;
        self.max = self.max.max(time);
        let milliseconds = time.as_secs_f64() * 1000.0;
        self.classes[BOUNDS.partition_point(|bound| *bound < milliseconds)] += 1;
    }

    /// Adds the runs of another period.
    pub fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.total += other.total;
        self.max = self.max.max(other.max);
        self.classes.iter_mut().zip(other.classes).for_each(|(count, more)| *count += more);
    }

    /// The runs since `earlier`, a state of the same times; `max` is the longest of them, which the sums do not know.
    #[must_use]
    pub fn since(&self, earlier: &Self, max: Duration) -> Self {
        Self {
            count: self.count - earlier.count,
            total: self.total.saturating_sub(earlier.total),
            max,
            classes: std::array::from_fn(|class| self.classes[class] - earlier.classes[class]),
        }
    }

    /// How often the stage ran.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All runs together.
    #[must_use]
    pub fn total(&self) -> Duration {
        self.total
    }

    /// Upper bounds in seconds, the last of them infinite, and the runs that took no longer than that and longer than the
    /// bound before.
    pub fn classes(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS.iter().map(|bound| bound / 1000.0).chain([f64::INFINITY]);
        bounds.zip(self.classes)
    }

    /// Mean and longest time, if the stage ran at all.
    #[must_use]
    pub fn mean_max(&self) -> Option<(Duration, Duration)> {
        (self.count > 0).then(|| (self.total.div_f64(self.count as f64), self.max))
    }
}

/// Times of all stages.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Timing {
    /// JPEG or raw frame to RGB.
    pub decode: StageTimes,
    /// Face detection, a frame.
    pub detect: StageTimes,
    /// Emotion, a reading of a face.
    pub emotion: StageTimes,
    /// A whole frame.
    pub frame: StageTimes,
}

impl Timing {
    /// Adds the runs of another period.
    pub fn merge(&mut self, other: &Self) {
        self.decode.merge(&other.decode);
        self.detect.merge(&other.detect);
        self.emotion.merge(&other.emotion);
        self.frame.merge(&other.frame);
    }

    /// The runs since `earlier`, a state of the same times; the longest ones are those of `peaks`.
    #[must_use]
    pub fn since(&self, earlier: &Self, peaks: &Self) -> Self {
        let of = |now: &StageTimes, then: &StageTimes, peak: &StageTimes| now.since(then, peak.max);
        Self {
            decode: of(&self.decode, &earlier.decode, &peaks.decode),
            detect: of(&self.detect, &earlier.detect, &peaks.detect),
            emotion: of(&self.emotion, &earlier.emotion, &peaks.emotion),
            frame: of(&self.frame, &earlier.frame, &peaks.frame),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_is_in_one_class() {
        let mut times = StageTimes::default();
        for milliseconds in [0, 1, 2, 5, 999, 1000, 1001, 60_000] {
            times.add(Duration::from_millis(milliseconds));
        }
        let counts: Vec<_> = times.classes().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 1, 1, 0, 0, 0, 0, 0, 0, 2, 2]);
        let mut twice = times;
        twice.merge(&times);
        assert_eq!(
            twice.since(&times, Duration::ZERO).classes().collect::<Vec<_>>(),
            times.classes().collect::<Vec<_>>()
        );
        let (bounds, _): (Vec<_>, Vec<_>) = times.classes().unzip();
        assert_eq!((bounds[0], bounds[9], bounds[10]), (0.001, 1.0, f64::INFINITY));
    }
}
