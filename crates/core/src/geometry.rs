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

/// A face by its landmarks, whatever box a detector draws around it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FaceFrame {
    /// Half way between the eyes and the mouth.
    pub center: Point,
    /// Pixels from between the eyes to the mouth, of the face as it would be seen from the front; above 0 if the box is
    /// not empty.
    pub unit: f32,
    /// Radians from the picture's x axis to the face's, clockwise as seen.
    pub angle: f32,
}

/// How far each eye of an average face is from the middle, in units of [`FaceFrame::unit`].
///
/// The median over those of 27,583 faces of `ExpW` that look ahead, as `emotiond-face` sees them; so are the next two.
const HALF_EYES: f32 = 0.466;

/// The unit of an average face, in longer sides of its box.
const UNIT_OF_BOX: f32 = 0.355;

/// How far the frame's centre lies below the box's, in longer sides of the box.
const CENTER_OF_BOX: f32 = 0.057;

/// The least and greatest unit of landmarks that make sense, in longer sides of the box. Of those faces 99.8 % have 0.28
/// to 0.46.
const SENSIBLE: [f32; 2] = [0.2, 0.6];

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

    /// Where the face is, how large, and how it is turned: the similarity that its eyes and its mouth say.
    ///
    /// The angle is that of least squares over the three landmarks. The unit is the larger of what the distance of the
    /// eyes and that of eyes and mouth say: a head that turns aside or nods shortens one of them and keeps the other.
    /// The mouth counts by its middle, because a smile makes it wider. Landmarks that make no sense are answered with an
    /// average face in the box, upright.
    #[must_use]
    pub fn frame(&self) -> FaceFrame {
        let [right, left, _, mouth, ..] = self.keypoints;
        let (across, along) = (left.x - right.x, left.y - right.y);
        let eyes = Point { x: (left.x + right.x) / 2.0, y: (left.y + right.y) / 2.0 };
        let (side, down) = (mouth.x - eyes.x, mouth.y - eyes.y);
        // The sum of the landmarks times the conjugate of an average face, whose eyes are at (±HALF_EYES, -1/3) and
        // whose mouth is at (0, 2/3).
        let x = HALF_EYES * across + down * 2.0 / 3.0;
        let y = HALF_EYES * along - side * 2.0 / 3.0;
        let length = libm::sqrtf(x * x + y * y);
        let longer = self.bounds.width.max(self.bounds.height);
        if length > 0.0 {
            let (cos, sin) = (x / length, y / length);
            let by_eyes = (across * cos + along * sin) / (HALF_EYES * 2.0);
            let unit = by_eyes.max(down * cos - side * sin);
            let [least, most] = SENSIBLE.map(|share| share * longer);
            if (least..=most).contains(&unit) {
                let center = Point { x: (eyes.x + mouth.x) / 2.0, y: (eyes.y + mouth.y) / 2.0 };
                return FaceFrame { center, unit, angle: libm::atan2f(y, x) };
            }
        }
        let Point { x, y } = self.bounds.center();
        let center = Point { x, y: y + CENTER_OF_BOX * longer };
        FaceFrame { center, unit: UNIT_OF_BOX * longer, angle: 0.0 }
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
    fn landmarks_without_sense_are_an_average_face_in_the_box() {
        let bounds = Rect { x: 100.0, y: 50.0, width: 80.0, height: 100.0 };
        let face = head(0.0, 0.0, 35.5);
        for keypoints in [[Point::default(); 6], face.keypoints.map(|p| Point { x: 3.0 * p.x, y: 3.0 * p.y })]
        {
            let frame = Face { bounds, score: 1.0, keypoints }.frame();
            assert_eq!(frame, FaceFrame { center: Point { x: 140.0, y: 105.7 }, unit: 35.5, angle: 0.0 });
        }
        assert!((Face { bounds, ..face }.frame().center.y - 217.75).abs() < 1e-3);
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
        fn a_frame_turns_with_the_face_and_keeps_its_size_when_the_head_turns(
            yaw in -60f32..60.0, roll in -170f32..170.0, size in 5f32..300.0,
        ) {
            let side = size / UNIT_OF_BOX;
            let bounds = Rect { x: 0.0, y: 0.0, width: side, height: side };
            let ahead = Face { bounds, ..head(0.0, roll, size) }.frame();
            prop_assert!((ahead.angle.to_degrees() - roll).abs() < 0.1);
            let turned = Face { bounds, ..head(yaw, roll, size) }.frame();
            prop_assert!((turned.unit / ahead.unit - 1.0).abs() < 0.1, "{} {}", turned.unit, ahead.unit);
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
