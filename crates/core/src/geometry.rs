//! Points, boxes and faces in image coordinates: pixels, origin at the top left corner, x right, y down.

/// A point in pixels.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Point {
    /// Pixels from the left edge.
    pub x: f32,
    /// Pixels from the top edge.
    pub y: f32,
}

/// An axis-parallel box in pixels; may reach over the edge of the image.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left edge.
    pub x: f32,
    /// Top edge.
    pub y: f32,
    /// Width, not negative.
    pub width: f32,
    /// Height, not negative.
    pub height: f32,
}

impl Rect {
    /// Intersection over union with another box, in 0..=1; 0 where both are empty.
    #[must_use]
    pub fn iou(&self, other: &Self) -> f32 {
        let width = (self.x + self.width).min(other.x + other.width) - self.x.max(other.x);
        let height = (self.y + self.height).min(other.y + other.height) - self.y.max(other.y);
        if width <= 0.0 || height <= 0.0 {
            return 0.0;
        }
        let intersection = width * height;
        let union = self.width * self.height + other.width * other.height - intersection;
        if union > 0.0 { intersection / union } else { 0.0 }
    }

    /// The centre of the box.
    #[must_use]
    pub fn center(&self) -> Point {
        Point { x: self.x + self.width / 2.0, y: self.y + self.height / 2.0 }
    }
}

/// A detected face.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Face {
    /// The detector's box.
    pub bounds: Rect,
    /// The detector's confidence, 0..=1.
    pub score: f32,
    /// The subject's right eye, left eye, nose tip, centre of the mouth, right and left corner of the mouth.
    pub keypoints: [Point; 6],
}

/// Degrees of yaw up to which a head counts as turned towards the camera.
pub(crate) const FACING: f32 = 25.0;

/// Degrees of yaw beyond which half of a face is hidden and its expression cannot be read.
pub(crate) const TURNED: f32 = 55.0;

/// Distance of the nose tip from the plane of the eyes, in units of the distance between the eyes.
///
/// Chosen among 0.6..=0.9 by the yaw that `MediaPipe`'s face mesh gives for 225 faces of whole scenes. On 225 others, 62
/// of them beyond [`FACING`], the mean difference from the face mesh is then 3.6 degrees, and the two agree on [`FACING`]
/// for 94 %. Only 4 of those are beyond [`TURNED`], too few to say how well that threshold is met.
const NOSE_DEPTH: f32 = 0.75;

impl Face {
    /// The angle of the line from the right to the left eye against the picture's x axis, in radians; positive where
    /// the subject's left eye (on the right of the picture) is lower.
    #[must_use]
    pub fn roll(&self) -> f32 {
        let [right, left, ..] = self.keypoints;
        libm::atan2f(left.y - right.y, left.x - right.x)
    }

    /// An estimate of the head's yaw in degrees: 0 looks into the camera, positive towards the picture's right.
    ///
    /// Eyes `2a` apart and a nose tip `d` before their plane, turned by yaw under a distant camera, appear `2a·cos(yaw)`
    /// apart with the nose `d·sin(yaw)` beside their middle. The ratio of what is seen gives the tangent.
    #[must_use]
    pub(crate) fn yaw(&self) -> f32 {
        let [right, left, nose, ..] = self.keypoints;
        let (across, down) = (left.x - right.x, left.y - right.y);
        let distance = libm::hypotf(across, down);
        if distance <= f32::EPSILON {
            return 90.0;
        }
        let (x, y) = (nose.x - (left.x + right.x) / 2.0, nose.y - (left.y + right.y) / 2.0);
        let beside = (x * across + y * down) / distance;
        libm::atanf(beside / distance / NOSE_DEPTH).to_degrees()
    }

    /// Whether the head is turned towards the camera. A proxy for attention, not for gaze.
    #[must_use]
    pub fn facing(&self) -> bool {
        self.yaw().abs() <= FACING
    }

    /// Whether the head is turned so far away that its expression cannot be read.
    #[must_use]
    pub fn turned(&self) -> bool {
        self.yaw().abs() > TURNED
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A head whose keypoints stand in space as the model of [`Face::yaw`] says, turned and seen from afar.
    fn head(yaw: f32, roll: f32, size: f32) -> Face {
        let (sin, cos) = yaw.to_radians().sin_cos();
        let (roll_sin, roll_cos) = roll.to_radians().sin_cos();
        let seen = |x: f32, y: f32, depth: f32| {
            let (x, y) = (size * (x * cos + depth * sin), size * y);
            Point { x: 300.0 + x * roll_cos - y * roll_sin, y: 200.0 + x * roll_sin + y * roll_cos }
        };
        let keypoints = [
            seen(-0.5, 0.0, 0.0),
            seen(0.5, 0.0, 0.0),
            seen(0.0, 0.6, NOSE_DEPTH),
            seen(0.0, 1.0, 0.4),
            seen(-1.1, 0.2, -1.0),
            seen(1.1, 0.2, -1.0),
        ];
        Face { bounds: Rect::default(), score: 1.0, keypoints }
    }

    #[test]
    fn thresholds_stand_where_they_are_documented() {
        for (yaw, facing, turned) in [
            (0.0, true, false),
            (24.0, true, false),
            (27.0, false, false),
            (53.0, false, false),
            (58.0, false, true),
            (85.0, false, true),
        ] {
            for yaw in [yaw, -yaw] {
                let face = head(yaw, 10.0, 60.0);
                assert_eq!((face.facing(), face.turned()), (facing, turned), "{yaw}: {}", face.yaw());
            }
        }
    }

    #[test]
    fn eyes_in_one_place_are_a_profile() {
        let face = Face { bounds: Rect::default(), score: 1.0, keypoints: [Point { x: 5.0, y: 5.0 }; 6] };
        assert!(face.turned() && !face.facing());
    }

    proptest! {
        #[test]
        fn yaw_does_not_depend_on_roll_or_size(yaw in -80f32..80.0, roll in -60f32..60.0, size in 5f32..300.0) {
            let face = head(yaw, roll, size);
            prop_assert!((face.yaw() - yaw).abs() < 0.5, "{}", face.yaw());
            prop_assert!((face.roll().to_degrees() - roll).abs() < 0.5);
        }

        #[test]
        fn overlap_is_symmetric_and_bounded(a in prop::array::uniform4(0f32..50.0), b in prop::array::uniform4(0f32..50.0)) {
            let rect = |[x, y, width, height]: [f32; 4]| Rect { x, y, width, height };
            let (a, b) = (rect(a), rect(b));
            prop_assert!((a.iou(&b) - b.iou(&a)).abs() < 1e-6);
            prop_assert!((0.0..=1.0001).contains(&a.iou(&b)));
        }
    }
}
