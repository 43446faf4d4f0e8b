//! What `analyze` prints for programs: JSON lines, and CSV with the columns that researchers' programs know.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use image::RgbImage;
use serde::Serialize;

use crate::command::clip::{ClipFace, ClipReading};
use emotiond_core::geometry::Face;
use emotiond_core::report::score::{ACTION_UNITS, EXPRESSION, Scores, VALENCE_AROUSAL, Vocabulary};

/// One line of `analyze --json`.
#[derive(Debug, Serialize)]
struct PictureLine<'a> {
    path: &'a str,
    width: u32,
    height: u32,
    faces: Vec<FaceLine>,
}

/// One line of a clip: a face of a frame.
#[derive(Debug, Serialize)]
struct ClipLine {
    frame: u64,
    time: f64,
    track: u64,
    #[serde(flatten)]
    face: FaceLine,
}

/// One face: the box as `[x, y, width, height]` in pixels of the picture, and what the model says.
#[derive(Debug, Serialize)]
struct FaceLine {
    #[serde(rename = "box")]
    bounds: [f64; 4],
    score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arousal: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_units: Option<BTreeMap<String, f64>>,
    /// Every other head, by its name.
    #[serde(flatten)]
    others: serde_json::Map<String, serde_json::Value>,
}

/// The line of a picture.
pub fn picture(
    path: &Path,
    picture: &RgbImage,
    found: &[(Face, Option<Scores>)],
) -> serde_json::Result<String> {
    let line = PictureLine {
        path: &path.to_string_lossy(),
        width: picture.width(),
        height: picture.height(),
        faces: found.iter().map(|(face, scores)| face_line(face, scores.as_ref(), &[])).collect(),
    };
    Ok(serde_json::to_string(&line)? + "\n")
}

/// The lines of a frame: one for each face.
pub fn json(reading: &ClipReading) -> serde_json::Result<String> {
    let line = |face: &ClipFace| {
        let line = ClipLine {
            frame: reading.number,
            time: seconds(reading.time),
            track: face.track,
            face: face_line(&face.face, face.scores.as_ref(), &face.sequences),
        };
        Ok(serde_json::to_string(&line)? + "\n")
    };
    reading.faces.iter().map(line).collect()
}

fn face_line(face: &Face, scores: Option<&Scores>, sequences: &[Scores]) -> FaceLine {
    let bounds = &face.bounds;
    let named = |(labels, values): (&[String], &[f32])| -> Vec<(String, f64)> {
        labels.iter().cloned().zip(values.iter().map(|value| digits(*value, 4))).collect()
    };
    let head = |name: &str| scores.and_then(|scores| scores.head(name)).map(named);
    let map = |named: Vec<(String, f64)>| -> serde_json::Map<String, serde_json::Value> {
        named.into_iter().map(|(label, value)| (label, value.into())).collect()
    };
    let score = |name| scores.and_then(|scores| scores.get(name)).map(|value| digits(value, 4));
    let heads = scores
        .into_iter()
        .chain(sequences)
        .flat_map(|scores| scores.vocabulary().heads().map(move |(head, _)| (head.name.as_str(), scores)));
    let others = heads.filter(|(name, _)| ![EXPRESSION, VALENCE_AROUSAL, ACTION_UNITS].contains(name));
    let others = others.filter_map(|(name, of)| Some((name.to_owned(), map(named(of.head(name)?)).into())));
    FaceLine {
        bounds: [bounds.x, bounds.y, bounds.width, bounds.height].map(|value| digits(value, 1)),
        score: digits(face.score, 4),
        expression: head(EXPRESSION).map(map),
        valence: score("valence"),
        arousal: score("arousal"),
        action_units: head(ACTION_UNITS).map(|named| named.into_iter().collect()),
        others: others.collect(),
    }
}

/// The columns of a clip's CSV: the first nine as OpenFace and Py-Feat name them, then a column for each expression, two
/// for each action unit, and one for each other score.
pub fn csv_header(vocabularies: &[Arc<Vocabulary>]) -> String {
    let mut columns: Vec<String> = [
        "frame",
        "face_id",
        "timestamp",
        "confidence",
        "success",
        "FaceRectX",
        "FaceRectY",
        "FaceRectWidth",
        "FaceRectHeight",
    ]
    .map(str::to_owned)
    .into();
    for (head, _) in vocabularies.iter().flat_map(|vocabulary| vocabulary.heads()) {
        for label in &head.labels {
            match head.name.as_str() {
                EXPRESSION | VALENCE_AROUSAL => columns.push(label.clone()),
                ACTION_UNITS => columns.extend(["r", "c"].map(|kind| format!("{}_{kind}", unit(label)))),
                name => columns.push(format!("{name}.{label}")),
            }
        }
    }
    columns.join(",") + "\n"
}

