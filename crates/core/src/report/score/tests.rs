use std::time::Duration;

use super::*;
use crate::Moment;
use crate::report::observation::{FrameAnalysis, Observation, Skipped, TrackId};
use crate::report::policy::Policy;
use crate::report::reading::Reading;
use crate::report::summary::{SummarySettings, Windows};
use crate::report::trigger::{Level, Phase, Signal, Signals, TriggerSettings, Triggers};
use crate::smooth::Smoother;

const SECOND: Duration = Duration::from_secs(1);

/// Valence and arousal, and a head that nothing in this crate knows by name.
fn vocabulary() -> Arc<Vocabulary> {
    let labels = ["awe", "relief"].map(str::to_owned).to_vec();
    let compound = ScoreHead { name: "compound".to_owned(), kind: ScoreKind::Activations, labels };
    Arc::new(Vocabulary::new(vec![ScoreHead::valence_arousal(), compound]))
}

#[test]
fn a_signal_stands_for_the_place_of_its_score() {
    let vocabulary = vocabulary();
    for (signal, place) in [
        ("valence", Some(0)),
        ("arousal", Some(1)),
        ("compound.awe", Some(2)),
        ("compound.relief", Some(3)),
        ("valence_arousal.valence", None),
        ("compound", None),
        ("compound.", None),
        ("awe", None),
        ("expression.happiness", None),
    ] {
        assert_eq!(vocabulary.place(signal), place, "{signal}");
    }
    let scores = Scores::new(vocabulary, vec![0.1, 0.2, 0.3, 0.4]);
    assert_eq!(scores.get("compound.relief"), Some(0.4));
    assert_eq!(scores.head("compound").unwrap().1, [0.3, 0.4]);
}

#[test]
fn an_expression_head_is_in_wire_order_whatever_the_order_of_the_model() {
    let head = ScoreHead::expression(&[Expression::Fear, Expression::Neutral, Expression::Anger]);
    assert_eq!(head.labels, ["neutral", "anger", "fear"]);
}

#[test]
fn a_reading_of_another_model_replaces_the_one_before() {
    let mut scores = Scores::new(vocabulary(), vec![0.0; 4]);
    let other = Scores::new(Arc::new(Vocabulary::new(vec![ScoreHead::valence_arousal()])), vec![0.5, 0.5]);
    scores.approach(&other, 0.1);
    assert_eq!(scores, other);
}

#[test]
fn an_unheard_of_head_is_smoothed_averaged_and_watched() {
    let vocabulary = vocabulary();
    let mut smoother = Smoother::new(SECOND);
    let settings = SummarySettings {
        window: 4 * SECOND,
        grace: Duration::ZERO,
        confirm: 1,
        ..SummarySettings::default()
    };
    let mut windows = Windows::new(settings, Moment::ZERO);
    let awe = TriggerSettings {
        name: "awe".to_owned(),
        signal: Signal::Score("compound.awe".to_owned()),
        level: Level::Above(0.5),
        hold: SECOND,
        hysteresis: 0.0,
        cooldown: Duration::ZERO,
        end: true,
    };
    let mut triggers = Triggers::new(vec![awe], 2 * SECOND);
    let mut events = Vec::new();
    for (second, value) in [0.0, 1.0, 1.0, 1.0].into_iter().enumerate() {
        let at = Moment::from_secs(second as u64);
        let reading = Scores::new(Arc::clone(&vocabulary), vec![0.0, 0.0, value, 0.25]);
        let scores = smoother.update(TrackId(1), at, &reading);
        let reading = Reading::At(at);
        let faces = vec![Observation {
            track: TrackId(1),
            facing: true,
            scores: Some(scores),
            sequences: Vec::new(),
            reading,
        }];
        let analysis = FrameAnalysis { at, faces, skipped: Skipped::default() };
        windows.frame(&analysis);
        events.extend(triggers.update(at, &Signals::of(&analysis, &Policy::default())));
    }
    // 63 % of the step is through after one second, then 86 % and 95 %.
    let scores = windows.advance(Moment::from_secs(4)).remove(0).scores.unwrap();
    let [awe, relief] = ["compound.awe", "compound.relief"].map(|signal| scores.get(signal).unwrap());
    assert!((awe.mean - (0.632 + 0.865 + 0.950) / 4.0).abs() < 1e-3, "{awe:?}");
    assert!((awe.peak - 0.950).abs() < 1e-3, "{awe:?}");
    assert!((relief.mean - 0.25).abs() < 1e-6 && relief.std < 1e-6, "{relief:?}");
    let happened: Vec<_> = events.iter().map(|event| (event.phase, event.at)).collect();
    assert_eq!(happened, [(Phase::Start, Moment::from_secs(2))]);
}

#[test]
fn two_models_are_blended_where_they_say_the_same_things() {
    use crate::report::expression::Expression::{Happiness, Neutral};
    let units = ["AU12".to_owned()];
    let first = Arc::new(Vocabulary::new(vec![
        ScoreHead::expression(&[Neutral, Happiness]),
        ScoreHead::valence_arousal(),
        ScoreHead::action_units(&units),
    ]));
    let other_units = ["AU1".to_owned()];
    let second = Arc::new(Vocabulary::new(vec![
        ScoreHead::action_units(&other_units),
        ScoreHead::expression(&[Happiness, Neutral]),
    ]));
    let mut scores = Scores::new(first, vec![1.0, 0.0, 0.5, 0.5, 0.25]);
    scores.blend(&Scores::new(second, vec![1.0, 0.5, 0.5]), 0.5);
    assert_eq!(scores.values(), [0.75, 0.25, 0.5, 0.5, 0.25]);
}
