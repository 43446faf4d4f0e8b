use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::report::expression::Expression;
use crate::report::score::{ScoreHead, Vocabulary};

/// The time between two frames, milliseconds.
const FRAME: u64 = 200;

fn scores(happiness: f32) -> Scores {
    let expressions = [Expression::Neutral, Expression::Happiness];
    let vocabulary = Vocabulary::new(vec![ScoreHead::expression(&expressions)]);
    Scores::new(Arc::new(vocabulary), vec![1.0 - happiness, happiness])
}

fn happiness(scores: &Scores) -> f32 {
    scores.get("expression.happiness").unwrap()
}

fn at(x: f32) -> Rect {
    Rect { x, y: 50.0, width: 100.0, height: 100.0 }
}

/// Faces side by side with the tracks 1, 2, …
fn crowd(faces: u64) -> Vec<(TrackId, Rect)> {
    (1..=faces).map(|track| (TrackId(track), at(200.0 * track as f32))).collect()
}

/// Shows a frame, and reads the faces picked with what `scores` says of each; gives their tracks.
fn frame(
    schedule: &mut ReadingSchedule,
    milliseconds: u64,
    faces: &[(TrackId, Rect)],
    most: usize,
    read: impl Fn(TrackId) -> Scores,
) -> Vec<u64> {
    let now = Moment::from_millis(milliseconds);
    let picks = schedule.choose(now, faces, most);
    assert!(picks.len() <= most);
    for pick in &picks {
        let (track, bounds) = faces[pick.place];
        schedule.read(track, now, bounds, read(track));
    }
    picks.iter().map(|pick| faces[pick.place].0.0).collect()
}

#[test]
fn a_face_that_does_not_change_is_read_less_and_less_often_but_every_second() {
    let mut schedule = ReadingSchedule::default();
    let faces = crowd(1);
    let read: Vec<u64> =
        (0..30).filter(|n| !frame(&mut schedule, n * FRAME, &faces, 9, |_| scores(0.5)).is_empty()).collect();
    // Both views, each of them again, and then every fourth frame.
    assert_eq!(read, [0, 1, 2, 4, 8, 12, 16, 20, 24, 28]);
}

#[test]
fn a_change_and_a_movement_bring_every_frame_back() {
    let mut schedule = ReadingSchedule::default();
    let faces = crowd(1);
    (0..20).for_each(|n| _ = frame(&mut schedule, n * FRAME, &faces, 9, |_| scores(0.2)));
    let show = |schedule: &mut ReadingSchedule, n: u64, x, p| {
        frame(schedule, n * FRAME, &[(TrackId(1), at(x))], 9, |_| scores(p)).len()
    };
    let changed: Vec<usize> = (20..25).map(|n| show(&mut schedule, n, 200.0, 0.9)).collect();
    // The change is seen at the first reading (frame 20); both views are read, and each again.
    assert_eq!(changed, [1, 1, 1, 0, 1]);
    assert_eq!(show(&mut schedule, 25, 200.0, 0.9), 0);
    assert_eq!(show(&mut schedule, 26, 230.0, 0.9), 1, "it has moved by a third of its size");
    assert_eq!(show(&mut schedule, 27, 230.0, 0.9), 0, "and stands there");
}

#[test]
fn new_faces_come_first_then_changing_ones_then_settled_ones() {
    let mut schedule = ReadingSchedule::default();
    let two = crowd(2);
    // The first face is settled; the second is another in each frame.
    for n in 0..20 {
        frame(&mut schedule, n * FRAME, &two, 9, |track| {
            scores(if track == TrackId(2) && n % 4 < 2 { 0.9 } else { 0.1 })
        });
    }
    let three = crowd(3);
    let order: Vec<u64> = frame(&mut schedule, 20 * FRAME, &three, 9, |_| scores(0.1));
    assert_eq!(order[..2], [3, 2]);
    let mut schedule = ReadingSchedule::default();
    let order: Vec<u64> =
        (0..3).flat_map(|n| frame(&mut schedule, n * FRAME, &three, 1, |_| scores(0.1))).collect();
    assert_eq!(order, [1, 2, 3], "one a frame: those without a reading before a second one");
}

