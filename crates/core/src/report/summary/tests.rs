mod conservation;
mod sequences;
mod thinned;

use super::*;
use crate::report::expression::Expression;
use crate::report::observation::Observation;
use crate::report::policy::Site;
use crate::report::score::ScoreHead;

/// Short hold and no grace make the examples exact.
pub(super) fn settings() -> SummarySettings {
    SummarySettings {
        grace: Duration::ZERO,
        hold: Duration::from_secs(1),
        confirm: 1,
        ..SummarySettings::default()
    }
}

pub(super) fn ms(ms: u64) -> Moment {
    Moment::from_millis(ms)
}

pub(super) fn vocabulary() -> Arc<Vocabulary> {
    Arc::new(Vocabulary::new(vec![
        ScoreHead::expression(&[Expression::Neutral, Expression::Happiness]),
        ScoreHead::valence_arousal(),
        ScoreHead::action_units(&["AU12".to_owned()]),
    ]))
}

/// A face that shows happiness with probability `happiness`, else nothing; its valence is the same number.
pub(super) fn face(track: u64, happiness: f32) -> Observation {
    let scores = Scores::new(vocabulary(), vec![1.0 - happiness, happiness, happiness, 0.0, happiness]);
    Observation {
        track: TrackId(track),
        facing: true,
        scores: Some(scores),
        sequences: Vec::new(),
        reading: Reading::No,
    }
}

pub(super) fn analysis(at: u64, faces: Vec<Observation>) -> FrameAnalysis {
    FrameAnalysis { at: ms(at), faces, skipped: Skipped::default() }
}

/// One frame every `step` milliseconds from `from` to before `to`.
fn watch(windows: &mut Windows, from: u64, to: u64, step: usize, faces: &[Observation]) {
    for at in (from..to).step_by(step) {
        windows.frame(&analysis(at, faces.to_vec()));
    }
}

fn one(settings: SummarySettings, faces: &[Observation]) -> Summary {
    let mut windows = Windows::new(settings, ms(0));
    watch(&mut windows, 0, 10_000, 200, faces);
    let mut summaries = windows.advance(ms(10_000));
    assert_eq!(summaries.len(), 1);
    summaries.remove(0)
}

fn score(summary: &Summary, signal: &str) -> ScoreStatistics {
    summary.scores.as_ref().unwrap().get(signal).unwrap()
}

fn happiness(summary: &Summary) -> f64 {
    score(summary, "expression.happiness").mean
}

#[test]
fn a_crowd_is_not_outvoted_by_the_one_who_stays() {
    let mut windows = Windows::new(settings(), ms(0));
    watch(&mut windows, 0, 9000, 200, &[face(1, 0.0)]);
    let crowd: Vec<_> = (1..=10).map(|track| face(track, if track == 1 { 0.0 } else { 1.0 })).collect();
    watch(&mut windows, 9000, 10_000, 200, &crowd);
    let summary = windows.advance(ms(10_000)).remove(0);
    let faces = summary.faces.clone().unwrap();
    // 9 face-seconds alone and 10 together, 9 of which are happy.
    assert!((faces.mean - 1.9).abs() < 1e-9);
    assert_eq!((faces.max, faces.people), (10, 10));
    assert!((happiness(&summary) - 9.0 / 19.0).abs() < 1e-6);
    let valence = score(&summary, "valence");
    assert!((valence.mean - 9.0 / 19.0).abs() < 1e-6);
    assert!((valence.std - (9.0_f64 * 10.0).sqrt() / 19.0).abs() < 1e-6);
    assert!((score(&summary, "action_units.AU12").mean - 9.0 / 19.0).abs() < 1e-6);
}

#[test]
fn intensity_is_the_peak_and_not_the_mean() {
    let mut windows = Windows::new(settings(), ms(0));
    watch(&mut windows, 0, 5000, 200, &[face(1, 0.1)]);
    windows.frame(&analysis(5000, vec![face(1, 0.9)]));
    watch(&mut windows, 5200, 10_000, 200, &[face(1, 0.1)]);
    let summary = windows.advance(ms(10_000)).remove(0);
    assert!((score(&summary, "expression.happiness").peak - 0.9).abs() < 1e-6);
    assert!(happiness(&summary) < 0.2);
}

