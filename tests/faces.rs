//! The shipped detectors and emotion model on a real photograph.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;

use emotiond::emotion::{EmotionModel, TfliteEmotion};
use emotiond::faces::{BlazeFace, FaceDetector};
use emotiond::observation::Expression;

fn models() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models"))
}

#[test]
fn happiness_dominates_on_the_astronaut() {
    let picture =
        image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png")).unwrap().to_rgb8();
    let mut model = TfliteEmotion::load(&models().join("mini-xception-fer2013.toml")).unwrap();
    for detector in ["blazeface-short", "blazeface-back", "blazeface-full"] {
        let faces =
            BlazeFace::load(&models().join(format!("{detector}.toml"))).unwrap().detect(&picture).unwrap();
        assert_eq!(faces.len(), 1, "{detector}");
        let emotion = model.read(&picture, &faces[0]).unwrap();
        let happiness = emotion.expression.unwrap()[Expression::Happiness as usize];
        assert!(happiness > 0.5, "{detector}: {emotion:?}");
    }
}
