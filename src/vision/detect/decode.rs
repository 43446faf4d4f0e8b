//! From a detector's raw outputs to candidate faces.

use emotiond_core::geometry::{Face, Point, Rect};

/// Values a candidate has: centre, size, and six keypoints.
pub const VALUES: usize = 16;

/// How far from the input's corner a face may lie, in sides of the input. Networks that work stay within one or two;
/// numbers beyond are those of a damaged file, and would overflow the arithmetic of crops.
const REACH: f32 = 16.0;

/// What turns regressed values into input pixels.
#[derive(Clone, Debug)]
pub struct AnchorDecoder {
    /// Anchor centres in input pixels.
    anchors: Vec<Point>,
    /// Input pixels a regressed unit.
    unit: Point,
    /// What no coordinate of a face exceeds, in input pixels either way.
    reach: f32,
    score_clip: f32,
    /// The least score before the sigmoid.
    min_logit: f32,
}

impl AnchorDecoder {
    /// A decoder for anchors given as fractions of an input of `width` × `height` pixels.
    ///
    /// `scale` is what regressed values are divided by to become fractions of the input; scores are clipped to
    /// ± `score_clip` before the sigmoid and kept from `min_score` (0..1) on.
    #[must_use]
    pub fn new(
        anchors: Vec<Point>,
        (width, height): (u32, u32),
        scale: f32,
        score_clip: f32,
        min_score: f32,
    ) -> Self {
        let (width, height) = (width as f32, height as f32);
        let anchors = anchors.into_iter().map(|a| Point { x: a.x * width, y: a.y * height }).collect();
        let unit = Point { x: width / scale, y: height / scale };
        let reach = REACH * width.max(height);
        Self { anchors, unit, reach, score_clip, min_logit: (min_score / (1.0 - min_score)).ln() }
    }

    /// The number of anchors.
    #[must_use]
    pub fn len(&self) -> usize {
        self.anchors.len()
    }

    /// Whether there are no anchors.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.anchors.is_empty()
    }

    /// Appends the candidates in input pixels, with scores above the least one, in the order of the anchors.
    ///
    /// `boxes` holds [`VALUES`] numbers an anchor, `logits` one. Boxes that are empty, not finite, or absurdly far from
    /// the picture are left out.
    pub fn decode(&self, boxes: &[f32], logits: &[f32], candidates: &mut Vec<Face>) {
        let (boxes, _) = boxes.as_chunks::<VALUES>();
        for ((anchor, raw), &logit) in self.anchors.iter().zip(boxes).zip(logits) {
            // Comparing before the sigmoid spares it for the hundreds of anchors without a face; NaN fails it too.
            if logit.is_nan() || logit < self.min_logit {
                continue;
            }
            let at = |index: usize| Point {
                x: raw[index] * self.unit.x + anchor.x,
                y: raw[index + 1] * self.unit.y + anchor.y,
            };
            let center = at(0);
            let (width, height) = (raw[2] * self.unit.x, raw[3] * self.unit.y);
            let keypoints: [Point; 6] = std::array::from_fn(|k| at(4 + 2 * k));
            let far = |value: f32| value.is_nan() || value.abs() > self.reach;
            if !(width > 0.0 && height > 0.0)
                || far(width)
                || far(height)
                || keypoints.iter().chain([&center]).any(|point| far(point.x) || far(point.y))
            {
                continue;
            }
            let score = 1.0 / (1.0 + (-logit.clamp(-self.score_clip, self.score_clip)).exp());
            candidates.push(Face {
                bounds: Rect { x: center.x - width / 2.0, y: center.y - height / 2.0, width, height },
                score,
                keypoints,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoder() -> AnchorDecoder {
        AnchorDecoder::new(vec![Point { x: 0.25, y: 0.75 }; 3], (128, 128), 128.0, 100.0, 0.5)
    }

    fn raw() -> [f32; VALUES] {
        let mut raw = [0.0; VALUES];
        raw[..6].copy_from_slice(&[2.0, -4.0, 20.0, 10.0, 1.0, 3.0]);
        raw
    }

    #[test]
    fn values_are_relative_to_the_anchor() {
        let mut faces = Vec::new();
        decoder().decode(&raw(), &[0.0], &mut faces);
        assert_eq!(faces[0].bounds, Rect { x: 24.0, y: 87.0, width: 20.0, height: 10.0 });
        assert_eq!(faces[0].keypoints[0], Point { x: 33.0, y: 99.0 });
        assert_eq!(faces[0].keypoints[5], Point { x: 32.0, y: 96.0 });
        assert!((faces[0].score - 0.5).abs() < 1e-6);
    }

    #[test]
    fn scores_are_clipped_and_cut() {
        let mut faces = Vec::new();
        let raws = [raw(), raw(), raw()].concat();
        decoder().decode(&raws, &[1e30, -0.01, f32::NAN], &mut faces);
        assert_eq!(faces.len(), 1);
        assert!(faces[0].score <= 1.0 && faces[0].score > 0.999);
    }

    /// The last two were found by fuzzing: finite, but a crop of them overflowed.
    #[test]
    fn impossible_boxes_are_left_out() {
        let mut faces = Vec::new();
        for (index, value) in [(2, 0.0), (3, -1.0), (0, f32::INFINITY), (9, f32::NAN), (1, 3e3), (2, 1e30)] {
            let mut raw = raw();
            raw[index] = value;
            decoder().decode(&raw, &[5.0], &mut faces);
        }
        assert!(faces.is_empty(), "{faces:?}");
    }
}
