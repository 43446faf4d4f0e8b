//! What networks that read sequences say, in windows and in signals.

use super::*;
use crate::report::score::ScoreKind;
use crate::report::trigger::Signals;

/// What a network says of a face, under a name of its own.
fn said(name: &str, values: [f32; 2]) -> Scores {
    let head = ScoreHead {
        name: format!("sequence.{name}"),
        kind: ScoreKind::Distribution,
        labels: vec!["low".to_owned(), "high".to_owned()],
    };
    Scores::new(Arc::new(Vocabulary::new(vec![head])), values.into())
}

fn with(track: u64, sequences: Vec<Scores>) -> Observation {
    Observation { sequences, ..face(track, 0.5) }
}

#[test]
fn a_mean_goes_over_the_faces_of_which_something_was_said() {
    let faces = [
        with(1, vec![said("a", [0.25, 0.75]), said("b", [1.0, 0.0])]),
        with(2, vec![said("a", [0.75, 0.25])]),
        // Not seen for long enough, or damaged: no part of any mean.
        with(3, Vec::new()),
        with(4, vec![said("a", [f32::NAN, 0.5])]),
    ];
    let summary = one(settings(), &faces);
    let mean = |network: usize, name: &str| summary.sequences[network].get(name).unwrap().mean;
    assert_eq!(summary.sequences.len(), 2);
    assert!((mean(0, "sequence.a.high") - 0.5).abs() < 1e-6);
    assert!((mean(1, "sequence.b.low") - 1.0).abs() < 1e-6);
    let spread = summary.sequences[0].get("sequence.a.high").unwrap();
    assert!((spread.std - 0.25).abs() < 1e-6 && (spread.peak - 0.75).abs() < 1e-6, "{spread:?}");
    assert!((summary.faces.unwrap().mean - 4.0).abs() < 1e-6, "all of them were there");
}

#[test]
fn nothing_is_said_where_emotion_is_suppressed() {
    let faces = [with(1, vec![said("a", [0.25, 0.75])])];
    let crowd = Policy { min_people: 2, ..Policy::default() };
    let forbidden = Policy { emotion: false, ..Policy::default() };
    for policy in [crowd, forbidden] {
        assert!(one(SummarySettings { policy, ..settings() }, &faces).sequences.is_empty());
        let signals = Signals::of(&analysis(0, faces.to_vec()), &policy);
        assert_eq!(signals.get(&"sequence.a.high".parse().unwrap()), None);
    }
}

#[test]
fn a_trigger_can_watch_what_a_network_says() {
    let faces = vec![
        with(1, vec![said("a", [0.25, 0.75])]),
        with(2, vec![said("b", [0.1, 0.9]), said("a", [0.9, 0.1])]),
        with(3, Vec::new()),
    ];
    let signals = Signals::of(&analysis(0, faces), &Policy::default());
    let value = |name: &str| signals.get(&name.parse().unwrap());
    // The greatest of the faces, as of expressions.
    let near = |name: &str, expected: f64| (value(name).unwrap() - expected).abs() < 1e-6;
    assert!(near("sequence.a.high", 0.75) && near("sequence.a.low", 0.9) && near("sequence.b.high", 0.9));
    assert!(near("expression.happiness", 0.5), "and what a picture says is there beside it");
    assert_eq!(value("sequence.c.high"), None);
    for wrong in ["sequence.", "sequence.a", "sequence.a.", "sequences.a.high"] {
        assert!(wrong.parse::<crate::report::trigger::Signal>().is_err(), "{wrong}");
    }
}
