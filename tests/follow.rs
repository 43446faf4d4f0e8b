//! A stream of pictures in which faces move, come and go: between two searches only what is around them is looked at.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::time::Duration;

use emotiond::vision::detect::{CameraRange, FaceDetector};
use emotiond_core::Moment;
use emotiond_core::geometry::Face;
use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

/// A head of the photograph with what is around it, so many pixels wide.
fn head(side: u32) -> RgbImage {
    let photo = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png")).unwrap();
    let head = imageops::crop_imm(&photo.to_rgb8(), 120, 20, 220, 220).to_image();
    imageops::resize(&head, side, side, FilterType::CatmullRom)
}

/// A wall with heads at these places (left, top).
fn room(head: &RgbImage, places: &[(u32, u32)]) -> RgbImage {
    let mut room = RgbImage::from_fn(640, 480, |x, y| Rgb([90 + (x % 7) as u8, 100 + (y % 5) as u8, 110]));
    for &(left, top) in places {
        imageops::replace(&mut room, head, i64::from(left), i64::from(top));
    }
    room
}

/// A detector at a camera of five frames a second.
struct Watch {
    detector: Box<dyn FaceDetector>,
    head: RgbImage,
    at: Moment,
}

impl Watch {
    fn new(range: CameraRange) -> Self {
        let models = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/models"));
        let (detector, manifests) = range.open(models, "emotiond-face").unwrap();
        let names: Vec<_> = manifests.iter().map(|manifest| manifest.name.as_str()).collect();
        let first = if range == CameraRange::Near { "emotiond-face-near" } else { "emotiond-face" };
        assert_eq!(names, [first, "emotiond-face-part"]);
        Self { detector, head: head(120), at: Moment::ZERO }
    }

    fn show(&mut self, places: &[(u32, u32)]) -> Vec<Face> {
        self.at += Duration::from_millis(200);
        self.detector.follow(self.at, &room(&self.head, places)).unwrap()
    }
}

/// Whether there is a face in each of these heads and nowhere else.
fn shows(faces: &[Face], places: &[(u32, u32)]) -> bool {
    let in_head = |&(left, top): &(u32, u32)| {
        let inside = |face: &&Face| {
            let center = face.bounds.center();
            let (x, y) = (center.x - left as f32, center.y - top as f32);
            (35.0..85.0).contains(&x) && (25.0..85.0).contains(&y)
        };
        faces.iter().filter(inside).count() == 1
    };
    faces.len() == places.len() && places.iter().all(in_head)
}

#[test]
fn a_face_that_walks_is_found_in_every_picture_where_a_search_would_find_it() {
    for range in [CameraRange::Near, CameraRange::Room] {
        let mut stream = Watch::new(range);
        for step in 0..24 {
            // A quarter of the face's size a picture, there and back.
            let place = (20 + 20 * 12_u32.abs_diff(step), 100 + 5 * step);
            let faces = stream.show(&[place]);
            assert!(shows(&faces, &[place]), "{range:?}, step {step} at {place:?}: {faces:?}");
            let searched = stream.detector.detect(&room(&stream.head, &[place])).unwrap()[0];
            let (seen, searched) = (faces[0].bounds, searched.bounds);
            assert!(seen.iou(&searched) > 0.6, "{range:?}, step {step}: {seen:?} and {searched:?}");
        }
    }
}

#[test]
fn a_face_that_jumps_or_leaves_has_the_whole_picture_searched_at_once() {
    let mut stream = Watch::new(CameraRange::Room);
    for step in 0..12 {
        let place = [(20, 20), (480, 300)][step / 2 % 2];
        let faces = stream.show(&[place]);
        assert!(shows(&faces, &[place]), "step {step}: {faces:?}");
    }
    assert!(stream.show(&[]).is_empty());
    assert!(
        shows(&stream.show(&[(400, 30)]), &[(400, 30)]),
        "with nobody to follow every picture is searched"
    );
}

/// The one after the next is the last one that is not searched: that it stays unseen until then shows that nothing but
/// the parts is looked at.
#[test]
fn who_comes_in_beside_a_face_is_seen_half_a_second_later_at_most() {
    let mut stream = Watch::new(CameraRange::Room);
    let (one, other) = ((40, 60), (420, 200));
    assert!(shows(&stream.show(&[one]), &[one]), "searched");
    for _ in 0..2 {
        assert!(shows(&stream.show(&[one, other]), &[one]), "only what is around the one");
    }
    for _ in 0..3 {
        assert!(shows(&stream.show(&[one, other]), &[one, other]), "searched, and then around both");
    }
}

#[test]
fn neighbours_that_are_in_each_others_parts_stay_two() {
    let mut stream = Watch::new(CameraRange::Room);
    for step in 0..9 {
        let places = [(100 + 4 * step, 100), (222 + 4 * step, 110), (390, 200 + 4 * step)];
        let faces = stream.show(&places);
        assert!(shows(&faces, &places), "step {step}: {faces:?}");
    }
}

#[test]
fn nothing_is_followed_into_another_stream_or_size() {
    let mut stream = Watch::new(CameraRange::Room);
    let (one, other) = ((40, 60), (420, 200));
    stream.show(&[one]);
    stream.detector.restart();
    assert!(shows(&stream.show(&[one, other]), &[one, other]), "searched after a restart");
    stream.show(&[one]);
    stream.show(&[one]);
    let larger = imageops::resize(&room(&stream.head, &[one, other]), 960, 720, FilterType::Triangle);
    assert_eq!(stream.detector.follow(stream.at, &larger).unwrap().len(), 2);
}
