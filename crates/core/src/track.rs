//! Which face of this frame is which face of the last: numbers for faces, kept over short misses, never reused.
//!
//! Each track predicts where its face is now (a Kalman filter of constant velocity), every admissible pair of track and
//! face gets a gain from the squared distance of the centres, the ratio of the sizes and the overlap of the boxes, and the
//! assignment with the greatest total gain wins (Kuhn-Munkres). Squared distances keep two faces that move side by side apart where a greedy
//! choice would let the second take the place of the first. Faces are put into a canonical order first, so that the
//! order in which a detector lists them changes nothing.
//!
//! There are two stages, as in `ByteTrack` (arXiv 2110.06864): faces go to the tracks that were seen a moment ago; those
//! that are left may continue a track that has been lost for longer (behind somebody, turned away, not detected), if
//! place and size fit closely. Place, size and motion are all that is compared, never what a face looks like.
//! `docs/decisions/0013-visits.md` has what this was measured to do.

mod motion;

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use crate::geometry::{Face, Rect};
use crate::moment::Moment;
use crate::report::observation::{Passage, TrackId};
use motion::Motion;

/// The unit of gain; the assignment works on integers, so that equal inputs always compare equal.
const UNIT: f64 = 1_000_000.0;
/// What any admissible match is worth before its quality: two who both moved are likelier than one who stands where
/// the other was, while that one has gone and a stranger has come.
const MATCHED: f64 = 0.5;
/// The share of overlap in the gain; small, or the side-by-side case above would go wrong.
const OVERLAP_SHARE: f64 = 0.2;
/// What may be the same face as the one of a track that was seen a moment ago, or of one that is lost.
const SEEN: Allowance = Allowance { ratio: 1.8, once: 0.8, more: 1.0 };
const LOST: Allowance = Allowance { ratio: 1.5, once: 1.0, more: 0.4 };
/// How far a face may be from where it was expected in any case, in face sizes.
const FARTHEST: f64 = 3.0;

/// How different a face may be from a track.
#[derive(Clone, Copy, Debug)]
struct Allowance {
    /// The greatest ratio of their sizes.
    ratio: f64,
    /// How far it may be from where it was expected, in face sizes, and how much farther for each second unseen.
    once: f64,
    more: f64,
}

/// How long a face may be missed and still be the same.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackerSettings {
    /// A track that was unseen for this long is lost, if it has also missed [`Self::misses`] frames.
    pub memory: Duration,
    /// The frames a track must have missed before it is lost: what keeps it at one frame a second.
    pub misses: u32,
    /// A lost track that was unseen for this long is given up; until then it may be found again.
    pub recall: Duration,
    /// A track that was unseen for longer is given up in any case: after a stall, nothing says who is there now.
    pub limit: Duration,
}

impl Default for TrackerSettings {
    fn default() -> Self {
        Self {
            memory: Duration::from_secs(1),
            misses: 2,
            recall: Duration::from_secs(3),
            limit: Duration::from_secs(5),
        }
    }
}

#[derive(Debug)]
struct Track {
    id: TrackId,
    bounds: Rect,
    motion: Motion,
    first: Moment,
    seen: Moment,
    missed: u32,
    lost: bool,
}

/// Assigns faces to tracks.
#[derive(Debug)]
pub struct Tracker {
    settings: TrackerSettings,
    tracks: Vec<Track>,
    passages: Vec<Passage>,
    next: u64,
}

impl Tracker {
    /// A tracker that has seen nothing.
    #[must_use]
    pub fn new(settings: TrackerSettings) -> Self {
        Self { settings, tracks: Vec::new(), passages: Vec::new(), next: 1 }
    }

    /// The tracks of the faces of one frame, aligned with `faces`. Call it for frames without a face, too.
    pub fn update(&mut self, at: Moment, faces: &[Face]) -> Vec<TrackId> {
        self.retire(|settings, track| at - track.seen > settings.limit);
        let mut order: Vec<usize> = (0..faces.len()).collect();
        order.sort_by(|&a, &b| compare(&faces[a], &faces[b]));

        let mut ids = vec![None; faces.len()];
        for track in &mut self.tracks {
            track.missed = track.missed.saturating_add(1);
        }
        for lost in [false, true] {
            let free: Vec<usize> = order.iter().copied().filter(|&face| ids[face].is_none()).collect();
            for (track, face) in self.assign(at, faces, &free, lost) {
                self.tracks[track].follow(at, &faces[face].bounds);
                ids[face] = Some(self.tracks[track].id);
            }
        }
        let TrackerSettings { memory, misses, .. } = self.settings;
        for track in &mut self.tracks {
            track.lost = track.missed >= misses && at - track.seen > memory;
        }
        self.retire(|settings, track| track.lost && at - track.seen > settings.recall);
        for face in order {
            if ids[face].is_none() {
                ids[face] = Some(self.start(at, faces[face].bounds));
            }
        }
        ids.into_iter().map(|id| id.expect("every face without a track has just been given one")).collect()
    }

