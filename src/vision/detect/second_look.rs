//! A second look at a doubtful face, by the near detector on two squares around it.
//!
//! On a whole picture a small face is a few pixels of a detector's input, and so is much that is none: letters, clouds,
//! folds of cloth. Cut out and enlarged, a face fills the input as the near detector likes it, with much or little around
//! it alike; what only resembled one seldom does so twice. Measured in `docs/decisions/0001-face-detector.md`.

use image::RgbImage;
use zeroize::Zeroize as _;

use super::FaceDetector;
use crate::capture::frame::warp::{Cropper, Square};
use emotiond_core::geometry::{Face, Rect};

/// Pixels of a side of the squares: what the near detector's network takes.
pub(super) const SIDE: u32 = 128;

/// Sides of the two squares, in sides of the face.
const SQUARES: [f32; 2] = [2.0, 3.0];

/// The near detector has found the face again if its box overlaps by more than this (intersection over union).
const AGAIN: f32 = 0.4;

/// The least mean score of the two looks. Either has to find the face, by the near detector's own least score.
const CONFIRMED: f32 = 0.65;

/// Looks again; keeps its buffers.
#[derive(Debug)]
pub(super) struct SecondLook {
    cropper: Cropper,
    square: RgbImage,
}

impl Default for SecondLook {
    fn default() -> Self {
        Self { cropper: Cropper::default(), square: RgbImage::new(SIDE, SIDE) }
    }
}

impl SecondLook {
    /// Whether `near` finds a face of a picture again.
    pub fn confirms(
        &mut self,
        near: &mut impl FaceDetector,
        picture: &RgbImage,
        face: &Face,
    ) -> anyhow::Result<bool> {
        if picture.is_empty() {
            return Ok(false);
        }
        let Rect { width, height, .. } = face.bounds;
        let mut sum = 0.0;
        for scale in SQUARES {
            let side = scale * width.max(height);
            let square = Square { center: face.bounds.center(), side, angle: 0.0 };
            self.cropper.crop(picture, &square, SIDE, SIDE, &mut self.square);
            let found = near.detect(&self.square);
            self.square.as_mut().zeroize();
            let found = found?;
            let expected = in_the_middle(width / side, height / side);
            let again = found.iter().filter(|found| found.bounds.iou(&expected) > AGAIN);
            let Some(score) = again.map(|found| found.score).max_by(f32::total_cmp) else {
                return Ok(false);
            };
            sum += score;
        }
        Ok(sum / SQUARES.len() as f32 >= CONFIRMED)
    }
}

/// Where in its square a face must be, of a size given in sides of the square.
fn in_the_middle(width: f32, height: f32) -> Rect {
    let side = SIDE as f32;
    Rect {
        x: side * (1.0 - width) / 2.0,
        y: side * (1.0 - height) / 2.0,
        width: side * width,
        height: side * height,
    }
}
