//! How long somebody stayed and looked: visits, from the beginnings and ends of tracks.
//!
//! A *visit* is a track that counts: one that was seen in two frames or more. It lasts from the first sight of the face
//! to the last (*dwell*). Its *facing time* is the time between neighbouring frames that both show it, while the head is
//! turned to the camera; it is never longer than the dwell. A visit with [`WATCHED`] of it or more has a *watcher*.
//!
//! What is said of ended visits is said once, in the window in which the tracker gives the track up, so that sums over
//! windows are the sums over the visits. Where [`Policy::min_people`] is more than one, ended visits wait until so many
//! can be told of together, and until so many people were there at once while one of them lasted: a single person whose
//! track broke must not pass for several.

use alloc::collections::BTreeMap;
use core::time::Duration;

use crate::moment::Moment;
use crate::report::observation::{FrameAnalysis, Passage, TrackId};
use crate::report::policy::Policy;

/// The facing time from which on a visit has a watcher.
pub const WATCHED: Duration = Duration::from_secs(1);

/// The upper edges of the histograms' first five buckets, in seconds; an edge belongs to the bucket above it.
pub(crate) const EDGES: [u64; 5] = [5, 15, 30, 60, 300];

/// One length of time of each of several visits.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Times {
    /// How many visits.
    pub ended: u32,
    /// The sum of their times.
    pub total: Duration,
    /// How many of them took 0 to 5, 5 to 15, 15 to 30, 30 to 60, 60 to 300 seconds, and longer.
    pub histogram: [u32; 6],
}

impl Times {
    fn add(&mut self, time: Duration) {
        self.ended += 1;
        self.total += time;
        let bucket = EDGES.iter().filter(|edge| time >= Duration::from_secs(**edge)).count();
        self.histogram[bucket] += 1;
    }

    /// The mean in seconds; `None` without a visit.
    #[must_use]
    pub fn mean(&self) -> Option<f64> {
        (self.ended > 0).then(|| self.total.as_secs_f64() / f64::from(self.ended))
    }
}

/// What a window says of visits.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VisitSummary {
    /// Visits that began: tracks that were seen for the second time.
    pub began: u32,
    /// Visits whose facing time reached [`WATCHED`]; `None` if withheld.
    pub watchers: Option<u32>,
    /// The dwell of the visits that ended; `None` if withheld.
    pub dwell: Option<Times>,
    /// The facing time of the same visits; `None` if withheld.
    pub facing: Option<Times>,
    /// How long the one who is there longest has been there when the window ends; `None` if nobody is, or if withheld.
    pub longest: Option<Duration>,
}

impl VisitSummary {
    /// Facing time as a share of dwell, 0..=1; `None` if no visit that took time ended, or if withheld.
    #[must_use]
    pub fn attraction(&self) -> Option<f64> {
        let (dwell, facing) = (self.dwell.as_ref()?.total, self.facing.as_ref()?.total);
        (!dwell.is_zero()).then(|| facing.as_secs_f64() / dwell.as_secs_f64())
    }
}

/// A track that has not been given up.
#[derive(Clone, Debug)]
struct Visit {
    first: Moment,
    last: Moment,
    frames: u32,
    /// Whether it faced the camera in the last frame that showed it.
    facing: bool,
    facing_time: Duration,
    watched: bool,
    /// The most visits under way in one frame that showed this one.
    company: u32,
}

/// A visit under way, as a trigger sees it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Staying {
    pub(crate) track: TrackId,
    /// From the first sight to the last.
    pub(crate) dwell: Duration,
    /// The most people at once while it lasted.
    pub(crate) company: u32,
}

/// What there is to be told.
#[derive(Debug, Default)]
struct Tally {
    began: u32,
    watchers: WatcherCount,
    dwell: Times,
    facing: Times,
    /// The most people at once while one of the ended visits lasted.
    company: u32,
}

/// A count, and the most people at once when something was counted.
#[derive(Debug, Default)]
struct WatcherCount {
    count: u32,
    company: u32,
}

/// The visits under way and what is to be told of those that are over.
#[derive(Debug)]
pub struct Visits {
    /// The frame from which on a track counts.
    confirm: u32,
    /// The longest time between two frames of which something is known.
    hold: Duration,
    open: BTreeMap<TrackId, Visit>,
    frame: Option<Moment>,
    tally: Tally,
}

