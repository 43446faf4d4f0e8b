//! Two detectors for the price of the cheaper one, most of the time.
//!
//! The near one is cheap and sees faces that fill the picture; the far one is dear and sees small faces. Both look at
//! the first picture. As long as the far one finds nobody whom the near one missed, the near one goes on alone, and the
//! far one looks again every [`LOOK_AGAIN`] pictures, or at once when somebody comes or goes. While there are faces
//! that only the far one sees, both look at every picture, so that nobody flickers. Measured in
//! `docs/decisions/0001-face-detector.md`.

use image::RgbImage;

use super::FaceDetector;
use crate::geometry::Face;

/// Pictures after which the far detector looks again: 2 s at the default rate of 5 a second.
const LOOK_AGAIN: u32 = 10;

/// Faces of the two detectors that overlap by more than this (intersection over union) are one.
///
/// Lower than within one detector: the two were trained on boxes of somewhat different size.
const SAME_FACE: f32 = 0.2;

/// A near and a far detector in turns.
#[derive(Debug)]
pub struct NearFar<N, F> {
    near: N,
    far: F,
    /// Pictures until the far one looks again; 0: now.
    rest: u32,
    /// How many faces the near one found last.
    found: usize,
    used_far: bool,
}

impl<N: FaceDetector, F: FaceDetector> NearFar<N, F> {
    /// A pair that looks with both at the first picture.
    #[must_use]
    pub fn new(near: N, far: F) -> Self {
        Self { near, far, rest: 0, found: 0, used_far: false }
    }
}

impl<N: FaceDetector, F: FaceDetector> FaceDetector for NearFar<N, F> {
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>> {
        let near = self.near.detect(picture)?;
        let changed = std::mem::replace(&mut self.found, near.len()) != near.len();
        self.used_far = changed || self.rest == 0;
        if !self.used_far {
            self.rest -= 1;
            return Ok(near);
        }
        let mut faces = self.far.detect(picture)?;
        let only_far = faces.iter().any(|face| !known(face, &near));
        self.rest = if only_far { 0 } else { LOOK_AGAIN };
        // The far one has the finer grid, so its keypoints are kept where both see a face.
        let missed: Vec<_> = near.into_iter().filter(|face| !known(face, &faces)).collect();
        faces.extend(missed);
        faces.sort_by(|a, b| b.score.total_cmp(&a.score));
        Ok(faces)
    }

    fn restart(&mut self) {
        self.rest = 0;
        self.near.restart();
        self.far.restart();
    }

    fn networks(&self) -> Vec<String> {
        self.near.networks().into_iter().chain(self.far.networks()).collect()
    }

    fn networks_used(&self) -> Vec<usize> {
        let near = self.near.networks_used();
        if !self.used_far {
            return near;
        }
        let first = self.near.networks().len();
        near.into_iter().chain(self.far.networks_used().into_iter().map(|index| first + index)).collect()
    }
}

fn known(face: &Face, faces: &[Face]) -> bool {
    faces.iter().any(|other| other.bounds.iou(&face.bounds) > SAME_FACE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;

    /// Sees the faces it is given; counts how often it looks.
    #[derive(Default)]
    struct Eye {
        faces: Vec<Face>,
        looks: u32,
    }

    impl FaceDetector for Eye {
        fn detect(&mut self, _: &RgbImage) -> anyhow::Result<Vec<Face>> {
            self.looks += 1;
            Ok(self.faces.clone())
        }

        fn networks(&self) -> Vec<String> {
            vec!["eye".to_owned()]
        }

        fn networks_used(&self) -> Vec<usize> {
            vec![0]
        }
    }

    fn face(x: f32) -> Face {
        Face {
            bounds: Rect { x, y: 0.0, width: 50.0, height: 50.0 },
            score: 0.9,
            keypoints: Default::default(),
        }
    }

    fn pair(near: &[Face], far: &[Face]) -> NearFar<Eye, Eye> {
        let eye = |faces: &[Face]| Eye { faces: faces.to_vec(), looks: 0 };
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
        let mut pair = pair(&[face(0.0)], &[face(5.0)]);
        assert_eq!(look(&mut pair, 1), 1, "one face, not one of each");
        assert_eq!(pair.networks_used(), [0, 1]);
        assert_eq!(look(&mut pair, LOOK_AGAIN), 1);
        assert_eq!((pair.far.looks, pair.networks_used()), (1, vec![0]));
        look(&mut pair, 1);
        assert_eq!(pair.far.looks, 2);
    }

    #[test]
    fn nobody_flickers_whom_only_the_far_one_sees() {
        let mut pair = pair(&[face(0.0)], &[face(100.0)]);
        for _ in 0..30 {
            assert_eq!(look(&mut pair, 1), 2);
        }
        assert_eq!(pair.far.looks, 30);
    }

    #[test]
    fn the_far_one_looks_at_once_when_somebody_goes_or_the_scene_is_another() {
        let mut pair = pair(&[face(0.0)], &[face(0.0)]);
        look(&mut pair, 3);
        pair.near.faces.clear();
        assert_eq!(look(&mut pair, 1), 1, "the far one still sees the face that the near one lost");
        pair.far.faces.clear();
        look(&mut pair, 2);
        let before = pair.far.looks;
        pair.restart();
        look(&mut pair, 1);
        assert_eq!(pair.far.looks, before + 1);
    }
}
