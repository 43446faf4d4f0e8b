//! An anchor-free detector (Wu, Peng, Yu: `YuNet`, Machine Intelligence Research 2023): each cell of each level says
//! whether a face is centred near it, and where.

use anyhow::Context as _;
use image::RgbImage;

use super::{FaceDetector, nms};
use crate::capture::frame::scale::Part;
use crate::capture::frame::warp::Letterbox;
use crate::inference::manifest::{Manifest, YunetDetector};
use crate::inference::{ModelError, Network};
use emotiond_core::geometry::{Face, Point, Rect};

/// Numbers a cell: the logits of class and objectness, the box, five points.
const VALUES: usize = 16;
/// Beyond this a box is larger than any picture or smaller than any face, and its exponential might overflow.
const LARGEST_LOG: f32 = 8.0;
/// A point further away, in strides, lies outside of any picture.
const FARTHEST: f32 = 1000.0;

/// The cells of one level.
#[derive(Clone, Copy, Debug)]
struct CellGrid {
    output: usize,
    stride: u32,
    columns: usize,
}

/// A network with a `YuNet` head.
pub struct Yunet {
    network: Network,
    levels: Vec<CellGrid>,
    min_score: f32,
    overlap: f32,
    letterbox: Letterbox,
    raw: Vec<f32>,
    candidates: Vec<Face>,
}

impl Yunet {
    /// Loads the network that a manifest describes; `detector` is the manifest's table of that name.
    ///
    /// # Errors
    /// If the model file does not fit the manifest.
    pub fn load(manifest: Manifest, detector: &YunetDetector) -> Result<Self, ModelError> {
        let (width, height) = (manifest.input.width, manifest.input.height);
        let network = Network::load(manifest)?;
        let mut levels = Vec::new();
        for (&stride, output) in detector.strides.iter().zip(&detector.outputs) {
            let index = network.find_output(output)?;
            let (columns, rows) = ((width / stride) as usize, (height / stride) as usize);
            let (expected, found) = (columns * rows * VALUES, network.outputs()[index].len());
            if found != expected {
                return Err(network.mismatch(
                    &format!("number of values in the output {:?}", network.outputs()[index].name),
                    &format!("{columns} × {rows} cells × {VALUES} = {expected}"),
                    &found.to_string(),
                ));
            }
            levels.push(CellGrid { output: index, stride, columns });
        }
        Ok(Self {
            network,
            levels,
            min_score: detector.min_score,
            overlap: detector.overlap,
            letterbox: Letterbox::new(width, height),
            raw: Vec::new(),
            candidates: Vec::new(),
        })
    }

    /// The manifest it was loaded by.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.network.manifest()
    }
}

impl Yunet {
    /// The faces in a part of a picture, in the picture's pixels.
    ///
    /// # Errors
    /// If the network cannot be run.
    ///
    /// # Panics
    /// If the part reaches out of the picture.
    pub(super) fn detect_part(&mut self, picture: &RgbImage, part: Part) -> anyhow::Result<Vec<Face>> {
        let fit = self.letterbox.fit_part(picture, part);
        let run = self.network.run(self.letterbox.pixels());
        self.letterbox.wipe();
        run.context("failed to look for faces")?;
        self.candidates.clear();
        for level in &self.levels {
            self.network.read(level.output, &mut self.raw)?;
            decode(&self.raw, level.columns, level.stride as f32, self.min_score, &mut self.candidates);
        }
        let mut faces = Vec::new();
        nms::merge(&mut self.candidates, self.overlap, &mut faces);
        for face in &mut faces {
            *face = fit.face_to_picture(face);
        }
        Ok(faces)
    }
}

impl FaceDetector for Yunet {
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>> {
        self.detect_part(picture, (0, 0, picture.width(), picture.height()))
    }

    fn scrub(&mut self) {
        let _ran = self.network.scrub();
    }
}

/// Appends the faces of a level whose score is at least `min_score`, in pixels of the input. `raw` holds `VALUES` numbers
/// a cell, row by row: the logits of class and objectness, whose probabilities' geometric mean is the score; the box's
/// centre from the cell's corner and the logarithms of its width and height, in strides; and five points from the
/// cell's corner in strides: the subject's right and left eye, nose tip, right and left corner of the mouth.
pub fn decode(raw: &[f32], columns: usize, stride: f32, min_score: f32, faces: &mut Vec<Face>) {
    // The score is at most the root of one probability: most cells are done after a comparison.
    let least = logit(min_score * min_score);
    for (index, cell) in raw.as_chunks::<VALUES>().0.iter().enumerate() {
        if cell[0] < least || cell[1] < least || !cell.iter().all(|value| value.is_finite()) {
            continue;
        }
        let score = (sigmoid(cell[0]) * sigmoid(cell[1])).sqrt();
        if score < min_score {
            continue;
        }
        let (column, row) = ((index % columns) as f32, (index / columns) as f32);
        let at = |x: f32, y: f32| {
            let [x, y] = [x, y].map(|value| value.clamp(-FARTHEST, FARTHEST));
            Point { x: (column + x) * stride, y: (row + y) * stride }
        };
        let center = at(cell[2], cell[3]);
        let [width, height] =
            [cell[4], cell[5]].map(|log| log.clamp(-LARGEST_LOG, LARGEST_LOG).exp() * stride);
        let [right_eye, left_eye, nose, right, left] =
            std::array::from_fn(|i| at(cell[6 + 2 * i], cell[7 + 2 * i]));
        let mouth = Point { x: f32::midpoint(right.x, left.x), y: f32::midpoint(right.y, left.y) };
        faces.push(Face {
            bounds: Rect { x: center.x - width / 2.0, y: center.y - height / 2.0, width, height },
            score,
            keypoints: [right_eye, left_eye, nose, mouth, right, left],
        });
    }
}

fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

fn logit(p: f32) -> f32 {
    (p / (1.0 - p)).ln()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_says_where_its_face_is() {
        let mut raw = vec![-20.0; 2 * 3 * VALUES];
        let cell = &mut raw[4 * VALUES..5 * VALUES];
        cell[..6].copy_from_slice(&[2.0, 1.0, 0.5, 0.25, 2f32.ln(), 3f32.ln()]);
        for (i, value) in cell[6..].iter_mut().enumerate() {
            *value = i as f32;
        }
        let mut faces = Vec::new();
        decode(&raw, 3, 8.0, 0.5, &mut faces);
        let [face] = faces[..] else { panic!("{faces:?}") };
        // Cell 4 of three columns: column 1, row 1.
        assert_eq!(face.bounds.center(), Point { x: 12.0, y: 10.0 });
        assert!((face.bounds.width - 16.0).abs() < 1e-4 && (face.bounds.height - 24.0).abs() < 1e-4);
        assert_eq!(face.keypoints[0], Point { x: 8.0, y: 16.0 });
        assert_eq!(face.keypoints[3], Point { x: 8.0 + 7.0 * 8.0, y: 8.0 + 8.0 * 8.0 }, "the mouth's centre");
        assert!((face.score - (sigmoid(2.0) * sigmoid(1.0)).sqrt()).abs() < 1e-6);
    }

    #[test]
    fn numbers_that_are_none_and_boxes_without_bounds_do_no_harm() {
        let mut faces = Vec::new();
        decode(&[f32::NAN; VALUES], 1, 8.0, 0.5, &mut faces);
        assert!(faces.is_empty());
        let mut cell = [1e30; VALUES];
        (cell[0], cell[1]) = (20.0, 20.0);
        decode(&cell, 1, 8.0, 0.5, &mut faces);
        assert!(faces[0].bounds.width.is_finite());
    }
}
