use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::report::expression::Expression;
use crate::report::observation::{FrameAnalysis, Observation, Passage, Skipped, TrackId};
use crate::report::policy::Policy;
use crate::report::reading::Reading;
use crate::report::score::{ScoreHead, Scores, Vocabulary};
use crate::report::visits::Visits;

const OPEN: Policy = Policy { emotion: true, facing: true, watchers: true, min_people: 1 };

fn ms(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

fn smile() -> TriggerSettings {
    TriggerSettings {
        name: "smile".to_owned(),
        signal: "expression.happiness".parse().unwrap(),
        level: Level::Above(0.6),
        hold: Duration::from_millis(2000),
        hysteresis: 0.1,
        cooldown: Duration::from_millis(5000),
        end: true,
    }
}

/// A frame in which faces show happiness with these probabilities.
fn analysis(happiness: &[f32]) -> FrameAnalysis {
    let vocabulary = Arc::new(Vocabulary::new(vec![
        ScoreHead::expression(&[Expression::Neutral, Expression::Happiness]),
        ScoreHead::valence_arousal(),
        ScoreHead::action_units(&["AU12".to_owned()]),
    ]));
    let face = |&p: &f32| {
        let scores = Scores::new(Arc::clone(&vocabulary), vec![1.0 - p, p, p, -p, p]);
        Observation {
            track: TrackId(1),
            facing: p > 0.5,
            scores: Some(scores),
            sequences: Vec::new(),
            reading: Reading::No,
        }
    };
    let faces = happiness.iter().map(face).collect();
    FrameAnalysis { at: ms(0), faces, skipped: Skipped::default() }
}

/// Feeds a value every `step` milliseconds and returns what happened: phase and milliseconds.
fn play(settings: TriggerSettings, step: u64, values: &[f32]) -> Vec<(Phase, u64)> {
    let mut triggers = Triggers::new(vec![settings], Duration::from_millis(2000));
    let mut events = Vec::new();
    for (frame, value) in (0..).zip(values) {
        let signals = if value.is_nan() { Signals::none() } else { Signals::of(&analysis(&[*value]), &OPEN) };
        events.extend(triggers.update(ms(frame * step), &signals));
    }
    events.iter().map(|event| (event.phase, event.at.since_origin().as_millis() as u64)).collect()
}

#[test]
fn a_smile_of_two_seconds_starts_once_and_ends_below_the_hysteresis() {
    let values = [0.2, 0.7, 0.7, 0.7, 0.55, 0.7, 0.7, 0.55, 0.49, 0.2];
    assert_eq!(play(smile(), 500, &values), [(Phase::Start, 2500), (Phase::End, 4000)]);
}

#[test]
fn a_smile_that_breaks_off_is_none() {
    assert_eq!(play(smile(), 500, &[0.7, 0.7, 0.7, 0.7, 0.2, 0.7, 0.7, 0.7, 0.2]), []);
}

#[test]
fn the_cool_down_silences_the_next_start_until_it_is_over() {
    let mut values = vec![0.9; 5];
    values.push(0.1);
    values.extend([0.9; 12]);
    // Ended at 2.5 s, silent until 7.5 s, though the condition was met again for two seconds at 5 s.
    let events = play(smile(), 500, &values);
    assert_eq!(events, [(Phase::Start, 2000), (Phase::End, 2500), (Phase::Start, 7500)]);
}

#[test]
fn without_a_value_what_was_going_on_ends() {
    assert_eq!(play(smile(), 1000, &[0.9, 0.9, 0.9, f32::NAN]), [(Phase::Start, 2000), (Phase::End, 3000)]);
    let quiet = TriggerSettings { end: false, ..smile() };
    let values = [0.9, 0.9, 0.9, f32::NAN];
    assert_eq!(play(quiet.clone(), 1000, &values), [(Phase::Start, 2000), (Phase::End, 3000)]);
    // The end of such a trigger changes its state and is no event.
    let mut triggers = Triggers::new(vec![quiet], Duration::from_millis(2000));
    let published = |event: TriggerEvent| (event.phase, event.published);
    let mut events = Vec::new();
    for at in [0, 1000, 2000] {
        events.extend(
            triggers.update(ms(at), &Signals::of(&analysis(&[0.9]), &OPEN)).into_iter().map(published),
        );
    }
    events.extend(triggers.update(ms(3000), &Signals::none()).into_iter().map(published));
    assert_eq!(events, [(Phase::Start, true), (Phase::End, false)]);
}

#[test]
fn a_gap_in_the_pictures_is_no_time_of_smiling() {
    assert_eq!(play(smile(), 3000, &[0.9, 0.9, 0.9]), []);
}

#[test]
fn nobody_meets_no_condition_below_a_level() {
    let sad = TriggerSettings { level: Level::Below(0.3), ..smile() };
    assert_eq!(play(sad.clone(), 1000, &[f32::NAN; 5]), []);
    assert_eq!(play(sad, 1000, &[0.1; 5]), [(Phase::Start, 2000)]);
}

#[test]
fn signals_of_a_frame() {
    let signals = Signals::of(&analysis(&[0.2, 0.8]), &OPEN);
    for (name, value) in [
        ("expression.happiness", Some(0.8)),
        ("expression.fear", None),
        ("valence", Some(0.5)),
        ("arousal", Some(-0.5)),
        ("action_units.AU12", Some(0.8)),
        ("action_units.AU1", None),
        ("faces", Some(2.0)),
        ("facing", Some(0.5)),
    ] {
        let signal: Signal = name.parse().unwrap();
        assert_eq!(signal.to_string(), name);
        let got = signals.get(&signal);
        assert!(got.zip(value).map_or(got == value, |(a, b)| (a - b).abs() < 1e-6), "{name}: {got:?}");
    }
    for name in ["expression", "expression.joy", "faces.max", "action_units.", "", "happiness"] {
        assert!(name.parse::<Signal>().is_err(), "{name}");
    }
}

#[test]
fn privacy_silences_emotion_and_leaves_the_count() {
    let seen = analysis(&[0.9, 0.9]);
    let forbidden = Policy { emotion: false, facing: false, ..OPEN };
    for policy in [forbidden, Policy { min_people: 3, ..OPEN }] {
        let signals = Signals::of(&seen, &policy);
        for name in ["expression.happiness", "valence", "arousal", "action_units.AU12"] {
            assert_eq!(signals.get(&name.parse().unwrap()), None, "{name}");
        }
        assert_eq!(signals.get(&Signal::Faces), Some(2.0));
        assert_eq!(signals.get(&Signal::Facing).is_some(), policy.facing);
    }
    assert!(Signals::of(&seen, &Policy { min_people: 2, ..OPEN }).get(&"valence".parse().unwrap()).is_some());
}

/// Visits by their tracks, after a frame that shows some of them.
fn visited(visits: &mut Visits, at: u64, tracks: &[u64], policy: &Policy) -> Signals {
    let face = |track: &u64| Observation {
        track: TrackId(*track),
        facing: true,
        scores: None,
        sequences: Vec::new(),
        reading: Reading::No,
    };
    let faces = tracks.iter().map(face).collect();
    let analysis = FrameAnalysis { at: ms(at), faces, skipped: Skipped::default() };
    visits.frame(&analysis);
    Signals::of(&analysis, policy).with_visits(visits, policy)
}

#[test]
fn visits_start_and_end_one_by_one() {
    let arrivals = TriggerSettings {
        name: "door".to_owned(),
        signal: Signal::Visit,
        level: Level::Presence,
        hold: Duration::from_secs(1),
        cooldown: Duration::ZERO,
        ..smile()
    };
    let company = Policy { min_people: 2, ..OPEN };
    for (policy, alone) in [(OPEN, true), (company, false)] {
        let mut triggers = Triggers::new(vec![arrivals.clone()], Duration::from_secs(2));
        let mut visits = Visits::new(2, Duration::from_secs(2));
        let mut events = Vec::new();
        visits.passage(Passage::Began { track: TrackId(1), at: ms(0) });
        for at in [0, 500, 1000] {
            events.extend(triggers.update(ms(at), &visited(&mut visits, at, &[1], &policy)));
        }
        assert_eq!(events.len(), usize::from(alone), "{events:?}");
        visits.passage(Passage::Began { track: TrackId(2), at: ms(1500) });
        for at in [1500, 2000, 2500] {
            let signals = visited(&mut visits, at, &[1, 2], &policy);
            assert_eq!(signals.get(&Signal::Dwell).is_some(), alone || at > 1500);
            events.extend(triggers.update(ms(at), &signals));
        }
        assert_eq!(events.len(), 2);
        assert_eq!(events[1].value, Some(2.0));
        visits.passage(Passage::Ended { track: TrackId(1), first: ms(0), last: ms(2500) });
        events.extend(triggers.update(ms(4000), &visited(&mut visits, 4000, &[2], &policy)));
        let end = events.last().unwrap();
        assert_eq!((end.phase, end.value, end.lasted), (Phase::End, Some(1.0), Duration::from_millis(2500)));
        assert!(end.active, "one visit goes on");
        // The camera is lost: whoever was there has left, as far as anybody knows.
        let last = triggers.update(ms(5000), &Signals::none());
        assert_eq!((last.len(), last[0].active), (1, false));
    }
}

#[test]
fn people_and_dwell_are_signals_with_levels() {
    let mut visits = Visits::new(2, Duration::from_secs(2));
    visits.passage(Passage::Began { track: TrackId(1), at: ms(0) });
    let once = visited(&mut visits, 0, &[1], &OPEN);
    assert_eq!((once.get(&Signal::People), once.get(&Signal::Dwell)), (Some(0.0), None));
    let twice = visited(&mut visits, 1500, &[1], &OPEN);
    assert_eq!((twice.get(&Signal::People), twice.get(&Signal::Dwell)), (Some(1.0), Some(1.5)));
    // Missed for a moment, and still there.
    let missed = visited(&mut visits, 2000, &[], &OPEN);
    assert_eq!((missed.get(&Signal::People), missed.get(&Signal::Dwell)), (Some(1.0), Some(1.5)));
    for name in ["people", "visit", "dwell", "compound.sadly_angry"] {
        assert_eq!(name.parse::<Signal>().unwrap().to_string(), name);
    }
    assert!("compound.joyful".parse::<Signal>().is_err());
}

proptest! {
    /// Starts and ends alternate; a start comes after the level was kept for the whole time; starts are apart by at
    /// least the cool-down.
    #[test]
    fn events_keep_their_promises(steps in prop::collection::vec((1_u64..900, 0.3_f32..0.9), 1..200)) {
        let mut triggers = Triggers::new(vec![smile()], Duration::from_millis(2000));
        let mut at = 0;
        let mut history: Vec<(u64, f32)> = Vec::new();
        let mut last: Option<(Phase, u64)> = None;
        for (step, value) in steps {
            at += step;
            history.push((at, value));
            for event in triggers.update(ms(at), &Signals::of(&analysis(&[value]), &OPEN)) {
                prop_assert_eq!(event.at, ms(at));
                if event.phase == Phase::Start {
                    prop_assert!(last.is_none_or(|(phase, end)| phase == Phase::End && at - end >= 5000));
                    prop_assert!(event.lasted >= Duration::from_millis(2000));
                    let since = at - event.lasted.as_millis() as u64;
                    let kept = history.iter().filter(|(t, _)| *t >= since);
                    prop_assert!(kept.clone().all(|(_, v)| *v >= 0.5 - 1e-6));
                    prop_assert!(kept.clone().next().is_some_and(|(_, v)| *v > 0.6));
                } else {
                    prop_assert!(last.is_some_and(|(phase, _)| phase == Phase::Start));
                    prop_assert!(value < 0.5);
                }
                last = Some((event.phase, at));
            }
        }
    }
}
