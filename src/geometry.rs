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
    /// `BlazeFace`'s keypoints: the subject's right eye, left eye, nose tip, mouth centre, right and left ear tragion.
    pub keypoints: [Point; 6],
}

/// Degrees of yaw up to which a head counts as turned towards the camera.
pub const FACING: f32 = 25.0;

/// Degrees of yaw beyond which half of a face is hidden and its expression cannot be read.
pub const TURNED: f32 = 55.0;

/// Distance of the nose tip from the plane of the eyes, in units of the distance between the eyes.
const NOSE_DEPTH: f32 = 0.6;

impl Face {
    /// The angle of the line from the right to the left eye against the picture's x axis, in radians; positive where
    /// the subject's left eye (on the right of the picture) is lower.
    #[must_use]
    pub fn roll(&self) -> f32 {
        let [right, left, ..] = self.keypoints;
        (left.y - right.y).atan2(left.x - right.x)
    }

    /// An estimate of the head's yaw in degrees: 0 looks into the camera, positive towards the picture's right.
    ///
    /// Eyes `2a` apart and a nose tip `d` before their plane, turned by yaw under a distant camera, appear `2a·cos(yaw)`
    /// apart with the nose `d·sin(yaw)` beside their middle. The ratio of what is seen gives the tangent.
    #[must_use]
    pub fn yaw(&self) -> f32 {
        let [right, left, nose, ..] = self.keypoints;
        let (across, down) = (left.x - right.x, left.y - right.y);
        let distance = across.hypot(down);
        if distance <= f32::EPSILON {
            return 90.0;
        }
        let (x, y) = (nose.x - (left.x + right.x) / 2.0, nose.y - (left.y + right.y) / 2.0);
        let beside = (x * across + y * down) / distance;
        (beside / distance / NOSE_DEPTH).atan().to_degrees()
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
