//! What must hold whatever happens: time is covered once, face-seconds are conserved, distributions sum to 1.

use proptest::prelude::*;

use super::*;

/// Anything that can happen, each after so many milliseconds.
#[derive(Clone, Debug)]
enum Happening {
    Frame(u64, Vec<f32>),
    /// A frame that was captured so long ago.
    Late(u64, u64),
    Camera(u64, CameraState),
    Dropped(u64, u64),
    Advance(u64),
}

fn happening() -> impl Strategy<Value = Happening> {
    let state = prop::sample::select(vec![
        CameraState::Ok,
        CameraState::Blind,
        CameraState::Lost,
        CameraState::Paused,
    ]);
    let faces = || prop::collection::vec(0.0_f32..1.0, 0..5);
    prop_oneof![
        10 => (0_u64..700, faces()).prop_map(|(after, faces)| Happening::Frame(after, faces)),
        1 => (0_u64..50, 0_u64..9000).prop_map(|(after, age)| Happening::Late(after, age)),
        2 => (0_u64..4000, state).prop_map(|(after, state)| Happening::Camera(after, state)),
        1 => (0_u64..50, 1_u64..9).prop_map(|(after, frames)| Happening::Dropped(after, frames)),
        4 => (0_u64..3000).prop_map(Happening::Advance),
        1 => (0_u64..2_000_000).prop_map(Happening::Advance),
    ]
}

proptest! {
    #[test]
    fn no_window_is_lost_or_doubled(
        happenings in prop::collection::vec(happening(), 0..80),
        window in 500_u64..12_000,
        grace in 0_u64..800,
    ) {
        let settings = SummarySettings { window: Duration::from_millis(window), grace: Duration::from_millis(grace), backlog: 10, ..settings() };
        let mut windows = Windows::new(settings, ms(777));
        let (mut now, mut frames, mut dropped) = (777, 0, 0);
        let mut summaries = Vec::new();
        for happening in happenings {
            match happening {
                Happening::Frame(after, faces) => {
                    now += after;
                    frames += 1;
                    windows.frame(&analysis(now, (0..).zip(faces).map(|(i, p)| face(i, p)).collect()));
                }
                Happening::Late(after, age) => {
                    now += after;
                    frames += 1;
                    windows.frame(&analysis(now.saturating_sub(age), vec![face(1, 0.5)]));
                }
                Happening::Camera(after, state) => {
                    now += after;
                    windows.camera(ms(now), state);
                }
                Happening::Dropped(after, count) => {
                    now += after;
                    dropped += count;
                    windows.dropped(ms(now), count);
                }
                Happening::Advance(after) => {
                    now += after;
                    let before = summaries.len();
                    summaries.extend(windows.advance(ms(now)));
                    // Whatever the stall: the backlog, the window with the last observations and one gap.
                    prop_assert!(summaries.len() - before <= 4000 / window as usize * 10 + 60);
                }
            }
        }
        now += 1;
        summaries.extend(windows.finish(ms(now)));
        // Each begins where the one before ended, from the start of the run to its end.
        let mut edge = ms(777);
        for (place, summary) in summaries.iter().enumerate() {
            prop_assert_eq!(summary.start, edge);
            let nanos = (summary.end - summary.start).as_nanos();
            let last = place + 1 == summaries.len();
            prop_assert!(nanos > 0 && (last || nanos % Duration::from_millis(window).as_nanos() == 0));
            prop_assert!(nanos <= Duration::from_millis(window).as_nanos() || summary.faces.is_none());
            edge = summary.end;
        }
        prop_assert_eq!(edge, ms(now));
        prop_assert_eq!(summaries.iter().map(|s| s.quality.frames).sum::<u64>(), frames);
        prop_assert_eq!(summaries.iter().map(|s| s.quality.dropped).sum::<u64>(), dropped);
    }

    /// The means of the windows, weighed by their face-seconds, are the mean of all frames by an independent sum that
    /// knows nothing of windows. So neither the length of a window nor its edges lose or double anything.
    #[test]
    fn face_seconds_and_means_are_conserved(
        frames in prop::collection::vec((1_u64..1600, prop::collection::vec(0.0_f32..1.0, 0..6)), 1..80),
        window in 300_u64..12_000,
    ) {
        let settings = SummarySettings { window: Duration::from_millis(window), ..settings() };
        let mut windows = Windows::new(settings, ms(0));
        let (mut face_seconds, mut happy, mut squares, mut observed) = (0.0, 0.0, 0.0, 0);
        let mut now = 0;
        for (until_next, faces) in &frames {
            windows.frame(&analysis(now, (0..).zip(faces).map(|(i, p)| face(i, *p)).collect()));
            let weight = (*until_next).min(1000) as f64 / 1000.0;
            face_seconds += weight * faces.len() as f64;
            happy += weight * faces.iter().map(|p| f64::from(*p)).sum::<f64>();
            squares += weight * faces.iter().map(|p| f64::from(*p).powi(2)).sum::<f64>();
            observed += (*until_next).min(1000);
            now += until_next;
        }
        let summaries = windows.finish(ms(now));
        let weigh = |read: &dyn Fn(&Summary) -> f64| -> f64 {
            let weight = |s: &Summary| s.faces.as_ref().map_or(0.0, |f| f.mean) * s.quality.observed.as_secs_f64();
            summaries.iter().map(|s| weight(s) * read(s)).sum()
        };
        let total: Duration = summaries.iter().map(|s| s.quality.observed).sum();
        prop_assert_eq!(total, Duration::from_millis(observed));
        prop_assert!((weigh(&|_| 1.0) - face_seconds).abs() < 1e-6);
        let mean = |s: &Summary| s.scores.as_ref().map_or(0.0, |_| super::happiness(s));
        prop_assert!((weigh(&mean) - happy).abs() < 1e-4);
        let square = |s: &Summary| s.scores.as_ref().and_then(|scores| scores.get("valence")).map_or(0.0, |v| v.mean.powi(2) + v.std.powi(2));
        prop_assert!((weigh(&square) - squares).abs() < 1e-4);
        for scores in summaries.iter().filter_map(|s| s.scores.as_ref()) {
            let (_, expression) = scores.head("expression").unwrap();
            prop_assert!((expression.iter().map(|p| p.mean).sum::<f64>() - 1.0).abs() < 1e-5);
            prop_assert!(expression.iter().all(|p| p.peak >= p.mean - 1e-6));
        }
    }

    /// Where all who are there are the same, so is the mean, however many they are and however the frames fall.
    #[test]
    fn the_frame_rate_changes_no_mean(step in 20_usize..1000, count in 1_u64..8, happiness in 0.0_f32..1.0) {
        let mut windows = Windows::new(settings(), ms(0));
        let faces: Vec<_> = (0..count).map(|track| face(track, happiness)).collect();
        watch(&mut windows, 0, 10_000, step, &faces);
        let summary = windows.advance(ms(10_000)).remove(0);
        let seen = summary.faces.as_ref().unwrap();
        prop_assert!((seen.mean - count as f64).abs() < 1e-9);
        prop_assert!((super::happiness(&summary) - f64::from(happiness)).abs() < 1e-6);
        prop_assert_eq!(summary.quality.observed, Duration::from_millis(10_000));
    }
}
