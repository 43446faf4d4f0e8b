//! The pair on detectors that see what they are told.

use super::super::second_look::SIDE;
use super::*;
use emotiond_core::geometry::Rect;

/// Sees the faces it is given; counts how often it looks.
#[derive(Default)]
struct Eye {
    faces: Vec<Face>,
    /// The scores of the face it sees in the middle of the squares of a second look, in turns; empty: it sees none.
    again: Vec<f32>,
    looks: u32,
    second_looks: usize,
}

impl FaceDetector for Eye {
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>> {
        if picture.width() != SIDE {
            self.looks += 1;
            return Ok(self.faces.clone());
        }
        let turn = self.second_looks;
        self.second_looks += 1;
        if self.again.is_empty() {
            return Ok(Vec::new());
        }
        // The squares are two and three times as large as the face.
        let side = SIDE as f32 / if turn.is_multiple_of(2) { 2.0 } else { 3.0 };
        let corner = (SIDE as f32 - side) / 2.0;
        let bounds = Rect { x: corner, y: corner, width: side, height: side };
        Ok(vec![Face { bounds, ..face(0.0, self.again[turn % self.again.len()]) }])
    }
}

fn face(x: f32, score: f32) -> Face {
    Face { bounds: Rect { x, y: 0.0, width: 50.0, height: 50.0 }, score, keypoints: Default::default() }
}

fn pair(near: &[Face], far: &[Face], again: &[f32]) -> NearFar<Eye, Eye> {
    let eye = |faces: &[Face]| Eye { faces: faces.to_vec(), again: again.to_vec(), ..Eye::default() };
    NearFar::new(eye(near), eye(far))
}

fn look(pair: &mut NearFar<Eye, Eye>, times: u32) -> usize {
    let mut found = 0;
    for _ in 0..times {
        found = pair.detect(&RgbImage::new(8, 8)).unwrap().len();
    }
    found
}

#[test]
fn the_far_one_rests_while_the_near_one_sees_everybody() {
    let mut pair = pair(&[face(0.0, 0.9)], &[face(5.0, 0.9)], &[]);
    assert_eq!(look(&mut pair, 1), 1, "one face, not one of each");
    assert_eq!(look(&mut pair, LOOK_AGAIN), 1);
    assert_eq!((pair.near.looks, pair.far.looks), (1 + LOOK_AGAIN, 1));
    look(&mut pair, 1);
    assert_eq!((pair.far.looks, pair.near.second_looks), (2, 0));
}

#[test]
fn nobody_flickers_whom_only_the_far_one_sees() {
    let mut pair = pair(&[face(0.0, 0.9)], &[face(100.0, 0.9)], &[0.6, 0.7]);
    for _ in 0..30 {
        assert_eq!(look(&mut pair, 1), 2);
    }
    assert_eq!((pair.near.looks, pair.far.looks, pair.near.second_looks), (30, 30, 60));
}

#[test]
fn the_far_one_looks_on_after_a_miss() {
    let mut pair = pair(&[], &[face(100.0, 0.9)], &[0.9]);
    look(&mut pair, 1);
    pair.near.again.clear();
    assert_eq!(look(&mut pair, LOOK_ON), 0);
    assert_eq!(pair.far.looks, 1 + LOOK_ON);
    look(&mut pair, LOOK_AGAIN);
    assert_eq!(pair.far.looks, 1 + LOOK_ON, "then it rests");
}

#[test]
fn the_far_one_looks_at_once_when_somebody_goes_or_the_scene_is_another() {
    let mut pair = pair(&[face(0.0, 0.9)], &[face(0.0, 0.9)], &[0.9]);
    look(&mut pair, 3);
    pair.near.faces.clear();
    assert_eq!(look(&mut pair, 1), 1, "the far one still sees the face that the near one lost");
    pair.far.faces.clear();
    look(&mut pair, LOOK_ON + 1);
    let before = pair.far.looks;
    look(&mut pair, 1);
    assert_eq!(pair.far.looks, before, "it rests");
    pair.restart();
    look(&mut pair, 1);
    assert_eq!(pair.far.looks, before + 1);
}

#[test]
fn a_doubtful_face_is_one_if_both_second_looks_find_it_well_enough() {
    for (again, confirmed) in
        [(&[][..], false), (&[0.64], false), (&[0.66], true), (&[0.55, 0.8], true), (&[0.95, 0.3], false)]
    {
        let count = usize::from(confirmed);
        assert_eq!(look(&mut pair(&[], &[face(0.0, 0.95)], again), 1), count, "far: {again:?}");
        assert_eq!(look(&mut pair(&[face(0.0, SURE - 0.01)], &[], again), 1), count, "near: {again:?}");
    }
}

#[test]
fn two_who_agree_need_no_second_look() {
    for (near, far, looks) in [(0.62, 0.6, 0), (0.5, 0.75, 0), (0.5, 0.6, 1), (SURE, 0.5, 0)] {
        let mut pair = pair(&[face(0.0, near)], &[face(4.0, far)], &[]);
        assert_eq!(look(&mut pair, 1), 1 - looks, "{near} {far}");
        assert_eq!(pair.near.second_looks, looks, "{near} {far}");
    }
}

#[test]
fn both_look_at_every_picture_while_the_near_one_is_not_sure() {
    let mut pair = pair(&[face(0.0, 0.6)], &[face(0.0, 0.8)], &[]);
    assert_eq!(look(&mut pair, 20), 1);
    assert_eq!(pair.far.looks, 20);
}

#[test]
fn a_picture_without_pixels_confirms_nobody() {
    let mut pair = pair(&[], &[face(0.0, 0.9)], &[0.9]);
    assert!(pair.detect(&RgbImage::new(0, 0)).unwrap().is_empty());
}