    /// The tracks that began and those that were given up since the last call, in order, so that others can count
    /// them, and forget those that have ended.
    pub fn drain_passages(&mut self) -> Vec<Passage> {
        core::mem::take(&mut self.passages)
    }

    /// Gives up every track, as after a pause: whoever is seen next is somebody new.
    pub fn clear(&mut self) {
        self.retire(|_, _| true);
    }

    fn start(&mut self, at: Moment, bounds: Rect) -> TrackId {
        let id = TrackId(self.next);
        self.next += 1;
        let motion = Motion::new(bounds.center(), size(&bounds));
        self.tracks.push(Track { id, bounds, motion, first: at, seen: at, missed: 0, lost: false });
        self.passages.push(Passage::Began { track: id, at });
        id
    }

    fn retire(&mut self, gone: impl Fn(&TrackerSettings, &Track) -> bool) {
        let Self { settings, tracks, passages, .. } = self;
        tracks.retain(|track| {
            let gone = gone(settings, track);
            if gone {
                passages.push(Passage::Ended { track: track.id, first: track.first, last: track.seen });
            }
            !gone
        });
    }

    /// Pairs of (index of the track, index of the face) among the tracks of one stage and the faces that are free.
    fn assign(&self, at: Moment, faces: &[Face], free: &[usize], lost: bool) -> Vec<(usize, usize)> {
        let tracks: Vec<usize> =
            (0..self.tracks.len()).filter(|&track| self.tracks[track].lost == lost).collect();
        let (rows, columns) = (tracks.len(), free.len());
        if rows == 0 || columns == 0 {
            return Vec::new();
        }
        let gain = |row: usize, column: usize| self.tracks[tracks[row]].gain(at, &faces[free[column]].bounds);
        // The algorithm wants no more rows than columns.
        let pairs: Vec<(usize, usize)> = if rows <= columns {
            let gains = Matrix::from_fn(rows, columns, |(row, column)| gain(row, column));
            kuhn_munkres(&gains).1.into_iter().enumerate().collect()
        } else {
            let gains = Matrix::from_fn(columns, rows, |(column, row)| gain(row, column));
            kuhn_munkres(&gains).1.into_iter().enumerate().map(|(column, row)| (row, column)).collect()
        };
        pairs
            .into_iter()
            .filter(|&(row, column)| gain(row, column) > 0)
            .map(|(row, column)| (tracks[row], free[column]))
            .collect()
    }
}

impl Track {
    /// How well a face continues this track, from 0 (cannot be).
    fn gain(&self, at: Moment, face: &Rect) -> i64 {
        let allowed = if self.lost { LOST } else { SEEN };
        let unseen = (at - self.seen).as_secs_f64();
        let (own, other) = (size(&self.bounds), size(face));
        let ratio = own.max(other) / own.min(other);
        if !ratio.is_finite() || ratio > allowed.ratio {
            return 0;
        }
        let [x, y] = self.motion.ahead(unseen);
        let Rect { width, height, .. } = self.bounds;
        let predicted = Rect { x: x as f32 - width / 2.0, y: y as f32 - height / 2.0, ..self.bounds };
        let center = face.center();
        let distance = libm::hypot(f64::from(center.x) - x, f64::from(center.y) - y) / own.max(other);
        let share = distance / (allowed.once + allowed.more * unseen).min(FARTHEST);
        // A size that fits badly counts like a place that does.
        let resized = libm::log(ratio) / libm::log(allowed.ratio);
        let near = 1.0 - share * share - resized * resized;
        if near.is_nan() || near <= 0.0 {
            return 0;
        }
        let quality = (1.0 - OVERLAP_SHARE) * near + OVERLAP_SHARE * f64::from(predicted.iou(face));
        libm::round((MATCHED + quality) * UNIT) as i64
    }

    fn follow(&mut self, at: Moment, face: &Rect) {
        self.motion.follow((at - self.seen).as_secs_f64(), face.center(), size(face));
        self.bounds = *face;
        self.seen = self.seen.max(at);
        self.missed = 0;
        self.lost = false;
    }
}

fn size(bounds: &Rect) -> f64 {
    libm::sqrt(f64::from(bounds.width) * f64::from(bounds.height))
}

/// A total order of faces by place alone, then by score.
fn compare(a: &Face, b: &Face) -> core::cmp::Ordering {
    let key = |face: &Face| {
        let Rect { x, y, width, height } = face.bounds;
        [x, y, width, height, face.score]
    };
    let (a, b) = (key(a), key(b));
    a.iter()
        .zip(&b)
        .map(|(a, b)| a.total_cmp(b))
        .find(|order| order.is_ne())
        .unwrap_or(core::cmp::Ordering::Equal)
}

#[cfg(test)]
mod tests;
