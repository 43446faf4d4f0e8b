//! Not every face is read in every frame: what windows say stays the same.

use proptest::prelude::*;

use super::*;
use crate::geometry::Rect;
use crate::schedule::ReadingSchedule;
use crate::smooth::Smoother;

/// Plays frames at these distances in milliseconds with faces that show these constant probabilities, and reads `most`
/// faces a frame.
fn play(frames: &[u64], faces: &[f32], most: usize, window: u64) -> Vec<Summary> {
    let settings = SummarySettings { window: Duration::from_millis(window), confirm: 2, ..settings() };
    let mut windows = Windows::new(settings, ms(0));
    let mut schedule = ReadingSchedule::default();
    let mut smoother = Smoother::new(Duration::from_secs(1));
    let place = |track: u64| Rect { x: 200.0 * track as f32, y: 0.0, width: 100.0, height: 100.0 };
    let tracks: Vec<_> = (0..faces.len() as u64).map(|track| (TrackId(track), place(track))).collect();
    let mut now = 0;
    for until_next in frames {
        for pick in schedule.choose(ms(now), &tracks, most) {
            let (track, bounds) = tracks[pick.place];
            let reading = face(track.0, faces[pick.place]).scores.unwrap();
            schedule.read(track, ms(now), bounds, reading);
        }
        let see = |&(track, _): &(TrackId, Rect)| {
            let known = schedule.known(track);
            Observation {
                track,
                facing: track.0 % 2 == 0,
                reading: known.map_or(Reading::Due, |(read, _)| Reading::At(read)),
                scores: known.map(|(_, known)| smoother.update(track, ms(now), known)),
                sequences: Vec::new(),
            }
        };
        windows.frame(&analysis(now, tracks.iter().map(see).collect()));
        now += until_next;
    }
    windows.finish(ms(now))
}

fn close(a: &Summary, b: &Summary) -> bool {
    let scores = |summary: &Summary| summary.scores.clone().map_or(Vec::new(), |scores| scores.statistics);
    let (a, b) = (scores(a), scores(b));
    let near = |a: f64, b: f64| (a - b).abs() < 1e-5;
    // A deviation is the root of a difference of squares.
    let same = |a: &ScoreStatistics, b: &ScoreStatistics| {
        near(a.mean, b.mean) && near(a.peak, b.peak) && near(a.std * a.std, b.std * b.std)
    };
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| same(a, b))
}

proptest! {
    /// Each face shows something else, and all that have come have been read when they begin to count, in their second
    /// frame: that needs half of them a frame.
    #[test]
    fn thinned_readings_give_the_summaries_of_full_ones(
        frames in prop::collection::vec(20_u64..700, 2..60),
        faces in prop::collection::vec(0.0_f32..1.0, 1..20),
        window in 300_u64..12_000,
        more in 0_usize..5,
    ) {
        let full = play(&frames, &faces, usize::MAX, window);
        let every = play(&frames, &faces, faces.len().div_ceil(2) + more, window);
        prop_assert_eq!(full.len(), every.len());
        for (full, thinned) in full.iter().zip(&every) {
            prop_assert_eq!(&full.faces, &thinned.faces);
            prop_assert_eq!(full.quality.observed, thinned.quality.observed);
            prop_assert!(close(full, thinned), "{:#?} {:#?}", full, thinned);
        }
    }

    /// Where all show the same, so do the windows, however few are read; and those who have not been read are there.
    #[test]
    fn one_reading_a_frame_changes_no_face_seconds_and_no_common_mean(
        frames in prop::collection::vec(20_u64..700, 2..60),
        count in 1_usize..20,
        happiness in 0.0_f32..1.0,
        window in 300_u64..12_000,
    ) {
        let faces = vec![happiness; count];
        let full = play(&frames, &faces, usize::MAX, window);
        for (full, thinned) in full.iter().zip(play(&frames, &faces, 1, window)) {
            prop_assert_eq!(&full.faces, &thinned.faces);
            prop_assert!(thinned.scores.is_none() || close(full, &thinned));
        }
    }
}

#[test]
fn a_window_says_how_often_its_faces_were_read() {
    let mut windows = Windows::new(settings(), ms(0));
    // Read every two seconds, and another that is not read before the fifth second.
    for at in (0..10_000).step_by(200) {
        let read = |reading| Observation { reading, ..face(1, 0.5) };
        let other = if at < 5000 { Reading::Due } else { Reading::At(ms(5000)) };
        let faces = vec![
            read(Reading::At(ms(at - at % 2000))),
            Observation { track: TrackId(2), ..read(other) },
            Observation { track: TrackId(3), ..face(3, 0.5) },
        ];
        windows.frame(&analysis(at, faces));
    }
    let total = windows.take_readings();
    let readings = windows.advance(ms(10_000)).remove(0).quality.readings.unwrap();
    assert_eq!((readings.count, readings.readable), (6, Duration::from_secs(20)));
    assert_eq!((readings.fresh, readings.oldest), (Duration::from_secs(6), Duration::from_secs(5)));
    assert_eq!((readings.rate(), readings.freshness()), (Some(0.3), Some(0.3)));
    // The last frame still stands.
    assert_eq!((total.count, total.readable), (6, Duration::from_millis(19_600)));
    assert_eq!(windows.take_readings().readable, Duration::from_millis(400));
}

#[test]
fn of_people_who_are_too_few_nothing_is_said() {
    let read = Observation { reading: Reading::At(ms(0)), ..face(1, 0.5) };
    let policy = Policy { min_people: 2, ..Policy::default() };
    assert!(
        one(SummarySettings { policy, ..settings() }, std::slice::from_ref(&read)).quality.readings.is_none()
    );
    assert!(one(settings(), &[read]).quality.readings.is_some());
    assert!(one(settings(), &[face(1, 0.5)]).quality.readings.is_none(), "nothing reads emotion here");
}