impl Visits {
    pub(crate) fn new(confirm: u32, hold: Duration) -> Self {
        Self { confirm, hold, open: BTreeMap::new(), frame: None, tally: Tally::default() }
    }

    /// Takes in that a track began or ended.
    pub(crate) fn passage(&mut self, passage: Passage) {
        match passage {
            Passage::Began { track, at } => {
                let visit = Visit {
                    first: at,
                    last: at,
                    frames: 0,
                    facing: false,
                    facing_time: Duration::ZERO,
                    watched: false,
                    company: 0,
                };
                self.open.insert(track, visit);
            }
            Passage::Ended { track, first, last } => {
                let Some(visit) = self.open.remove(&track).filter(|visit| visit.frames >= self.confirm)
                else {
                    return;
                };
                let dwell = last - first;
                self.tally.dwell.add(dwell);
                self.tally.facing.add(visit.facing_time.min(dwell));
                self.tally.company = self.tally.company.max(visit.company);
            }
        }
    }

    /// Takes in the faces of a frame of a camera that works. Their tracks have begun.
    pub(crate) fn frame(&mut self, analysis: &FrameAnalysis) {
        let at = analysis.at;
        let before = self.frame.replace(at);
        let mut there = 0;
        for face in &analysis.faces {
            let Some(visit) = self.open.get_mut(&face.track) else { continue };
            // Where a frame between did not show it, nobody knows where it looked.
            let neighbours = visit.frames > 0 && before == Some(visit.last);
            if neighbours && visit.facing && at - visit.last <= self.hold {
                visit.facing_time += at - visit.last;
            }
            visit.facing = face.facing;
            visit.last = visit.last.max(at);
            visit.frames = visit.frames.saturating_add(1);
            self.tally.began += u32::from(visit.frames == self.confirm);
            there += u32::from(visit.frames >= self.confirm);
        }
        for face in &analysis.faces {
            let Some(visit) = self.open.get_mut(&face.track) else { continue };
            if visit.frames < self.confirm {
                continue;
            }
            visit.company = visit.company.max(there);
            if !visit.watched && visit.facing_time >= WATCHED {
                visit.watched = true;
                self.tally.watchers.count += 1;
                self.tally.watchers.company = self.tally.watchers.company.max(visit.company);
            }
        }
    }

    /// The visits under way.
    pub(crate) fn staying(&self) -> impl Iterator<Item = Staying> {
        let counted = self.open.iter().filter(|(_, visit)| visit.frames >= self.confirm);
        counted.map(|(track, visit)| Staying {
            track: *track,
            dwell: visit.last - visit.first,
            company: visit.company,
        })
    }

    /// What a window that was observed says: of the time up to `end`, when the faces of `there` were there, and after
    /// `max` people at once.
    pub(crate) fn tell(&mut self, end: Moment, there: &[TrackId], max: u32, policy: &Policy) -> VisitSummary {
        let least = policy.min_people;
        let enough = u32::try_from(there.len()).unwrap_or(u32::MAX) >= least;
        let firsts = there.iter().filter_map(|track| Some(self.open.get(track)?.first));
        let longest = firsts.min().map(|first| end - first).filter(|_| enough);
        let tally = &mut self.tally;
        let watchers = match core::mem::take(&mut tally.watchers) {
            WatcherCount { count, company } if company.max(max) >= least => Some(count),
            // Nobody was there to look.
            waiting => {
                tally.watchers = waiting;
                (max == 0).then_some(0)
            }
        };
        let ended = tally.dwell.ended == 0 || (tally.dwell.ended >= least && tally.company >= least);
        let (dwell, facing) = if ended {
            tally.company = 0;
            (Some(core::mem::take(&mut tally.dwell)), Some(core::mem::take(&mut tally.facing)))
        } else {
            (None, None)
        };
        VisitSummary {
            began: core::mem::take(&mut tally.began),
            watchers: watchers.filter(|_| policy.watchers),
            dwell,
            facing: facing.filter(|_| policy.watchers),
            longest,
        }
    }
}

#[cfg(test)]
mod tests;
