//! Which face of this frame is which face of the last: numbers for faces, kept over short misses, never reused.
//!
//! Each track predicts where its face is now (constant velocity), every admissible pair of track and face gets a gain
//! from the squared distance of the centres and the overlap of the boxes, and the assignment with the greatest total
//! gain wins (Kuhn-Munkres). Squared distances keep two faces that move side by side apart where a greedy choice would
//! let the second take the place of the first. Faces are put into a canonical order first, so that the order in which
//! a detector lists them changes nothing.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use pathfinding::kuhn_munkres::kuhn_munkres;
use pathfinding::matrix::Matrix;

use crate::geometry::{Face, Point, Rect};
use crate::moment::Moment;
use crate::report::observation::TrackId;

/// The unit of gain; the assignment works on integers, so that equal inputs always compare equal.
const UNIT: f64 = 1_000_000.0;
/// What any admissible match is worth before its quality: two who both moved are likelier than one who stands where
/// the other was, while that one has gone and a stranger has come.
const MATCHED: f64 = 0.5;
/// The share of overlap in the gain; small, or the side-by-side case above would go wrong.
const OVERLAP_SHARE: f64 = 0.2;
/// The greatest ratio of sizes between a track and a face that may be the same.
const SIZE_RATIO: f64 = 2.0;
/// How far a face may be from its prediction, in face sizes: at once, more for each second unseen, and at most.
const REACH: (f64, f64, f64) = (0.8, 1.2, 3.0);

/// How long a face may be missed and still be the same.
#[derive(Clone, Debug, PartialEq)]
pub struct TrackerSettings {
    /// A track that was unseen for this long is given up, if it has also missed [`Self::misses`] frames.
    pub memory: Duration,
    /// The frames a track must have missed before it is given up: what keeps it alive at one frame a second.
    pub misses: u32,
    /// A track that was unseen for longer is given up in any case: after a stall, nothing says who is there now.
    pub limit: Duration,
}

impl Default for TrackerSettings {
    fn default() -> Self {
        Self { memory: Duration::from_secs(1), misses: 2, limit: Duration::from_secs(5) }
    }
}

#[derive(Debug)]
struct Track {
    id: TrackId,
    bounds: Rect,
    /// Pixels a second, smoothed.
    velocity: Point,
    seen: Moment,
    missed: u32,
}

/// Assigns faces to tracks.
#[derive(Debug)]
pub struct Tracker {
    settings: TrackerSettings,
    tracks: Vec<Track>,
    retired: Vec<TrackId>,
    next: u64,
}

impl Tracker {
    /// A tracker that has seen nothing.
    #[must_use]
    pub fn new(settings: TrackerSettings) -> Self {
        Self { settings, tracks: Vec::new(), retired: Vec::new(), next: 1 }
    }

    /// The tracks of the faces of one frame, aligned with `faces`. Call it for frames without a face, too.
    pub fn update(&mut self, at: Moment, faces: &[Face]) -> Vec<TrackId> {
        self.retire(|settings, track| at - track.seen > settings.limit);
        let mut order: Vec<usize> = (0..faces.len()).collect();
        order.sort_by(|&a, &b| compare(&faces[a], &faces[b]));

        let mut ids = vec![None; faces.len()];
        let matches = self.assign(at, faces, &order);
        for track in &mut self.tracks {
            track.missed = track.missed.saturating_add(1);
        }
        for (track, face) in matches {
            self.tracks[track].follow(at, &faces[face].bounds);
            ids[face] = Some(self.tracks[track].id);
        }
        self.retire(|settings, track| track.missed >= settings.misses && at - track.seen > settings.memory);
        for face in order {
            if ids[face].is_none() {
                ids[face] = Some(self.start(at, faces[face].bounds));
            }
        }
        ids.into_iter().map(|id| id.expect("every face without a track has just been given one")).collect()
    }

