use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::number::apportion;
use super::*;
use crate::report::expression::Expression;
use crate::report::observation::{CameraState, Skipped};
use crate::report::policy::{Policy, Suppressed};
use crate::report::reading::ReadingTimes;
use crate::report::score::{ScoreHead, ScoreKind, Vocabulary};
use crate::report::summary::{Faces, Quality, ScoreStatistics, ScoreSummary};
use crate::report::trigger::Phase;
use crate::report::visits::{Times, VisitSummary};

/// 2026-11-23T10:15:30Z, 100 s after the start.
fn stamp() -> Stamp {
    let wall = Timestamp::from_second(1_795_428_930).unwrap();
    Stamp { now: Moment::from_secs(100), wall, synchronized: true }
}

fn encoder() -> Encoder {
    Encoder::new("hall".to_owned(), "b8c1".to_owned())
}

/// All expressions but contempt, valence and arousal, and three action units in an order of their own.
fn scores() -> ScoreSummary {
    let expressions: Vec<_> = Expression::ALL.into_iter().filter(|e| *e != Expression::Contempt).collect();
    let action_units = ["AU12", "AU1", "AU25"].map(str::to_owned);
    let vocabulary = Arc::new(Vocabulary::new(vec![
        ScoreHead::expression(&expressions),
        ScoreHead::valence_arousal(),
        ScoreHead::action_units(&action_units),
    ]));
    let means = [0.333_4, 0.533_3, 0.033_3, 0.05, 0.03, 0.02, 0.0, 0.44, -0.000_04, 0.61, 0.2, 0.1];
    let deviations = [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.12, 0.07, 0.0, 0.0, 0.0];
    let peaks = [0.7, 0.93, 0.2, 0.1, 0.1, 0.1, 0.1, 0.5, 0.1, 0.9, 0.3, 0.2];
    let statistics = |i| ScoreStatistics { mean: means[i], std: deviations[i], peak: peaks[i] };
    ScoreSummary { vocabulary, statistics: (0..means.len()).map(statistics).collect(), ambiguous: 0.25 }
}

/// What a network that reads sequences says.
fn engagement() -> ScoreSummary {
    let head = ScoreHead {
        name: "sequence.engagement".to_owned(),
        kind: ScoreKind::Distribution,
        labels: ["distracted", "engaged"].map(str::to_owned).into(),
    };
    let statistics = [0.25, 0.75].map(|mean| ScoreStatistics { mean, std: 0.1, peak: 0.9 });
    let vocabulary = Arc::new(Vocabulary::new(vec![head]));
    ScoreSummary { vocabulary, statistics: statistics.into(), ambiguous: 0.0 }
}

fn times(seconds: &[u64]) -> Times {
    let mut histogram = [0; 6];
    for second in seconds {
        histogram[usize::from(*second >= 5) + usize::from(*second >= 15) + usize::from(*second >= 30)] += 1;
    }
    let total = Duration::from_secs(seconds.iter().sum());
    Times { ended: seconds.len() as u32, total, histogram }
}

fn summary() -> Summary {
    Summary {
        start: Moment::from_secs(90),
        end: Moment::from_secs(100),
        faces: Some(Faces {
            mean: 1.600_04,
            max: 3,
            people: 3,
            facing: Some(0.71),
            skipped: Skipped { small: 2, turned: 5 },
        }),
        visits: Some(VisitSummary {
            began: 2,
            watchers: Some(1),
            dwell: Some(times(&[2, 30])),
            facing: Some(times(&[1, 7])),
            longest: Some(Duration::from_millis(12_345)),
        }),
        scores: Some(scores()),
        sequences: vec![engagement()],
        suppressed: None,
        quality: Quality {
            camera: CameraState::Ok,
            frames: 50,
            dropped: 1,
            corrupt: 0,
            observed: Duration::from_millis(9_800),
            readings: Some(ReadingTimes {
                count: 20,
                readable: Duration::from_secs(16),
                fresh: Duration::from_secs(12),
                oldest: Duration::from_millis(1_204),
            }),
        },
    }
}

fn parse(message: &Message) -> Value {
    serde_json::from_str(&message.body).unwrap()
}

fn check(value: &Value) -> Result<(), String> {
    let schema: Value = serde_json::from_str(&schema_text()).unwrap();
    let validator = jsonschema::options().should_validate_formats(true).build(&schema).unwrap();
    validator.validate(value).map_err(|error| format!("{error} at {}", error.instance_path()))
}

