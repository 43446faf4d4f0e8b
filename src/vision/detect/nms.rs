//! Weighted non-maximum suppression: overlapping candidates become one face at their score-weighted mean.
//!
//! Averaging instead of picking the best one is what keeps a detector's boxes and keypoints from jittering between
//! video frames (Bazarevsky et al. 2019, section 3.3).

use emotiond_core::geometry::{Face, Point, Rect};

/// Merges candidates whose boxes overlap the best one's by more than `overlap` (intersection over union), and appends
/// the merged faces to `faces`, best first. A merged face has the best score among its candidates. Empties `candidates`.
pub fn merge(candidates: &mut Vec<Face>, overlap: f32, faces: &mut Vec<Face>) {
    // Stable, so that equal scores stay in the order of the cells and the result does not depend on the sort.
    candidates.sort_by(|a, b| b.score.total_cmp(&a.score));
    while let Some(best) = candidates.first().copied() {
        let mut mean = WeightedFace::default();
        candidates.retain(|candidate| {
            // The best one itself always goes, even with a box so thin that rounding makes its area zero.
            let same = candidate.bounds == best.bounds || candidate.bounds.iou(&best.bounds) > overlap;
            if same {
                mean.add(candidate);
            }
            !same
        });
        faces.push(mean.face(best.score));
    }
}

/// The score-weighted mean of boxes and keypoints.
#[derive(Default)]
struct WeightedFace {
    weight: f32,
    bounds: [f32; 4],
    keypoints: [Point; 6],
}

impl WeightedFace {
    fn add(&mut self, face: &Face) {
        let Rect { x, y, width, height } = face.bounds;
        self.weight += face.score;
        for (sum, value) in self.bounds.iter_mut().zip([x, y, width, height]) {
            *sum += value * face.score;
        }
        for (sum, point) in self.keypoints.iter_mut().zip(face.keypoints) {
            sum.x += point.x * face.score;
            sum.y += point.y * face.score;
        }
    }

    fn face(self, score: f32) -> Face {
        let [x, y, width, height] = self.bounds.map(|sum| sum / self.weight);
        let keypoints = self.keypoints.map(|p| Point { x: p.x / self.weight, y: p.y / self.weight });
        Face { bounds: Rect { x, y, width, height }, score, keypoints }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn face(x: f32, score: f32) -> Face {
        Face {
            bounds: Rect { x, y: 0.0, width: 10.0, height: 10.0 },
            score,
            keypoints: [Point { x, y: 0.0 }; 6],
        }
    }

    #[test]
    fn overlapping_candidates_become_their_weighted_mean() {
        let mut candidates = vec![face(1.0, 0.5), face(0.0, 0.75), face(30.0, 0.6)];
        let mut faces = Vec::new();
        merge(&mut candidates, 0.3, &mut faces);
        assert_eq!(faces.len(), 2);
        assert!((faces[0].bounds.x - 0.4).abs() < 1e-6 && (faces[0].score - 0.75).abs() < 1e-6);
        assert!((faces[0].keypoints[3].x - 0.4).abs() < 1e-6);
        assert!((faces[1].bounds.x - 30.0).abs() < 1e-4, "{:?}", faces[1]);
    }

    proptest! {
        #[test]
        fn every_face_stands_for_candidates_and_the_order_does_not_matter(
            places in prop::collection::vec((0f32..200.0, 0.5f32..1.0), 0..40),
        ) {
            let mut candidates: Vec<_> = places.iter().map(|(x, score)| face(*x, *score)).collect();
            let mut reversed: Vec<_> = candidates.iter().rev().copied().collect();
            let count = candidates.len();
            let (mut faces, mut others) = (Vec::new(), Vec::new());
            merge(&mut candidates, 0.3, &mut faces);
            merge(&mut reversed, 0.3, &mut others);
            prop_assert!(candidates.is_empty());
            prop_assert_eq!(faces.is_empty(), count == 0);
            prop_assert_eq!(faces.len(), others.len());
            prop_assert!(faces.is_sorted_by(|a, b| a.score >= b.score));
            for face in &faces {
                prop_assert!(places.iter().any(|(_, score)| *score == face.score));
            }
        }
    }
}
