//! What is around a face, once more: to make sure of a new one, and in place of the whole picture while it stays.
//!
//! A part of the picture around a face is shown to the same network at a fifth of its input, and so for a fifth of the
//! cost, and most faces are larger there. A face that was not there before counts only if its part shows one too: rings
//! and letters beside a face do not. And for half a second after a search nothing but the parts around the faces is looked
//! at. A face that its part no longer shows has the whole picture searched at once, and so have crowds, whose parts would
//! cost as much. Figures: `docs/decisions/0019-a-closer-look.md`.

use std::time::Duration;

use image::RgbImage;

use super::{FaceDetector, Yunet, nms};
use crate::capture::frame::scale::Part;
use emotiond_core::Moment;
use emotiond_core::geometry::{Face, Rect};

/// The first picture that is taken this long after the last search is searched: who comes in is seen that much later at
/// most.
const SEARCH: Duration = Duration::from_millis(500);

/// With more faces than this, their parts would cost about as much as the whole picture.
const FEW: usize = 3;

/// Side of a part in longer sides of its face: room for one that moves by half of its size until the next picture.
const AROUND: f32 = 2.2;

/// Faces that overlap by more than this (intersection over union) are one: in two pictures, or in a picture and its part.
const SAME: f32 = 0.2;

/// A detector of whole pictures, and one of parts of them.
pub struct FollowingDetector {
    whole: Yunet,
    part: Yunet,
    /// When the whole picture was searched last, and its size; `None` before the first of a stream.
    searched: Option<(Moment, (u32, u32))>,
    /// What the last picture showed.
    faces: Vec<Face>,
}

impl FollowingDetector {
    /// A detector that has seen nothing.
    #[must_use]
    pub fn new(whole: Yunet, part: Yunet) -> Self {
        Self { whole, part, searched: None, faces: Vec::new() }
    }

    /// What the parts around the last faces show; `None` if one of these is gone, or two have become one.
    fn look_around(&mut self, picture: &RgbImage) -> anyhow::Result<Option<Vec<Face>>> {
        let mut found = Vec::with_capacity(self.faces.len());
        for face in &self.faces {
            match closer(&mut self.part, picture, face)? {
                Some(face) => found.push(face),
                None => return Ok(None),
            }
        }
        let mut faces = Vec::with_capacity(found.len());
        nms::merge(&mut found, SAME, &mut faces);
        Ok(Some(faces).filter(|faces| faces.len() == self.faces.len()))
    }
}

impl FaceDetector for FollowingDetector {
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>> {
        let mut sure = Vec::new();
        for face in self.whole.detect(picture)? {
            let known = self.faces.iter().any(|known| known.bounds.iou(&face.bounds) > SAME);
            if known || closer(&mut self.part, picture, &face)?.is_some() {
                sure.push(face);
            }
        }
        Ok(sure)
    }

    fn follow(&mut self, at: Moment, picture: &RgbImage) -> anyhow::Result<Vec<Face>> {
        let size = picture.dimensions();
        if self.searched.is_some_and(|(_, of)| of != size) {
            self.restart();
        }
        let fresh = self.searched.is_some_and(|(then, _)| at >= then && at - then < SEARCH);
        let few = (1..=FEW).contains(&self.faces.len());
        let faces = if fresh && few { self.look_around(picture)? } else { None };
        self.faces = match faces {
            Some(faces) => faces,
            None => {
                self.searched = Some((at, size));
                self.detect(picture)?
            }
        };
        Ok(self.faces.clone())
    }

    fn restart(&mut self) {
        self.searched = None;
        self.faces.clear();
    }

    fn scrub(&mut self) {
        self.whole.scrub();
        self.part.scrub();
    }
}

/// The face in the part of the picture around `face` that lies where that lies, if there is one.
fn closer(part: &mut Yunet, picture: &RgbImage, face: &Face) -> anyhow::Result<Option<Face>> {
    let found = part.detect_part(picture, around(&face.bounds, picture.dimensions()))?.into_iter();
    let found =
        found.map(|found| (found.bounds.iou(&face.bounds), found)).filter(|(overlap, _)| *overlap > SAME);
    Ok(found.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, found)| found))
}

/// A square around a face; where it reaches out of the picture it is moved inside, and it is no larger than the picture.
fn around(face: &Rect, (across, down): (u32, u32)) -> Part {
    let side = face.width.max(face.height) * AROUND;
    let center = face.center();
    let place = |middle: f32, limit: u32| {
        let length = (side.round() as u32).clamp(1, limit);
        let start = (middle - length as f32 / 2.0).round().max(0.0) as u32;
        (start.min(limit - length), length)
    };
    let ((left, width), (top, height)) = (place(center.x, across), place(center.y, down));
    (left, top, width, height)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_part_lies_in_the_picture_and_has_the_face_in_it_where_it_may_go_by_then(
            size in (100u32..2000, 100u32..1200),
            (x, y) in (0f32..1.0, 0f32..1.0),
            (width, height) in (8f32..90.0, 8f32..90.0),
            (right, down) in (-0.5f32..0.5, -0.5f32..0.5),
        ) {
            let face = Rect { x: x * (size.0 as f32 - width), y: y * (size.1 as f32 - height), width, height };
            let part = around(&face, size);
            let (left, top, wide, tall) = part;
            prop_assert!(wide > 0 && tall > 0 && left + wide <= size.0 && top + tall <= size.1);
            let longer = width.max(height);
            let moved = Rect {
                x: (face.x + right * longer).clamp(0.0, size.0 as f32 - width),
                y: (face.y + down * longer).clamp(0.0, size.1 as f32 - height),
                ..face
            };
            let inside = |start: f32, length: f32, from: u32, span: u32| {
                start > from as f32 - 1.0 && start + length < (from + span) as f32 + 1.0
            };
            prop_assert!(inside(moved.x, width, left, wide) && inside(moved.y, height, top, tall), "{part:?}");
        }

        #[test]
        fn whatever_a_detector_says_a_part_can_be_cut(
            (x, y) in (-1e9f32..1e9, -1e9f32..1e9),
            (width, height) in (0f32..1e9, 0f32..1e9),
            size in (1u32..3000, 1u32..3000),
        ) {
            let (left, top, wide, tall) = around(&Rect { x, y, width, height }, size);
            prop_assert!(wide > 0 && tall > 0 && left + wide <= size.0 && top + tall <= size.1);
        }
    }
}