#[test]
fn schema_is_current() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/summary.schema.json");
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(path, schema_text()).unwrap();
    }
    let stored = std::fs::read_to_string(path).unwrap();
    assert!(
        stored == schema_text(),
        "{path} is out of date; write it anew with UPDATE_SCHEMA=1 cargo test schema"
    );
}

#[test]
fn a_summary_on_the_wire() {
    let message = encoder().summary(&summary(), &stamp());
    assert_eq!(message.topic, Topic::Summary);
    assert_eq!(
        message.body,
        concat!(
            r#"{"schema":1,"device":"hall","sequence":1,"boot":"b8c1","#,
            r#""window":{"start":"2026-11-23T10:15:20.000Z","end":"2026-11-23T10:15:30.000Z","seconds":10.0},"#,
            r#""faces":{"mean":1.6,"max":3,"people":3,"facing":0.71,"skipped":{"small":2,"turned":5},"#,
            r#""visits":2,"watchers":1,"dwell":{"ended":2,"mean":16.0,"histogram":[1,0,0,1,0,0]},"#,
            r#""facing_time":{"ended":2,"mean":4.0,"histogram":[1,1,0,0,0,0]},"attraction":0.25,"longest":12.345},"#,
            r#""expression":{"dominant":"happiness","#,
            r#""distribution":{"neutral":0.334,"happiness":0.533,"surprise":0.033,"sadness":0.05,"anger":0.03,"#,
            r#""disgust":0.02,"fear":0.0},"#,
            r#""intensity":{"neutral":0.7,"happiness":0.93,"surprise":0.2,"sadness":0.1,"anger":0.1,"disgust":0.1,"#,
            r#""fear":0.1},"ambiguous":0.25},"#,
            r#""valence":{"mean":0.44,"std":0.12},"arousal":{"mean":0.0,"std":0.07},"#,
            r#""action_units":{"AU12":0.61,"AU1":0.2,"AU25":0.1},"compound":null,"#,
            r#""sequences":{"engagement":{"distracted":0.25,"engaged":0.75}},"suppressed":null,"#,
            r#""quality":{"camera":"ok","frames":50,"dropped":1,"corrupt":0,"observed":9.8,"clock_synchronized":true,"#,
            r#""readings":{"count":20,"rate":1.25,"fresh":0.75,"oldest":1.204}}}"#,
        )
    );
    check(&parse(&message)).unwrap();
}

#[test]
fn every_kind_of_summary_is_valid_and_a_broken_one_is_not() {
    let bare =
        Summary { scores: None, sequences: Vec::new(), suppressed: Some(Suppressed::MinPeople), ..summary() };
    let mut lost = Summary { faces: None, visits: None, suppressed: None, ..bare.clone() };
    lost.quality.camera = CameraState::Lost;
    let mut encoder = encoder();
    for (sequence, (summary, suppressed)) in
        (1..).zip([(summary(), Value::Null), (bare, json!("min_people")), (lost, Value::Null)])
    {
        let mut value = parse(&encoder.summary(&summary, &stamp()));
        check(&value).unwrap();
        assert_eq!((&value["sequence"], &value["suppressed"]), (&json!(sequence), &suppressed));
        value["quality"]["camera"] = json!("broken");
        assert!(check(&value).is_err());
    }
    let good = parse(&encoder.summary(&summary(), &stamp()));
    for (path, wrong) in [
        ("/schema", json!(2)),
        ("/window/start", json!("yesterday")),
        ("/expression/distribution", json!({"joy": 1.0})),
        ("/expression/intensity/happiness", json!(1.1)),
        ("/valence/mean", json!(-1.1)),
        ("/faces/max", json!(-1)),
        ("/faces/dwell/histogram", json!([0, 0, 0])),
        ("/faces/attraction", json!(1.5)),
        ("/suppressed", json!("other")),
    ] {
        let mut value = good.clone();
        *value.pointer_mut(path).unwrap() = wrong;
        assert!(check(&value).is_err(), "{path}");
    }
    for key in good.as_object().unwrap().keys() {
        let mut value = good.clone();
        value.as_object_mut().unwrap().remove(key);
        assert!(check(&value).is_err(), "without {key}");
    }
}

