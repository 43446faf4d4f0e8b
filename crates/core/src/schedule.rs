//! Which faces of a frame the emotion network reads: new ones first, then those that change, settled ones in turn.
//!
//! A face whose scores stay as they are tells nothing new in every frame. As in Savchenko's adaptive frame rate ("Facial
//! Expression Recognition with Adaptive Frame Rate based on Multiple Testing Correction", ICML 2023), a face is read
//! often until its readings agree, and rarely from then on; here that goes for each of many faces, which share what
//! time there is. Each reading that agrees with the one before of the same view doubles the face's interval, up to
//! [`SETTLED`]; one that does not, or a face that moves, brings it back to every frame. Where time is short, the faces
//! that have waited longest, measured in their own intervals, go first. That lateness grows without bound, so nobody
//! starves.
//!
//! What is known of a face holds until its next reading. Smoothing goes on with it frame by frame, so that a face that does
//! not change ends in the same place however often it is read, and one that does is late by what it waited, no more.
//!
//! A network says slightly different things of a face and of its mirror image. Each face alternates between the two
//! views by itself, and what is handed on is the mean of its last two readings, one of each view.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::time::Duration;

use crate::geometry::Rect;
use crate::moment::Moment;
use crate::report::observation::TrackId;
use crate::report::score::Scores;

/// How often a face that does not change is read. Below a second by as much as one late frame takes.
pub const SETTLED: Duration = Duration::from_millis(800);
/// The unit of lateness of a face that changes: the time between two frames at the default rate.
const STEP: Duration = Duration::from_millis(200);
/// The lateness of a new face when it is first seen: before all who have not waited for as many of their intervals.
const NEW: f64 = 5.0;
/// A face that is early by this share of its interval is read all the same, since frames jitter.
const EARLY: f64 = 0.1;
/// The difference of two readings of a view from which on the face has changed. Of 256 pairs of readings of copies of one
/// face, shifted by a pixel and with noise, 95 % differ by less than 0.19.
const CHANGED: f64 = 0.2;
/// How far a face may be from where it was read, in face sizes, to count as still. Of the same pairs, the detector's
/// boxes differ by less than 0.13 in 99 %.
const MOVED: f64 = 0.15;
/// How much its size may differ, as a ratio, to count as still. Of the same pairs, 1.15 in 99 %.
const GROWN: f64 = 1.2;
/// Two readings further apart are not averaged: the older one says nothing of now.
const PAIRED: Duration = Duration::from_secs(2);

/// A face to read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Pick {
    /// Its place among the faces given.
    pub place: usize,
    /// Whether to show its mirror image.
    pub mirrored: bool,
}

/// What is kept of a face between its readings.
#[derive(Debug)]
struct Kept {
    /// Since when it could have been read.
    since: Moment,
    /// When it was read last, and where it was then.
    last: Option<(Moment, Rect)>,
    /// The time from that reading to the next, if the face does not move; none while it changes.
    interval: Duration,
    /// The last reading as it is and mirrored. The older one is dropped when the face has changed since.
    views: [Option<(Moment, Scores)>; 2],
    /// Whether its next reading is of the mirror image.
    mirrored: bool,
    /// What the readings say together.
    known: Option<Scores>,
}

/// Decides which faces are read, and what their readings make.
#[derive(Debug, Default)]
pub struct ReadingSchedule {
    faces: BTreeMap<TrackId, Kept>,
}

impl ReadingSchedule {
    /// The faces to read in the frame of `at`, the most urgent first, `most` of them at most. `faces` are those that can be
    /// read, each with its track. Each face picked is to be read and reported by [`Self::read`]; one that is not is
    /// picked again.
    pub fn choose(&mut self, at: Moment, faces: &[(TrackId, Rect)], most: usize) -> Vec<Pick> {
        let mut due: Vec<(f64, Duration, Pick)> = Vec::new();
        for (place, (track, bounds)) in faces.iter().enumerate() {
            let kept = self.faces.entry(*track).or_insert_with(|| Kept::new(at));
            if let Some(lateness) = kept.lateness(at, bounds) {
                due.push((lateness, kept.interval, Pick { place, mirrored: kept.mirrored }));
            }
        }
        // Of two that have waited for as many intervals, the one that changes; the sort keeps the order of others.
        due.sort_by(|(a, first, _), (b, second, _)| b.total_cmp(a).then(first.cmp(second)));
        due.into_iter().take(most).map(|(_, _, pick)| pick).collect()
    }

    /// Takes note of a reading of a face that was picked.
    pub fn read(&mut self, track: TrackId, at: Moment, bounds: Rect, reading: Scores) {
        let kept = self.faces.entry(track).or_insert_with(|| Kept::new(at));
        let (own, other) = if kept.mirrored { (1, 0) } else { (0, 1) };
        let before = kept.views[own].take();
        kept.interval = match before.map(|(_, before)| before.difference(&reading) >= CHANGED) {
            Some(false) => (kept.interval * 2).clamp(STEP * 2, SETTLED),
            Some(true) => {
                kept.views[other] = None;
                Duration::ZERO
            }
            None => Duration::ZERO,
        };
        let mut known = reading.clone();
        if let Some((seen, other)) = &kept.views[other]
            && at - *seen <= PAIRED
        {
            known.approach(other, 0.5);
        }
        kept.views[own] = Some((at, reading));
        kept.last = Some((at, bounds));
        kept.mirrored = !kept.mirrored;
        kept.known = Some(known);
    }

    /// What is known of a face, and when it was last read, if it was: the mean of its last view and the other one, unless
    /// the face has changed between the two.
    #[must_use]
    pub fn known(&self, track: TrackId) -> Option<(Moment, &Scores)> {
        let kept = self.faces.get(&track)?;
        Some((kept.last?.0, kept.known.as_ref()?))
    }

    /// Drops what is kept of a track that is over.
    pub fn remove(&mut self, track: TrackId) {
        self.faces.remove(&track);
    }
}

impl Kept {
    fn new(since: Moment) -> Self {
        Self {
            since,
            last: None,
            interval: Duration::ZERO,
            views: [None, None],
            mirrored: false,
            known: None,
        }
    }

    /// How urgent a reading is, in intervals waited; `None` if it is not due.
    fn lateness(&self, at: Moment, bounds: &Rect) -> Option<f64> {
        let Some((last, place)) = &self.last else {
            return Some(NEW + (at - self.since).as_secs_f64() / STEP.as_secs_f64());
        };
        let waited = at - *last;
        let interval = if moved(place, bounds) { Duration::ZERO } else { self.interval };
        let due = !waited.is_zero() && waited.as_secs_f64() >= interval.as_secs_f64() * (1.0 - EARLY);
        due.then(|| waited.as_secs_f64() / interval.max(STEP).as_secs_f64())
    }
}

/// Whether a face is elsewhere, or of another size, than it was.
fn moved(before: &Rect, now: &Rect) -> bool {
    let size = |bounds: &Rect| libm::sqrt(f64::from(bounds.width) * f64::from(bounds.height));
    let (small, large) = (size(before).min(size(now)), size(before).max(size(now)));
    let (from, to) = (before.center(), now.center());
    let distance = libm::hypot(f64::from(to.x - from.x), f64::from(to.y - from.y));
    distance > MOVED * large || large > GROWN * small
}

#[cfg(test)]
mod tests;
