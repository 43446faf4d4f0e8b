//! How the daemon is: counters that only rise, in one place that any number of readers can look at.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use emotiond_core::report::observation::CameraState;
use emotiond_core::report::reading::ReadingTimes;

use crate::capture::Losses;
use crate::vision::Timing;

/// How often the counters are marked, to tell what the last minute was like.
const MARK: Duration = Duration::from_secs(10);
/// Marks kept: the oldest is one to one and a sixth minutes old.
const MARKS: usize = 7;

/// Counters of the whole life of the process; none of them ever falls.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Totals {
    /// Frames that the source delivered.
    pub captured: u64,
    /// Frames that were captured or due but not analysed, and frames that arrived damaged.
    pub losses: Losses,
    /// Times of the stages; their counts are the frames analysed and the readings of faces.
    pub timing: Timing,
    /// How often faces were read.
    pub readings: ReadingTimes,
    /// Processor time of the process since it was started, not since the last call.
    pub cpu: Duration,
}

/// What the last minute was like.
#[derive(Clone, Copy, Debug)]
pub struct Recent {
    /// For how long, in seconds; less than a minute after the start.
    pub seconds: f64,
    /// Frames that the source delivered.
    pub captured: u64,
    /// Times of the stages.
    pub timing: Timing,
    /// How often faces were read; `oldest` is of the whole run.
    pub readings: ReadingTimes,
    /// Processor time of the process.
    pub cpu: Duration,
}

/// The counters at one moment, and the longest times since.
#[derive(Clone, Copy)]
struct Mark {
    at: Instant,
    totals: Totals,
    peaks: Timing,
}

struct Counts {
    totals: Totals,
    /// `None` until vision has been told.
    camera: Option<CameraState>,
    /// The oldest first; never empty.
    marks: VecDeque<Mark>,
}

/// The status that the vision worker writes and anybody reads. Reading changes nothing.
pub struct Status(Mutex<Counts>);

impl Status {
    /// Nothing has happened yet.
    #[must_use]
    pub fn new(now: Instant) -> Self {
        let totals = Totals::default();
        let marks = [Mark { at: now, totals, peaks: Timing::default() }].into();
        Self(Mutex::new(Counts { totals, camera: None, marks }))
    }

    /// Adds what has happened since the last call. The camera's state stays as it is where none is given.
    pub fn add(&self, now: Instant, news: &Totals, camera: Option<CameraState>) {
        let mut counts = self.lock();
        let newest = counts.marks.back().expect("never empty").at;
        if now.saturating_duration_since(newest) >= MARK {
            let totals = counts.totals;
            counts.marks.push_back(Mark { at: now, totals, peaks: Timing::default() });
            if counts.marks.len() > MARKS {
                counts.marks.pop_front();
            }
        }
        counts.marks.back_mut().expect("never empty").peaks.merge(&news.timing);
        counts.totals.captured += news.captured;
        counts.totals.losses.dropped += news.losses.dropped;
        counts.totals.losses.corrupt += news.losses.corrupt;
        counts.totals.timing.merge(&news.timing);
        counts.totals.readings.merge(&news.readings);
        counts.totals.cpu = counts.totals.cpu.max(news.cpu);
        counts.camera = camera.or(counts.camera);
    }

    /// The counters of the whole life of the process, and the camera's state once it is known.
    #[must_use]
    pub fn totals(&self) -> (Totals, Option<CameraState>) {
        let counts = self.lock();
        (counts.totals, counts.camera)
    }

    /// What the last minute was like.
    #[must_use]
    pub fn recent(&self, now: Instant) -> Recent {
        let counts = self.lock();
        let mut peaks = Timing::default();
        for mark in &counts.marks {
            peaks.merge(&mark.peaks);
        }
        let oldest = counts.marks.front().expect("never empty");
        Recent {
            seconds: now.saturating_duration_since(oldest.at).as_secs_f64().max(1e-3),
            captured: counts.totals.captured - oldest.totals.captured,
            timing: counts.totals.timing.since(&oldest.totals.timing, &peaks),
            readings: counts.totals.readings.since(&oldest.totals.readings),
            cpu: counts.totals.cpu.saturating_sub(oldest.totals.cpu),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Counts> {
        // A panic anywhere ends the process, so a poisoned lock is on its way out and its data still whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(count: u64, milliseconds: u64) -> Totals {
        let mut news = Totals { captured: count, ..Totals::default() };
        news.readings.count = 2 * count;
        news.readings.readable = Duration::from_millis(200 * count);
        (0..count).for_each(|_| news.timing.frame.add(Duration::from_millis(milliseconds)));
        news
    }

    #[test]
    fn whoever_reads_takes_nothing_away() {
        let start = Instant::now();
        let status = Status::new(start);
        status.add(start, &frames(10, 4), Some(CameraState::Ok));
        let later = start + Duration::from_secs(2);
        let read = || (status.recent(later).captured, status.recent(later).timing, status.totals());
        assert_eq!(read(), read());
        assert_eq!(status.recent(later).captured, 10);
        assert!((status.recent(later).seconds - 2.0).abs() < 1e-9);
    }

    #[test]
    fn rates_and_peaks_are_of_the_last_minute_and_totals_of_the_whole_run() {
        let start = Instant::now();
        let status = Status::new(start);
        let at = |second| start + Duration::from_secs(second);
        status.add(at(0), &frames(1, 900), Some(CameraState::Ok));
        (1..=300).for_each(|second| status.add(at(second), &frames(5, 20), Some(CameraState::Ok)));
        let recent = status.recent(at(300));
        assert!((60.0..=70.0).contains(&recent.seconds), "{}", recent.seconds);
        assert!((recent.captured as f64 / recent.seconds - 5.0).abs() < 0.2);
        assert_eq!(
            recent.timing.frame.mean_max(),
            Some((Duration::from_millis(20), Duration::from_millis(20)))
        );
        assert_eq!(recent.readings.rate(), Some(10.0), "two readings in a fifth of a face-second");
        let (totals, _) = status.totals();
        assert_eq!((totals.captured, totals.timing.frame.count()), (1501, 1501));
        assert_eq!(totals.timing.frame.mean_max().unwrap().1, Duration::from_millis(900));
    }
}