#[test]
fn nobody_is_an_explicit_empty_summary() {
    let summary = one(settings(), &[]);
    let faces = summary.faces.unwrap();
    assert_eq!((faces.mean, faces.max, faces.people, faces.facing), (0.0, 0, 0, None));
    assert_eq!(summary.suppressed, Some(Suppressed::Nobody));
    assert_eq!((summary.quality.camera, summary.quality.frames), (CameraState::Ok, 50));
    assert!(summary.scores.is_none());
}

#[test]
fn a_site_or_too_few_people_suppress_emotion_and_keep_the_counts() {
    let forbidden = Policy::new(Site::Education, false, None, 1);
    let three = Policy { min_people: 3, ..Policy::default() };
    for (policy, why) in [(forbidden, Suppressed::Site), (three, Suppressed::MinPeople)] {
        let summary = one(SummarySettings { policy, ..settings() }, &[face(1, 0.5), face(2, 0.5)]);
        assert_eq!(summary.suppressed, Some(why));
        let faces = summary.faces.unwrap();
        assert_eq!((faces.people, faces.facing.is_some()), (2, policy.facing));
        assert!(summary.scores.is_none());
    }
}

#[test]
fn one_person_seen_as_two_tracks_in_turn_is_not_two_people_for_privacy() {
    let mut windows = Windows::new(
        SummarySettings { policy: Policy { min_people: 2, ..Policy::default() }, ..settings() },
        ms(0),
    );
    watch(&mut windows, 0, 5000, 200, &[face(1, 0.5)]);
    watch(&mut windows, 5000, 10_000, 200, &[face(2, 0.5)]);
    let summary = windows.advance(ms(10_000)).remove(0);
    assert_eq!(summary.faces.unwrap().people, 2);
    assert_eq!(summary.suppressed, Some(Suppressed::MinPeople));
}

#[test]
fn a_detection_of_one_frame_is_nobody_and_a_second_frame_makes_it_somebody() {
    let mut windows = Windows::new(SummarySettings { confirm: 2, ..settings() }, ms(0));
    for at in 0..10 {
        windows.frame(&analysis(at * 1000, vec![face(at, 0.9)]));
    }
    watch(&mut windows, 10_000, 20_000, 1000, &[face(50, 0.9)]);
    let summaries = windows.advance(ms(20_000));
    assert_eq!(summaries[0].suppressed, Some(Suppressed::Nobody));
    let faces = summaries[1].faces.clone().unwrap();
    assert_eq!((faces.max, faces.people), (1, 1));
    assert!((faces.mean - 0.9).abs() < 1e-9);
}

#[test]
fn a_stall_does_not_stretch_the_last_face() {
    let mut windows = Windows::new(settings(), ms(0));
    windows.frame(&analysis(0, vec![face(1, 0.5)]));
    let summaries = windows.advance(ms(20_000));
    assert_eq!(summaries[0].quality.observed, Duration::from_millis(1000));
    assert_eq!(summaries[0].quality.camera, CameraState::Ok);
    assert_eq!(summaries[1].faces, None);
    assert_eq!((summaries[1].quality.camera, summaries[1].suppressed), (CameraState::Lost, None));
}

#[test]
fn a_camera_that_is_not_ok_is_not_nobody_there() {
    let mut windows = Windows::new(settings(), ms(0));
    watch(&mut windows, 0, 4000, 200, &[face(1, 0.5)]);
    windows.camera(ms(4000), CameraState::Lost);
    windows.camera(ms(13_000), CameraState::Paused);
    windows.camera(ms(26_000), CameraState::Blind);
    // Pictures of a covered lens show nobody, and say nothing.
    watch(&mut windows, 26_000, 30_000, 200, &[]);
    let summaries = windows.advance(ms(30_000));
    let states: Vec<_> = summaries.iter().map(|s| (s.quality.camera, s.faces.is_some())).collect();
    assert_eq!(states, [(CameraState::Ok, true), (CameraState::Paused, false), (CameraState::Paused, false)]);
    assert_eq!(summaries[0].quality.observed, Duration::from_millis(4000));
    assert!((summaries[0].faces.clone().unwrap().mean - 1.0).abs() < 1e-9);
    assert_eq!(summaries[2].quality.frames, 20);
}

