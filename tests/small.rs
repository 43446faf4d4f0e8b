//! The network for the small faces of a crowd, beside the one for all others.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::fs;
use std::path::{Path, PathBuf};

use emotiond::inference::manifest::Task;
use emotiond::vision::detect::{self, FaceDetector as _};
use emotiond::vision::emotion::small::open;
use emotiond::vision::emotion::{EmotionModel, Flip, TfliteEmotion, square};
use emotiond_core::geometry::Face;
use image::RgbImage;
use image::imageops::{self, FilterType};

const INPUT: f32 = 96.0;

fn models() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models"))
}

fn load(name: &str) -> TfliteEmotion {
    TfliteEmotion::load(&models().join(name)).unwrap()
}

/// The photograph so many pixels high and wide, and its face.
fn photo(side: u32) -> (RgbImage, Face) {
    let photo = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png")).unwrap();
    let photo = imageops::resize(&photo.to_rgb8(), side, side, FilterType::Triangle);
    let face = detect::open(models(), "emotiond-face").unwrap().detect(&photo).unwrap()[0];
    (photo, face)
}

#[test]
fn a_small_face_of_a_crowd_is_read_by_the_small_network_and_any_other_by_the_large_one() {
    let (mut model, manifests) = open(models(), "emotiond-mtl").unwrap();
    let names: Vec<_> = manifests.iter().map(|manifest| manifest.name.as_str()).collect();
    assert_eq!(names, ["emotiond-mtl", "emotiond-mtl-small"]);
    let (mut large, mut small) = (load("emotiond-mtl.toml"), load("emotiond-mtl-small.toml"));
    let crop = match &manifests[1].task {
        Task::Emotion { crop, .. } => *crop,
        other => panic!("{other:?}"),
    };
    let mut sides = Vec::new();
    for size in [192, 256, 320, 360, 400, 440, 480, 512] {
        let (picture, face) = photo(size);
        let by = [&mut large, &mut small].map(|model| model.read(&picture, &face, Flip::Plain).unwrap());
        assert_ne!(by[0], by[1], "two networks of different inputs cannot agree to the bit");
        let side = square(&crop, &face, Flip::Plain).side;
        for faces in [0, 1, 3, 4, 30] {
            model.expect(faces);
            let read = model.read(&picture, &face, Flip::Plain).unwrap();
            let expected = &by[usize::from(side <= INPUT && faces > 3)];
            assert_eq!(&read, expected, "a crop of {side} pixels, {faces} faces");
            let (_, expressions) = read.head("expression").unwrap();
            assert!(expressions[1] > 0.8, "she smiles, in {size} pixels as well: {expressions:?}");
        }
        sides.push(side);
    }
    assert!(sides[0] < INPUT / 2.0 && sides[7] > INPUT, "both are asked: {sides:?}");
}

/// A copy of the shipped pair, its manifests changed.
fn changed(
    large: impl Fn(String) -> String,
    small: impl Fn(String) -> String,
) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for (name, change) in
        [("emotiond-mtl", &large as &dyn Fn(String) -> String), ("emotiond-mtl-small", &small)]
    {
        fs::copy(models().join(format!("{name}.tflite")), folder.path().join(format!("{name}.tflite")))
            .unwrap();
        let text = fs::read_to_string(models().join(format!("{name}.toml"))).unwrap();
        fs::write(folder.path().join(format!("{name}.toml")), change(text)).unwrap();
    }
    let path = folder.path().to_owned();
    (folder, path)
}

#[test]
fn networks_of_other_versions_or_that_say_other_things_do_not_take_turns() {
    let keep = |text: String| text;
    let names = |path: &Path| {
        open(path, "emotiond-mtl").unwrap().1.into_iter().map(|manifest| manifest.name).collect::<Vec<_>>()
    };
    let (_folder, path) = changed(keep, |text| text.replace("\"AU27\"", "\"AU26\""));
    assert_eq!(names(&path), ["emotiond-mtl"]);
    let (_folder, path) = changed(|text| text.replace("version = \"", "version = \"9."), keep);
    assert_eq!(names(&path), ["emotiond-mtl"]);

    let (_folder, path) = changed(keep, |text| text.replace("sha256 = \"", "sha256 = \"0"));
    let message = open(&path, "emotiond-mtl").map(drop).unwrap_err().to_string();
    assert!(message.contains("emotiond-mtl-small.toml"), "{message}");
}

#[test]
fn without_a_small_network_or_with_an_embedding_one_network_reads_all() {
    let keep = |text: String| text;
    let count = |path: &Path| open(path, "emotiond-mtl").unwrap().1.len();
    let (_folder, path) = changed(keep, keep);
    assert_eq!(count(&path), 2);
    fs::remove_file(path.join("emotiond-mtl-small.toml")).unwrap();
    assert_eq!(count(&path), 1);
    let (_folder, path) = changed(|text| text + "\n[embedding]\noutput = 0\n", keep);
    assert_eq!(count(&path), 1);
}