/// The lines of a frame: one for each face or, with `success` 0, one that says that there was none. A score that there is
/// none of yet is an empty cell.
pub fn csv(reading: &ClipReading, vocabularies: &[Arc<Vocabulary>]) -> String {
    let (frame, time) = (reading.number, seconds(reading.time));
    if reading.faces.is_empty() {
        let columns = csv_header(vocabularies).split(',').count();
        return format!("{frame},0,{time},0,0{}\n", ",".repeat(columns - 5));
    }
    let line = |face: &ClipFace| {
        let bounds = &face.face.bounds;
        let bounds = [bounds.x, bounds.y, bounds.width, bounds.height].map(|value| digits(value, 1));
        let mut cells = vec![
            frame.to_string(),
            face.track.to_string(),
            time.to_string(),
            digits(face.face.score, 4).to_string(),
            "1".to_owned(),
        ];
        cells.extend(bounds.map(|value| value.to_string()));
        for vocabulary in vocabularies {
            let scores = face.scores.iter().chain(&face.sequences).find(|s| s.vocabulary() == vocabulary);
            for (head, range) in vocabulary.heads() {
                for place in range {
                    let value = scores.map(|scores| scores.values()[place]);
                    let cell = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
                    if head.name == ACTION_UNITS {
                        // OpenFace's intensities go from 0 to 5, and from the middle on a unit is there.
                        cells.push(cell(value.map(|value| digits(5.0 * value, 3))));
                        cells.push(cell(value.map(|value| f64::from(u8::from(value >= 0.5)))));
                    } else {
                        cells.push(cell(value.map(|value| digits(value, 4))));
                    }
                }
            }
        }
        cells.join(",") + "\n"
    };
    reading.faces.iter().map(line).collect()
}

/// An action unit as OpenFace writes it: `AU01` for `AU1`.
fn unit(label: &str) -> String {
    let number = label.strip_prefix("AU").and_then(|number| number.parse::<u32>().ok());
    number.map_or_else(|| label.to_owned(), |number| format!("AU{number:02}"))
}

fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1000.0).round() / 1000.0
}

/// Rounded to so many decimals; more would say nothing about a face.
fn digits(value: f32, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (f64::from(value) * scale).round() / scale
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use emotiond_core::geometry::{Point, Rect};
    use emotiond_core::report::score::{ScoreHead, ScoreKind};

    fn reading() -> (Vec<Arc<Vocabulary>>, ClipReading) {
        let expressions = ["neutral".parse().unwrap(), "happiness".parse().unwrap()];
        let units = ["AU1".to_owned(), "AU12".to_owned()];
        let heads = vec![
            ScoreHead::expression(&expressions),
            ScoreHead::valence_arousal(),
            ScoreHead::action_units(&units),
        ];
        let vocabulary = Arc::new(Vocabulary::new(heads));
        let head = ScoreHead {
            name: "sequence.engagement".to_owned(),
            kind: ScoreKind::Distribution,
            labels: vec!["low".to_owned(), "high".to_owned()],
        };
        let sequence = Arc::new(Vocabulary::new(vec![head]));
        let sequences = vec![Scores::new(Arc::clone(&sequence), vec![0.3, 0.7])];
        let values = vec![0.25, 0.75, -0.5, 0.125, 0.1, 0.5];
        let bounds = Rect { x: 1.0, y: 2.0, width: 30.0, height: 40.25 };
        let face = Face { bounds, score: 0.9, keypoints: [Point::default(); 6] };
        let scores = Some(Scores::new(Arc::clone(&vocabulary), values));
        let faces = vec![ClipFace { track: 3, face, scores, sequences }];
        (
            vec![vocabulary, sequence],
            ClipReading { number: 7, time: Duration::from_millis(240), faces, events: Vec::new() },
        )
    }

    #[test]
    fn csv_has_the_columns_that_others_know() {
        let (vocabularies, mut reading) = reading();
        let header = csv_header(&vocabularies);
        assert_eq!(
            header,
            "frame,face_id,timestamp,confidence,success,FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight,neutral,\
             happiness,valence,arousal,AU01_r,AU01_c,AU12_r,AU12_c,sequence.engagement.low,sequence.engagement.high\n"
        );
        let line = csv(&reading, &vocabularies);
        assert_eq!(line, "7,3,0.24,0.9,1,1,2,30,40.3,0.25,0.75,-0.5,0.125,0.5,0,2.5,1,0.3,0.7\n");
        reading.faces[0].sequences.clear();
        assert!(csv(&reading, &vocabularies).ends_with(",2.5,1,,\n"), "nothing said yet");
        reading.faces[0].scores = None;
        let unread = csv(&reading, &vocabularies);
        reading.faces.clear();
        let nobody = csv(&reading, &vocabularies);
        assert!(nobody.starts_with("7,0,0.24,0,0,,"), "{nobody}");
        for line in [&line, &unread, &nobody] {
            assert_eq!(line.split(',').count(), header.split(',').count(), "{line}");
        }
    }

    #[test]
    fn json_has_a_line_for_each_face_and_every_head() {
        let (_, reading) = reading();
        let line: serde_json::Value = serde_json::from_str(&json(&reading).unwrap()).unwrap();
        let expected = serde_json::json!({
            "frame": 7, "time": 0.24, "track": 3, "box": [1.0, 2.0, 30.0, 40.3], "score": 0.9,
            "expression": {"neutral": 0.25, "happiness": 0.75}, "valence": -0.5, "arousal": 0.125,
            "action_units": {"AU1": 0.1, "AU12": 0.5}, "sequence.engagement": {"low": 0.3, "high": 0.7},
        });
        assert_eq!(line, expected);
    }
}
