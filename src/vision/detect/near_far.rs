//! Two detectors for the price of the cheaper one, most of the time.
//!
//! The near one is cheap and sees faces that fill the picture; the far one is dear and sees small faces. Both look at
//! the first picture. As long as the near one is sure of its faces and the far one finds nobody whom it missed, the near
//! one goes on alone, and the far one looks again every [`LOOK_AGAIN`] pictures, or at once when somebody comes or goes.
//! While there are faces that only the far one sees, or that the near one is not sure of, both look at every picture, so
//! that nobody flickers.
//!
//! Neither is believed in everything: a face of which the near one is not sure, and on which the two do not agree, has
//! to pass a [`SecondLook`]. Measured in `docs/decisions/0001-face-detector.md`.

use image::RgbImage;

use super::FaceDetector;
use super::second_look::SecondLook;
use emotiond_core::geometry::Face;

/// Pictures after which the far detector looks again: 2 s at the default rate of 5 a second.
const LOOK_AGAIN: u32 = 10;

/// Pictures for which the far detector looks on after a face that only it saw: a miss or two does not end a track.
const LOOK_ON: u32 = 5;

/// Faces of the two detectors that overlap by more than this (intersection over union) are one.
///
/// Lower than within one detector: the two were trained on boxes of somewhat different size.
const SAME_FACE: f32 = 0.2;

/// The score from which the near detector is believed without more ado.
const SURE: f32 = 0.65;

/// The mean score from which a face that both detectors see needs no second look.
const AGREED: f32 = 0.6;

/// A near and a far detector in turns.
#[derive(Debug)]
pub struct NearFar<N, F> {
    near: N,
    far: F,
    second_look: SecondLook,
    /// Pictures until the far one looks again; 0: now.
    rest: u32,
    /// Pictures for which it looks on.
    look_on: u32,
    /// How many faces the near one found last.
    found: usize,
}

impl<N: FaceDetector, F: FaceDetector> NearFar<N, F> {
    /// A pair that looks with both at the first picture.
    #[must_use]
    pub fn new(near: N, far: F) -> Self {
        let second_look = SecondLook::default();
        Self { near, far, second_look, rest: 0, look_on: 0, found: 0 }
    }

    fn confirmed(&mut self, picture: &RgbImage, face: &Face) -> anyhow::Result<bool> {
        self.second_look.confirms(&mut self.near, picture, face)
    }
}

impl<N: FaceDetector, F: FaceDetector> FaceDetector for NearFar<N, F> {
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>> {
        let near = self.near.detect(picture)?;
        let changed = std::mem::replace(&mut self.found, near.len()) != near.len();
        let sure = near.iter().all(|face| face.score >= SURE);
        if sure && !changed && self.rest > 0 {
            self.rest -= 1;
            return Ok(near);
        }
        let far = self.far.detect(picture)?;

        let mut faces = Vec::with_capacity(near.len() + far.len());
        let mut only_far = false;
        // The far one has the finer grid, so its keypoints are kept where both see a face.
        for face in &far {
            let twin =
                near.iter().filter(|other| same(face, other)).max_by(|a, b| a.score.total_cmp(&b.score));
            let believed = twin
                .is_some_and(|twin| twin.score >= SURE || f32::midpoint(twin.score, face.score) >= AGREED);
            if believed || self.confirmed(picture, twin.unwrap_or(face))? {
                only_far |= twin.is_none();
                faces.push(*face);
            }
        }
        for face in near.iter().filter(|face| !far.iter().any(|other| same(face, other))) {
            if face.score >= SURE || self.confirmed(picture, face)? {
                faces.push(*face);
            }
        }
        self.look_on = if only_far { LOOK_ON } else { self.look_on.saturating_sub(1) };
        self.rest = if self.look_on > 0 { 0 } else { LOOK_AGAIN };
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(faces)
    }

    fn restart(&mut self) {
        self.rest = 0;
        self.look_on = 0;
        self.near.restart();
        self.far.restart();
    }

    fn scrub(&mut self) {
        self.near.scrub();
        self.far.scrub();
    }
}

fn same(face: &Face, other: &Face) -> bool {
    other.bounds.iou(&face.bounds) > SAME_FACE
}

#[cfg(test)]
#[path = "near_far_tests.rs"]
mod tests;