    /// The tracks given up since the last call, so that others can forget them.
    pub fn drain_retired(&mut self) -> Vec<TrackId> {
        core::mem::take(&mut self.retired)
    }

    /// Gives up every track, as after a pause: whoever is seen next is somebody new.
    pub fn clear(&mut self) {
        self.retire(|_, _| true);
    }

    fn start(&mut self, at: Moment, bounds: Rect) -> TrackId {
        let id = TrackId(self.next);
        self.next += 1;
        self.tracks.push(Track { id, bounds, velocity: Point::default(), seen: at, missed: 0 });
        id
    }

    fn retire(&mut self, gone: impl Fn(&TrackerSettings, &Track) -> bool) {
        let Self { settings, tracks, retired, .. } = self;
        tracks.retain(|track| {
            let gone = gone(settings, track);
            if gone {
                retired.push(track.id);
            }
            !gone
        });
    }

    /// Pairs of (index of the track, index of the face).
    fn assign(&self, at: Moment, faces: &[Face], order: &[usize]) -> Vec<(usize, usize)> {
        let (tracks, count) = (self.tracks.len(), order.len());
        if tracks == 0 || count == 0 {
            return Vec::new();
        }
        let gain = |track: usize, place: usize| self.tracks[track].gain(at, &faces[order[place]].bounds);
        // The algorithm wants no more rows than columns.
        let pairs: Vec<(usize, usize)> = if tracks <= count {
            let gains = Matrix::from_fn(tracks, count, |(track, place)| gain(track, place));
            kuhn_munkres(&gains).1.into_iter().enumerate().collect()
        } else {
            let gains = Matrix::from_fn(count, tracks, |(place, track)| gain(track, place));
            kuhn_munkres(&gains).1.into_iter().enumerate().map(|(place, track)| (track, place)).collect()
        };
        pairs
            .into_iter()
            .filter(|&(track, place)| gain(track, place) > 0)
            .map(|(track, place)| (track, order[place]))
            .collect()
    }
}

impl Track {
    /// How well a face continues this track, from 0 (cannot be).
    fn gain(&self, at: Moment, face: &Rect) -> i64 {
        let unseen = (at - self.seen).as_secs_f64();
        let (own, other) = (size(&self.bounds), size(face));
        let ratio = own.max(other) / own.min(other);
        if !ratio.is_finite() || ratio > SIZE_RATIO {
            return 0;
        }
        // A velocity is not trusted for longer than a second.
        let ahead = unseen.min(1.0) as f32;
        let predicted = Rect {
            x: self.bounds.x + self.velocity.x * ahead,
            y: self.bounds.y + self.velocity.y * ahead,
            ..self.bounds
        };
        let distance = distance(predicted.center(), face.center()) / own.max(other);
        let (once, more, most) = REACH;
        let reach = (once + more * unseen).min(most);
        let share = distance / reach;
        let near = 1.0 - share * share;
        if near.is_nan() || near <= 0.0 {
            return 0;
        }
        let quality = (1.0 - OVERLAP_SHARE) * near + OVERLAP_SHARE * f64::from(predicted.iou(face));
        libm::round((MATCHED + quality) * UNIT) as i64
    }

    fn follow(&mut self, at: Moment, face: &Rect) {
        let passed = (at - self.seen).as_secs_f32();
        if passed > 0.0 {
            let (from, to) = (self.bounds.center(), face.center());
            self.velocity.x = 0.5 * self.velocity.x + 0.5 * (to.x - from.x) / passed;
            self.velocity.y = 0.5 * self.velocity.y + 0.5 * (to.y - from.y) / passed;
        }
        self.bounds = *face;
        self.seen = self.seen.max(at);
        self.missed = 0;
    }
}

fn size(bounds: &Rect) -> f64 {
    libm::sqrt(f64::from(bounds.width) * f64::from(bounds.height))
}

fn distance(a: Point, b: Point) -> f64 {
    libm::hypot(f64::from(a.x - b.x), f64::from(a.y - b.y))
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