#[test]
fn a_step_of_the_wall_clock_moves_the_stamps_and_not_the_length() {
    // Set right 5 s before the window ended: the date of its end counts back from the clock as it is now.
    let stamp = Stamp { wall: stamp().wall + Duration::from_secs(5), ..stamp() };
    let value = parse(&encoder().summary(&summary(), &stamp));
    assert_eq!(value["window"]["start"], "2026-11-23T10:15:25.000Z");
    assert_eq!(value["window"]["end"], "2026-11-23T10:15:35.000Z");
    assert_eq!(value["window"]["seconds"], 10.0);
}

#[test]
fn an_event_on_the_wire() {
    let event = TriggerEvent {
        name: "smile".to_owned(),
        signal: "expression.happiness".parse().unwrap(),
        phase: Phase::Start,
        at: Moment::from_millis(98_765),
        value: Some(0.612_34),
        lasted: Duration::from_millis(2_040),
        published: true,
        active: true,
    };
    let message = encoder().event(&event, &stamp());
    assert_eq!(message.topic, Topic::Event("smile".to_owned()));
    let expected = json!({"schema": 1, "device": "hall", "boot": "b8c1", "trigger": "smile",
        "signal": "expression.happiness", "phase": "start", "time": "2026-11-23T10:15:28.765Z", "value": 0.612,
        "seconds": 2.04});
    assert_eq!(parse(&message), expected);
}

#[test]
fn info_and_health_carry_the_envelope() {
    let info = Info {
        version: "0.1.0".to_owned(),
        models: vec![ModelInfo { name: "net".into(), version: "1".into(), sha256: "00".repeat(32) }],
        site: "home".to_owned(),
        privacy: PrivacyInfo { policy: Policy::default(), legal_basis: None, notice: "Faces.".into() },
        window: 10.0,
        capabilities: (&*scores().vocabulary).into(),
        triggers: vec!["smile".to_owned()],
    };
    let value = parse(&encoder().info(&info));
    assert_eq!(
        (&value["schema"], &value["device"], &value["site"]),
        (&json!(1), &json!("hall"), &json!("home"))
    );
    assert_eq!(
        value["privacy"],
        json!({"emotion": true, "facing": true, "watchers": true, "min_people": 1, "legal_basis": null, "notice": "Faces."})
    );
    assert_eq!(value["capabilities"]["action_units"], json!(["AU12", "AU1", "AU25"]));

    let health = Health {
        time: stamp().date(stamp().now),
        uptime: 100.04,
        camera: CameraState::Ok,
        captured_fps: 29.97,
        fps: 5.0,
        readings: ReadingRate::of(&summary().quality.readings.unwrap()),
        cpu: 0.123_45,
        latency: [("detect", Latency { mean: 12.345, max: 40.0 })].into(),
        dropped: 1,
        corrupt: 2,
        published: 3,
        queued: 4,
        queue_on_disk: Some(3),
        queue_disk: "ok",
        dropped_messages: 5,
        dropped_summaries: 1,
        temperature: None,
        memory: Some(41.3),
        clock_synchronized: false,
    };
    let value = parse(&encoder().health(&health));
    assert_eq!(
        (&value["boot"], &value["uptime"], &value["temperature"]),
        (&json!("b8c1"), &json!(100.0), &Value::Null)
    );
    assert_eq!((&value["readings"], &value["cpu"]), (&json!({"rate": 1.25, "fresh": 0.75}), &json!(0.123)));
    assert_eq!(value["latency"]["detect"], json!({"mean": 12.3, "max": 40.0}));
    assert_eq!(health.status_line(), "camera ok, 5.0 frames/s analysed, 4 messages waiting, 41 MiB");
}

#[test]
fn bare_words() {
    assert_eq!(Message::status(false), Message { topic: Topic::Status, body: "offline".to_owned() });
    assert_eq!(Message::pause_state(true), Message { topic: Topic::PauseState, body: "ON".to_owned() });
}

proptest! {
    #[test]
    fn a_distribution_sums_to_one_after_rounding(weights in prop::collection::vec(0.0_f64..1.0, 1..9)) {
        prop_assume!(weights.iter().sum::<f64>() > 0.01);
        let total: f64 = weights.iter().sum();
        let shares = apportion(&weights);
        prop_assert_eq!(shares.iter().map(|s| (s.0 * 1000.0).round() as u32).sum::<u32>(), 1000);
        for (share, weight) in shares.iter().zip(&weights) {
            prop_assert!((share.0 - weight / total).abs() <= 0.001 + 1e-9);
        }
    }
}