#[test]
fn each_face_alternates_between_its_views_and_their_mean_is_known() {
    let mut schedule = ReadingSchedule::default();
    let faces = crowd(2);
    let mut shown = vec![Vec::new(); 2];
    let mut known = Vec::new();
    for n in 0..40 {
        let now = Moment::from_millis(n * FRAME);
        // One a frame, so that the frames in which a face is read are irregular.
        for pick in schedule.choose(now, &faces, 1) {
            let (track, bounds) = faces[pick.place];
            let reading = scores(if pick.mirrored { 0.40 } else { 0.50 });
            shown[pick.place].push(pick.mirrored);
            schedule.read(track, now, bounds, reading);
            known.push(happiness(schedule.known(track).unwrap().1));
        }
    }
    for views in shown {
        assert!(views.len() > 5);
        assert!(!views[0] && views.windows(2).all(|pair| pair[0] != pair[1]), "{views:?}");
    }
    // After the first reading of each face.
    assert!(known[2..].iter().all(|happiness| (happiness - 0.45).abs() < 1e-6), "{known:?}");
}

#[test]
fn a_view_from_before_a_change_or_long_ago_says_nothing() {
    let mut schedule = ReadingSchedule::default();
    let mut read = |milliseconds, p| {
        schedule.read(TrackId(1), Moment::from_millis(milliseconds), at(0.0), scores(p));
        happiness(schedule.known(TrackId(1)).unwrap().1)
    };
    assert_eq!([read(0, 0.1), read(200, 0.1), read(400, 0.1)], [0.1; 3]);
    // Two readings of each view agree; then it changes.
    assert_eq!([read(600, 0.1), read(800, 0.9), read(1000, 0.9)], [0.1, 0.9, 0.9]);
    assert_eq!(read(6000, 0.8), 0.8);
}

proptest! {
    /// Whatever the faces do, and whoever comes and goes meanwhile: a face that is there is read, within a time that
    /// depends on their number alone. With M faces, of which any other is read at most once in a fifth of what this one
    /// has waited by then, it waits for no more than M·(1 + 5·ln(waited in frames)) readings.
    #[test]
    fn nobody_starves(
        count in 1_u64..40,
        most in 1_usize..9,
        changing in prop::collection::vec(any::<bool>(), 40),
        strangers in 0_usize..2,
    ) {
        let mut schedule = ReadingSchedule::default();
        let mut read_at = vec![0; count as usize];
        let mut longest = 0;
        for n in 0..400_u64 {
            let mut faces = crowd(count);
            // Some move all the time, and some are never seen again.
            for (track, bounds) in &mut faces {
                bounds.x += if changing[track.0 as usize - 1] { (n % 7) as f32 * 40.0 } else { 0.0 };
            }
            faces.extend((0..strangers as u64).map(|i| (TrackId(1000 + 2 * n + i), at(-500.0 - 200.0 * i as f32))));
            for track in frame(&mut schedule, n * FRAME, &faces, most, |_| scores(0.5)) {
                if track <= count {
                    read_at[track as usize - 1] = n;
                }
            }
            longest = read_at.iter().map(|read| n - read).max().unwrap().max(longest);
        }
        // Strangers take up to one reading a frame until this one has waited five seconds.
        let waited = longest as f64;
        let bound = count as f64 * (1.0 + 5.0 * waited.max(1.0).ln()) / most as f64;
        prop_assert!(waited <= bound + 30.0, "{waited} frames, bound {bound}");
    }

    /// If there is time for twice as many readings as settled faces need, every face has one younger than a second.
    #[test]
    fn every_face_is_read_every_second_if_there_is_time(count in 1_u64..40, jitter in prop::collection::vec(0_u64..20, 60)) {
        let most = (2 * count).div_ceil(4) as usize;
        let mut schedule = ReadingSchedule::default();
        let faces = crowd(count);
        for (n, jitter) in jitter.into_iter().enumerate() {
            let now = n as u64 * FRAME + jitter;
            frame(&mut schedule, now, &faces, most, |_| scores(0.5));
            if now > 2000 {
                for (track, _) in &faces {
                    let age = Moment::from_millis(now) - schedule.known(*track).unwrap().0;
                    prop_assert!(age <= Duration::from_millis(1000), "{age:?}");
                }
            }
        }
    }
}
