use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::report::expression::Expression;
use crate::report::score::{ScoreHead, Vocabulary};

const TRACK: TrackId = TrackId(1);
const TAU: Duration = Duration::from_millis(1000);

fn emotion(scores: [f32; 8], valence: f32) -> Scores {
    let heads = vec![
        ScoreHead::expression(&Expression::ALL),
        ScoreHead::valence_arousal(),
        ScoreHead::action_units(&["AU12".to_owned()]),
    ];
    let values = scores.into_iter().chain([valence, -valence, scores[0]]).collect();
    Scores::new(Arc::new(Vocabulary::new(heads)), values)
}

fn distribution() -> impl Strategy<Value = [f32; 8]> {
    prop::array::uniform8(0.0_f32..1.0)
        .prop_filter("a sum to divide by", |p| p.iter().sum::<f32>() > 0.1)
        .prop_map(|p| p.map(|x| x / p.iter().sum::<f32>()))
}

/// Readings with the time in milliseconds since the one before.
fn readings() -> impl Strategy<Value = Vec<(u64, Scores)>> {
    let emotion = (distribution(), -1.0_f32..1.0).prop_map(|(scores, valence)| emotion(scores, valence));
    prop::collection::vec((0_u64..3000, emotion), 1..40)
}

fn run(readings: &[(u64, Scores)]) -> Vec<Scores> {
    let mut smoother = Smoother::new(TAU);
    let mut at = 0;
    let step = |(passed, reading): &(u64, Scores)| {
        at += passed;
        smoother.update(TRACK, Moment::from_millis(at), reading)
    };
    readings.iter().map(step).collect()
}

fn close(a: &Scores, b: &Scores) -> bool {
    a.values().iter().zip(b.values()).all(|(a, b)| (a - b).abs() < 1e-4)
}

proptest! {
    #[test]
    fn distributions_stay_distributions(readings in readings()) {
        for smoothed in run(&readings) {
            let (_, scores) = smoothed.head("expression").unwrap();
            prop_assert!((scores.iter().sum::<f32>() - 1.0).abs() < 1e-4);
            prop_assert!(scores.iter().all(|p| (0.0..=1.0).contains(p)));
        }
    }

    #[test]
    fn the_future_changes_nothing(readings in readings(), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(readings.len()) + 1;
        prop_assert_eq!(&run(&readings)[..cut], &run(&readings[..cut])[..]);
    }

    /// Every interval between two readings is cut into `parts`, with the later reading seen at each cut, as a camera
    /// that is so many times faster sees it. The result is the same.
    #[test]
    fn the_frame_rate_changes_nothing(readings in readings(), parts in 2_u64..20) {
        let mut fine = Vec::new();
        for (passed, reading) in &readings {
            let short = passed / parts;
            fine.extend((1..parts).map(|_| (short, reading.clone())));
            fine.push((passed - short * (parts - 1), reading.clone()));
        }
        // The first reading passes unchanged whenever it comes.
        let (coarse, fine) = (run(&readings), run(&fine));
        prop_assert!(close(coarse.last().unwrap(), fine.last().unwrap()));
    }
}

#[test]
fn after_the_time_constant_63_percent_of_a_step_is_through() {
    for rate in [1, 5, 30] {
        let mut smoother = Smoother::new(TAU);
        smoother.update(TRACK, Moment::ZERO, &emotion([0.0; 8], 0.0));
        let mut last = 0.0;
        for frame in 1..=rate {
            let at = Moment::ZERO + TAU * frame / rate;
            last = smoother.update(TRACK, at, &emotion([0.0; 8], 1.0)).get("valence").unwrap();
        }
        assert!((last - 0.632_12).abs() < 1e-4, "{last} at {rate} frames a second");
    }
}

#[test]
fn tracks_are_apart_and_forgotten() {
    let mut smoother = Smoother::new(TAU);
    let (low, high) = (emotion([0.0; 8], 0.0), emotion([0.0; 8], 1.0));
    smoother.update(TRACK, Moment::ZERO, &low);
    assert_eq!(smoother.update(TrackId(2), Moment::ZERO, &high), high);
    smoother.remove(TRACK);
    assert_eq!(smoother.tracks.len(), 1);
    assert_eq!(smoother.update(TRACK, Moment::from_millis(1), &high), high);
}

#[test]
fn a_time_constant_of_zero_passes_everything() {
    let mut smoother = Smoother::new(Duration::ZERO);
    smoother.update(TRACK, Moment::ZERO, &emotion([0.0; 8], 0.0));
    let high = emotion([0.0; 8], 1.0);
    assert_eq!(smoother.update(TRACK, Moment::ZERO, &high), high);
}

#[test]
fn each_head_may_have_a_time_constant_of_its_own() {
    let heads = [("action_units".to_owned(), Duration::ZERO), ("valence_arousal".to_owned(), 3 * TAU)];
    let mut smoother = Smoother::new(TAU).with_heads(BTreeMap::from(heads));
    let (from, to) = (emotion([1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], 0.0), emotion([0.0; 8], 1.0));
    smoother.update(TRACK, Moment::ZERO, &from);
    let scores = smoother.update(TRACK, Moment::from_secs(1), &to);
    for (signal, expected) in [
        ("expression.neutral", (-1.0_f32).exp()),
        ("valence", 1.0 - (-1.0_f32 / 3.0).exp()),
        ("action_units.AU12", 0.0),
    ] {
        assert!((scores.get(signal).unwrap() - expected).abs() < 1e-6, "{signal}: {scores:?}");
    }
}
