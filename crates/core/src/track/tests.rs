use std::collections::{BTreeMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::geometry::Point;

const SIZE: f32 = 100.0;

fn face(x: f32, y: f32, size: f32) -> Face {
    let bounds = Rect { x, y, width: size, height: size };
    Face { bounds, score: 0.9, keypoints: [Point::default(); 6] }
}

fn ms(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn tracker() -> Tracker {
    Tracker::new(TrackerSettings::default())
}

/// The tracks given up since the last call.
fn ended(tracker: &mut Tracker) -> Vec<TrackId> {
    let ended = |passage| match passage {
        Passage::Ended { track, .. } => Some(track),
        Passage::Began { .. } => None,
    };
    tracker.drain_passages().into_iter().filter_map(ended).collect()
}

/// Frames of faces anywhere, with uneven steps of time between them.
fn frames() -> impl Strategy<Value = Vec<(u64, Vec<Face>)>> {
    let face = (0.0_f32..600.0, 0.0_f32..400.0, 40.0_f32..160.0).prop_map(|(x, y, size)| face(x, y, size));
    prop::collection::vec((1_u64..1500, prop::collection::vec(face, 0..6)), 1..20)
}

proptest! {
    #[test]
    fn ids_do_not_depend_on_the_order_of_faces(
        frames in frames(),
        seeds in prop::collection::vec(any::<prop::sample::Index>(), 8),
    ) {
        let (mut straight, mut shuffled) = (tracker(), tracker());
        let mut at = 0;
        for (step, faces) in frames {
            at += step;
            let mut order: Vec<usize> = (0..faces.len()).collect();
            for (i, seed) in seeds.iter().enumerate().take(faces.len()) {
                order.swap(i, seed.index(faces.len()));
            }
            let ids = straight.update(ms(at), &faces);
            let permuted: Vec<Face> = order.iter().map(|&i| faces[i]).collect();
            let expected: Vec<TrackId> = order.iter().map(|&i| ids[i]).collect();
            prop_assert_eq!(shuffled.update(ms(at), &permuted), expected);
            let (mut a, mut b) = (ended(&mut straight), ended(&mut shuffled));
            a.sort();
            b.sort();
            prop_assert_eq!(a, b);
        }
    }

    #[test]
    fn ids_are_unique_and_never_reused(frames in frames()) {
        let mut tracker = tracker();
        let (mut at, mut highest, mut retired) = (0, TrackId(0), HashSet::new());
        for (step, faces) in frames {
            at += step;
            let ids = tracker.update(ms(at), &faces);
            prop_assert_eq!(ids.len(), faces.len());
            prop_assert_eq!(ids.iter().collect::<HashSet<_>>().len(), ids.len());
            prop_assert!(ids.iter().all(|id| !retired.contains(id)));
            // An id that was not there before is higher than all that were.
            let known: HashSet<TrackId> = tracker.tracks.iter().map(|track| track.id).collect();
            prop_assert!(ids.iter().all(|id| known.contains(id)));
            highest = ids.iter().copied().max().map_or(highest, |id| id.max(highest));
            prop_assert!(tracker.next == highest.0 + 1);
            retired.extend(ended(&mut tracker));
        }
    }

    /// People who walk in lanes at up to half a face a second keep their numbers at any frame rate from 1 to 30 a
    /// second, and over detections missed for less than the memory.
    #[test]
    fn a_slow_walker_is_one_track(
        speeds in prop::collection::vec(-0.5_f32..0.5, 1..4),
        rate in 1_u64..30,
        misses in prop::collection::vec(0_u8..4, 60),
    ) {
        let mut tracker = tracker();
        let mut ids: BTreeMap<usize, HashSet<TrackId>> = BTreeMap::new();
        let mut missing_since = vec![None; speeds.len()];
        for (frame, miss) in misses.iter().enumerate() {
            let at = ms(frame as u64 * 1000 / rate);
            let mut faces = Vec::new();
            let mut walkers = Vec::new();
            for (walker, speed) in speeds.iter().enumerate() {
                let since = *missing_since[walker].get_or_insert(at);
                let may_miss = at - since < Duration::from_millis(900) && frame > 0;
                if may_miss && usize::from(*miss) == walker {
                    continue;
                }
                missing_since[walker] = Some(at);
                walkers.push(walker);
                faces.push(face(1000.0 + speed * SIZE * at.since_origin().as_secs_f32(), walker as f32 * 3.0 * SIZE, SIZE));
            }
            for (walker, id) in walkers.into_iter().zip(tracker.update(at, &faces)) {
                ids.entry(walker).or_default().insert(id);
            }
        }
        prop_assert!(ids.values().all(|ids| ids.len() == 1), "{:?}", ids);
        let all: HashSet<_> = ids.values().flatten().collect();
        prop_assert_eq!(all.len(), speeds.len());
    }
}

#[test]
fn two_who_move_side_by_side_do_not_swap_though_one_takes_the_place_of_the_other() {
    let mut tracker = tracker();
    let ids = tracker.update(ms(0), &[face(0.0, 0.0, SIZE), face(SIZE, 0.0, SIZE)]);
    let moved = tracker.update(ms(500), &[face(SIZE, 0.0, SIZE), face(2.0 * SIZE, 0.0, SIZE)]);
    assert_eq!(moved, ids);
}

#[test]
fn a_track_is_lost_then_given_up_and_says_when_it_was_seen() {
    let mut tracker = tracker();
    let first = tracker.update(ms(0), &[face(0.0, 0.0, SIZE)])[0];
    assert_eq!(tracker.drain_passages(), [Passage::Began { track: first, at: ms(0) }]);
    for at in [400, 900] {
        assert!(tracker.update(ms(at), &[]).is_empty());
    }
    assert_eq!(tracker.update(ms(1000), &[face(0.0, 0.0, SIZE)]), [first]);
    for at in [1500, 2100, 3800] {
        tracker.update(ms(at), &[]);
    }
    assert_eq!(tracker.drain_passages(), []);
    // Lost for longer than a second, and found again.
    assert_eq!(tracker.update(ms(3900), &[face(0.1 * SIZE, 0.0, SIZE)]), [first]);
    for at in [5000, 6000, 7000] {
        tracker.update(ms(at), &[]);
    }
    let gone = Passage::Ended { track: first, first: ms(0), last: ms(3900) };
    assert_eq!(tracker.drain_passages(), [gone]);
    assert_ne!(tracker.update(ms(7100), &[face(0.0, 0.0, SIZE)]), [first]);
}

#[test]
fn a_lost_track_takes_no_face_from_one_that_is_seen() {
    let mut tracker = tracker();
    let ids = tracker.update(ms(0), &[face(0.0, 0.0, SIZE), face(2.0 * SIZE, 0.0, SIZE)]);
    for at in [500, 1000, 1500, 2000] {
        assert_eq!(tracker.update(ms(at), &[face((2.0 - at as f32 / 1000.0) * SIZE, 0.0, SIZE)]), ids[1..]);
    }
    // It stands where the lost one was.
    assert_eq!(tracker.update(ms(2200), &[face(0.0, 0.0, SIZE)]), ids[1..]);
}

#[test]
fn who_comes_where_somebody_left_is_somebody_else_if_the_size_says_so() {
    let mut tracker = tracker();
    let first = tracker.update(ms(0), &[face(0.0, 0.0, SIZE)]);
    for at in [600, 1200] {
        tracker.update(ms(at), &[]);
    }
    assert_ne!(tracker.update(ms(1400), &[face(0.0, 0.0, 1.6 * SIZE)]), first);
}

#[test]
fn nothing_survives_a_stall() {
    let mut tracker = tracker();
    let first = tracker.update(ms(0), &[face(0.0, 0.0, SIZE)]);
    let second = tracker.update(ms(5001), &[face(0.0, 0.0, SIZE)]);
    assert_ne!(first, second);
    assert_eq!(ended(&mut tracker), first);
}

#[test]
fn a_face_across_the_room_or_of_another_size_is_somebody_else() {
    for other in [face(6.0 * SIZE, 0.0, SIZE), face(0.0, 0.0, 2.5 * SIZE)] {
        let mut tracker = tracker();
        let first = tracker.update(ms(0), &[face(0.0, 0.0, SIZE)]);
        assert_ne!(tracker.update(ms(200), &[other]), first);
    }
}

#[test]
fn broken_boxes_are_tracks_of_their_own_and_harm_nobody() {
    let mut tracker = tracker();
    let broken = face(f32::NAN, 0.0, 0.0);
    let ids = tracker.update(ms(0), &[broken, face(0.0, 0.0, SIZE)]);
    let again = tracker.update(ms(100), &[broken, face(0.0, 0.0, SIZE)]);
    assert_eq!(again[1], ids[1]);
    assert_ne!(again[0], ids[0]);
}
