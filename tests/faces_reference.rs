//! The detector against the Python package's, which shares no code with the program: tests on pictures made of the
//! photograph. `tests/faces.rs` compares the photograph itself with a recorded answer.

#![allow(clippy::unwrap_used, reason = "clippy takes the helpers of a test file for code that is none")]

use std::path::Path;
use std::process::Command;

use emotiond::vision::detect::{self, FaceDetector as _, Yunet};
use emotiond_core::geometry::Face;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Pixels of the network's input by which a coordinate may differ: the two scale pictures by different code, which is a
/// level or two of some pixels, and so a step of int8 here and there.
const APART: f32 = 1.5;

#[derive(serde::Deserialize)]
struct Answer {
    faces: Vec<Expected>,
}

#[derive(serde::Deserialize)]
struct Expected {
    #[serde(rename = "box")]
    bounds: [f32; 4],
    score: f32,
    keypoints: [[f32; 2]; 5],
}

fn load() -> Yunet {
    detect::open(&Path::new(ROOT).join("models"), "emotiond-face").unwrap()
}

fn astronaut() -> RgbImage {
    image::open(Path::new(ROOT).join("tests/data/astronaut.png")).unwrap().to_rgb8()
}

/// The largest difference of any coordinate of any face, in pixels of the picture.
fn deviation(what: &str, found: &[Face], expected: &[Expected]) -> f32 {
    assert_eq!(found.len(), expected.len(), "{what}: number of faces");
    let mut largest = 0f32;
    for expected in expected {
        let values = expected.bounds.into_iter().chain(expected.keypoints.into_iter().flatten());
        // Equal scores may come in either order, so each is compared with the nearest.
        let deviation = |face: &Face| {
            let (b, [right_eye, left_eye, nose, _, right, left]) = (face.bounds, face.keypoints);
            let found = [b.x, b.y, b.width, b.height].into_iter();
            let found =
                found.chain([right_eye, left_eye, nose, right, left].into_iter().flat_map(|p| [p.x, p.y]));
            found.zip(values.clone()).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
        };
        let nearest = found.iter().min_by(|a, b| deviation(a).total_cmp(&deviation(b))).unwrap();
        assert!(
            (nearest.score - expected.score).abs() < 0.05,
            "{what}: score {} {}",
            nearest.score,
            expected.score
        );
        largest = largest.max(deviation(nearest));
    }
    largest
}

/// Pictures made of the photograph: other sizes, shapes, angles, several faces.
fn compositions() -> Vec<(&'static str, RgbImage)> {
    let photo = astronaut();
    let head = imageops::crop_imm(&photo, 120, 20, 220, 220).to_image();
    let resized =
        |picture: &RgbImage, width, height| imageops::resize(picture, width, height, FilterType::CatmullRom);
    let mut wide = RgbImage::from_pixel(900, 400, Rgb([90, 100, 110]));
    imageops::replace(&mut wide, &resized(&photo, 400, 400), 437, 0);
    let mut tall = RgbImage::from_pixel(300, 640, Rgb([200, 190, 180]));
    imageops::replace(&mut tall, &resized(&photo, 280, 280), 7, 331);
    let mut group = RgbImage::from_pixel(640, 480, Rgb([60, 70, 60]));
    for (x, y, side) in [(0, 10, 200), (215, 0, 160), (430, 20, 190), (60, 250, 210), (360, 240, 230)] {
        imageops::overlay(&mut group, &resized(&head, side, side), x, y);
    }
    let mut mirrored = group.clone();
    imageops::flip_horizontal_in_place(&mut mirrored);
    let mut corner = RgbImage::from_pixel(320, 240, Rgb([0, 0, 0]));
    imageops::replace(&mut corner, &resized(&head, 180, 180), -30, -35);
    vec![
        ("small", resized(&photo, 173, 173)),
        ("large", resized(&photo, 1400, 1400)),
        ("squeezed", resized(&photo, 512, 610)),
        ("close-up", resized(&head, 481, 479)),
        ("wide", wide),
        ("tall", tall),
        ("turned-15", turned(&photo, 15.0)),
        ("turned-30", turned(&photo, -30.0)),
        ("group of five", group),
        ("mirrored", mirrored),
        ("corner", corner),
        ("nobody", RgbImage::from_pixel(640, 480, Rgb([120, 130, 140]))),
    ]
}