#[test]
fn a_frame_that_was_in_the_works_does_not_end_a_pause() {
    let mut windows = Windows::new(settings(), ms(0));
    windows.camera(ms(100), CameraState::Ok);
    windows.camera(ms(500), CameraState::Paused);
    windows.camera(ms(400), CameraState::Ok);
    windows.frame(&analysis(400, vec![face(1, 0.5)]));
    let summary = windows.advance(ms(10_000)).remove(0);
    assert_eq!((summary.quality.camera, summary.faces), (CameraState::Paused, None));
}

#[test]
fn an_hour_of_suspension_is_one_marked_gap_and_a_minute_is_six_windows() {
    let mut windows = Windows::new(settings(), ms(0));
    watch(&mut windows, 0, 5000, 200, &[face(1, 0.5)]);
    assert_eq!(windows.advance(ms(65_000)).len(), 6);
    let summaries = windows.advance(ms(3_665_000));
    assert_eq!(summaries.len(), 2);
    // The window that had begun is whole; the rest is one gap that ends on a window's edge.
    assert_eq!((summaries[0].start, summaries[0].end), (ms(60_000), ms(70_000)));
    assert_eq!((summaries[1].start, summaries[1].end), (ms(70_000), ms(3_660_000)));
    assert_eq!((summaries[1].quality.camera, &summaries[1].faces), (CameraState::Lost, &None));
    assert_eq!(windows.finish(ms(3_665_000))[0].end, ms(3_665_000));
}

#[test]
fn frames_of_the_past_second_still_count_for_their_window() {
    let mut windows =
        Windows::new(SummarySettings { grace: Duration::from_millis(500), ..settings() }, ms(0));
    watch(&mut windows, 0, 9800, 200, &[]);
    assert!(windows.advance(ms(10_400)).is_empty());
    windows.frame(&analysis(9800, vec![face(1, 0.5)]));
    assert_eq!(windows.advance(ms(10_500)).remove(0).faces.unwrap().people, 1);
}

#[test]
fn scores_that_are_no_numbers_poison_nothing() {
    let summary = one(settings(), &[face(1, f32::NAN), face(2, 0.5)]);
    assert_eq!(summary.faces.as_ref().unwrap().people, 2);
    assert!((happiness(&summary) - 0.5).abs() < 1e-6);
}

#[test]
fn a_face_is_ambiguous_while_none_of_its_expressions_is_likely_enough() {
    let settings = SummarySettings { ambiguous: 0.7, ..settings() };
    let mut windows = Windows::new(settings.clone(), ms(0));
    watch(&mut windows, 0, 4000, 200, &[face(1, 0.6), face(2, 0.9)]);
    watch(&mut windows, 4000, 10_000, 200, &[face(2, 0.1)]);
    let summary = windows.advance(ms(10_000)).remove(0);
    // Four of fourteen face-seconds: 0.6 is too little for happiness and leaves too little for neutral.
    assert!((summary.scores.unwrap().ambiguous - 4.0 / 14.0).abs() < 1e-9);
    // A face that nobody could read is neither clear nor ambiguous.
    let unread = Observation { scores: None, ..face(3, 0.0) };
    let summary = one(settings, &[face(1, 0.5), unread]);
    assert!((summary.scores.unwrap().ambiguous - 1.0).abs() < 1e-9);
}

#[test]
fn faces_that_nobody_could_classify_are_people_without_emotion() {
    let unread = Observation { scores: None, ..face(1, 0.0) };
    let summary = one(settings(), &[unread]);
    assert_eq!(summary.faces.unwrap().people, 1);
    assert!(summary.scores.is_none() && summary.suppressed.is_none());
}
