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
