//! A detector of the `BlazeFace` family, as its manifest describes it.

use std::path::Path;

use anyhow::Context;
use image::RgbImage;

use super::decode::{AnchorDecoder, VALUES};
use super::{FaceDetector, anchors, nms};
use crate::capture::frame::warp::{Fit, Letterbox};
use crate::inference::manifest::{Manifest, Task};
use crate::inference::{ModelError, Network};
use emotiond_core::geometry::{Face, Point, Rect};

/// One network of the `BlazeFace` family.
#[derive(Debug)]
pub struct BlazeFace {
    network: Network,
    boxes: usize,
    scores: usize,
    decoder: AnchorDecoder,
    overlap: f32,
    letterbox: Letterbox,
    raw_boxes: Vec<f32>,
    raw_scores: Vec<f32>,
    candidates: Vec<Face>,
}

impl BlazeFace {
    /// Loads the detector that a manifest describes.
    ///
    /// # Errors
    /// If the manifest is not one of a face detector, or the model file does not fit it.
    pub fn load(manifest: &Path) -> Result<Self, ModelError> {
        let manifest = Manifest::read(manifest)?;
        let Task::FaceDetector(detector) = manifest.task.clone() else {
            let reason = "expected kind = \"face_detector\", found \"emotion\"".to_owned();
            return Err(ModelError::Manifest { path: manifest.path, reason });
        };
        let (width, height) = (manifest.input.width, manifest.input.height);
        let centers = anchors::anchors(width, height, &detector.strides, detector.anchors_per_layer);
        let decoder = AnchorDecoder::new(
            centers,
            (width, height),
            detector.scale,
            detector.score_clip,
            detector.min_score,
        );
        let network = Network::load(manifest)?;
        let boxes = network.find_output(&detector.boxes)?;
        let scores = network.find_output(&detector.scores)?;
        for (what, index, values) in [("boxes", boxes, VALUES), ("scores", scores, 1)] {
            let (expected, found) = (decoder.len() * values, network.outputs()[index].len());
            if found != expected {
                return Err(network.mismatch(
                    &format!("number of values in the tensor of {what}"),
                    &format!("{} anchors × {values} = {expected}", decoder.len()),
                    &found.to_string(),
                ));
            }
        }
        Ok(Self {
            network,
            boxes,
            scores,
            decoder,
            overlap: detector.overlap,
            letterbox: Letterbox::new(width, height),
            raw_boxes: Vec::new(),
            raw_scores: Vec::new(),
            candidates: Vec::new(),
        })
    }

    /// The manifest it was loaded by.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        self.network.manifest()
    }
}

impl FaceDetector for BlazeFace {
    fn detect(&mut self, picture: &RgbImage) -> anyhow::Result<Vec<Face>> {
        let fit = self.letterbox.fit(picture);
        let run = self.network.run(self.letterbox.pixels());
        self.letterbox.wipe();
        run.context("failed to look for faces")?;
        self.network.read(self.boxes, &mut self.raw_boxes)?;
        self.network.read(self.scores, &mut self.raw_scores)?;
        self.candidates.clear();
        self.decoder.decode(&self.raw_boxes, &self.raw_scores, &mut self.candidates);
        let mut faces = Vec::new();
        nms::merge(&mut self.candidates, self.overlap, &mut faces);
        for face in &mut faces {
            *face = to_picture(&fit, face);
        }
        Ok(faces)
    }

    fn scrub(&mut self) {
        let _ran = self.network.scrub();
    }
}

fn to_picture(fit: &Fit, face: &Face) -> Face {
    let Rect { x, y, width, height } = face.bounds;
    let Point { x: left, y: top } = fit.to_picture(Point { x, y });
    Face {
        bounds: Rect { x: left, y: top, width: width / fit.scale.x, height: height / fit.scale.y },
        score: face.score,
        keypoints: face.keypoints.map(|point| fit.to_picture(point)),
    }
}
