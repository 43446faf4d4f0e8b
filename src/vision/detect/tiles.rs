//! Faces at the far end of a large room: besides the whole picture, parts of it, enlarged.
//!
//! Scaled to the network's input, a picture of 1280 × 720 has a fifth of its width left, and a face of 30 pixels six: too
//! few. So parts of the picture, a little smaller than the input, are enlarged and shown to the same network, some with
//! every picture, so that each is looked at once in [`EVERY`] pictures; what was found there stays until then. The whole
//! picture is searched every time, and what is found in it counts more. Costs and recall: `models/emotiond-face.md`.

use image::RgbImage;

use super::{FaceDetector, Yunet, nms};
use crate::capture::frame::scale::Part;
use emotiond_core::geometry::{Face, Rect};

/// Pictures until each part has been looked at once more: 2 s at the default rate of 5 a second.
const EVERY: usize = 10;

/// Pixels that neighbours share at least, so that every face up to this size is whole in one of them.
const SHARED: u32 = 32;

/// Side of a part in fifths of the input's: of faces of 12 pixels parts as large as the input find 56 of 100, these 81.
const FIFTHS: u32 = 4;

/// A face that comes so close to an inner edge of its part, in pixels, is cut there: the neighbour has all of it.
const CUT: f32 = 2.0;

/// Faces that overlap by more than this (intersection over union) are one: whole picture and part place their boxes
/// somewhat differently, and between two looks at a part its faces move.
const SAME: f32 = 0.2;

/// A detector that looks at the whole picture and, in turns, at parts of it.
pub struct Tiles {
    detector: Yunet,
    /// The size of the pictures that `parts` are of.
    size: (u32, u32),
    parts: Vec<Part>,
    /// What was found in each part the last time.
    found: Vec<Vec<Face>>,
    /// The part whose turn it is.
    next: usize,
}

impl Tiles {
    /// All that there is of a picture with the first one, then in turns.
    #[must_use]
    pub fn new(detector: Yunet) -> Self {
        Self { detector, size: (0, 0), parts: Vec::new(), found: Vec::new(), next: 0 }
    }

    /// Looks at one part and remembers what is there.
    fn look(&mut self, picture: &RgbImage, index: usize) -> anyhow::Result<()> {
        let part = self.parts[index];
        self.found[index] = self.detector.detect_part(picture, part)?;
        self.found[index].retain(|face| !cut(&face.bounds, part, self.size));
        Ok(())
    }
}

impl FaceDetector for Tiles {
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>> {
        let mut faces = self.detector.detect(picture)?;
        let mut turns = self.parts.len().div_ceil(EVERY);
        if self.size != picture.dimensions() {
            let input = &self.detector.manifest().input;
            self.size = picture.dimensions();
            self.parts = parts(self.size, (input.width * FIFTHS / 5, input.height * FIFTHS / 5));
            self.found = vec![Vec::new(); self.parts.len()];
            self.next = 0;
            // Nothing is known yet: all of it at once.
            turns = self.parts.len();
        }
        for _ in 0..turns {
            self.look(picture, self.next)?;
            self.next = (self.next + 1) % self.parts.len();
        }
        // A face in two parts is one.
        let mut candidates = self.found.concat();
        let mut far = Vec::new();
        nms::merge(&mut candidates, SAME, &mut far);
        far.retain(|face| faces.iter().all(|near| near.bounds.iou(&face.bounds) <= SAME));
        faces.append(&mut far);
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(faces)
    }

    fn restart(&mut self) {
        self.size = (0, 0);
    }

    fn scrub(&mut self) {
        self.detector.scrub();
    }
}

/// Whether a face comes close to an edge of its part that is not the picture's.
fn cut(face: &Rect, (left, top, width, height): Part, (across, down): (u32, u32)) -> bool {
    let inner = |edge: u32, end: u32| edge > 0 && edge < end;
    (inner(left, across) && face.x < left as f32 + CUT)
        || (inner(top, down) && face.y < top as f32 + CUT)
        || (inner(left + width, across) && face.x + face.width > (left + width) as f32 - CUT)
        || (inner(top + height, down) && face.y + face.height > (top + height) as f32 - CUT)
}

/// Parts of a size that cover a picture, evenly spread; none if the picture is not larger.
fn parts((width, height): (u32, u32), part: (u32, u32)) -> Vec<Part> {
    if width <= part.0 && height <= part.1 {
        return Vec::new();
    }
    let spread = |side: u32, part: u32| {
        let part = part.min(side);
        let count = 1 + (side - part).div_ceil(part.saturating_sub(SHARED).max(1));
        (0..count).map(move |i| (i * (side - part) / (count - 1).max(1), part))
    };
    let rows = spread(height, part.1);
    rows.flat_map(|(top, tall)| spread(width, part.0).map(move |(left, wide)| (left, top, wide, tall)))
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_picture_of_720_lines_has_48_parts_and_a_small_one_none() {
        assert_eq!(parts((1280, 720), (204, 153)).len(), 48);
        assert_eq!(parts((640, 480), (204, 153)).len(), 16);
        assert!(parts((256, 192), (256, 192)).is_empty());
        assert_eq!(parts((300, 100), (256, 192)), [(0, 0, 256, 100), (44, 0, 256, 100)]);
    }

    proptest! {
        #[test]
        fn every_small_face_is_whole_in_a_part(
            size in (257u32..2000, 193u32..1200),
            (x, y) in (0f32..1.0, 0f32..1.0),
            side in 8f32..28.0,
        ) {
            let (width, height) = (size.0 as f32, size.1 as f32);
            let face = Rect { x: x * (width - side), y: y * (height - side), width: side, height: side };
            let whole = |part: &&Part| {
                let (left, top, wide, tall) = **part;
                face.x >= left as f32
                    && face.y >= top as f32
                    && face.x + side <= (left + wide) as f32
                    && face.y + side <= (top + tall) as f32
                    && !cut(&face, **part, size)
            };
            let parts = parts(size, (256, 192));
            prop_assert!(parts.iter().find(whole).is_some());
            let inside = |part: &Part| part.0 + part.2 <= size.0 && part.1 + part.3 <= size.1;
            prop_assert!(parts.iter().all(inside));
        }
    }
}