/// Turned about its centre by nearest neighbour, the corners black.
fn turned(picture: &RgbImage, degrees: f32) -> RgbImage {
    let (sin, cos) = degrees.to_radians().sin_cos();
    let (cx, cy) = (picture.width() as f32 / 2.0, picture.height() as f32 / 2.0);
    RgbImage::from_fn(picture.width(), picture.height(), |x, y| {
        let (dx, dy) = (x as f32 - cx, y as f32 - cy);
        let (sx, sy) = (cx + cos * dx - sin * dy, cy + sin * dx + cos * dy);
        let inside = sx >= 0.0 && sy >= 0.0 && sx < picture.width() as f32 && sy < picture.height() as f32;
        if inside { *picture.get_pixel(sx as u32, sy as u32) } else { Rgb([0; 3]) }
    })
}

#[test]
fn five_people_are_five_faces_and_nobody_is_none() {
    let mut detector = load();
    for (name, picture) in compositions() {
        let expected = match name {
            "group of five" | "mirrored" => 5,
            "nobody" => 0,
            _ => 1,
        };
        assert_eq!(detector.detect(&picture).unwrap().len(), expected, "{name}");
    }
}

#[test]
fn the_program_says_five_and_none_too() {
    let folder = tempfile::tempdir().unwrap();
    for (name, picture) in
        compositions().into_iter().filter(|(name, _)| ["group of five", "nobody"].contains(name))
    {
        picture.save(folder.path().join(format!("{name}.png"))).unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_emotiond"))
        .args(["analyze", "--json"])
        .arg(folder.path())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let lines = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<serde_json::Value> =
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let faces: Vec<_> = lines.iter().map(|line| line["faces"].as_array().unwrap().len()).collect();
    assert_eq!(faces, [5, 0], "in the order of the names");
}

#[test]
#[ignore = "needs the Python environment of scripts/setup --tests; scripts/test-python runs it"]
fn compositions_agree_with_the_reference() {
    let folder = tempfile::tempdir().unwrap();
    let pictures = compositions();
    let path = |index: usize| folder.path().join(format!("{index}.png"));
    for (index, (_, picture)) in pictures.iter().enumerate() {
        picture.save(path(index)).unwrap();
    }
    let out = folder.path().join("answers.jsonl");
    let output = Command::new(Path::new(ROOT).join(".venv/bin/python"))
        .current_dir(Path::new(ROOT).join("python"))
        .args(["-m", "emotiond_models.detector", "golden", "--plain", "--out"])
        .arg(&out)
        .arg("--picture")
        .args((0..pictures.len()).map(path))
        .output()
        .expect("scripts/setup --tests makes .venv");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let answers = std::fs::read_to_string(&out).unwrap();
    let answers: Vec<Answer> = answers.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(answers.len(), pictures.len());
    let (mut detector, mut faces) = (load(), 0);
    for (answer, (name, picture)) in answers.iter().zip(&pictures) {
        let found = detector.detect(picture).unwrap();
        let input = &detector.manifest().input;
        let (across, down) = (picture.width() as f32, picture.height() as f32);
        let pixel = (across / input.width as f32).max(down / input.height as f32);
        let largest = deviation(name, &found, &answer.faces) / pixel;
        println!("{name}: {} faces, at most {largest:.3} pixels of the input apart", answer.faces.len());
        assert!(largest <= APART, "{name}: {largest} pixels");
        faces += answer.faces.len();
    }
    assert!(faces >= 15, "the reference found only {faces} faces: are the pictures what they should be?");
}
