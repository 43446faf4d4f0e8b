//! A detector of the `BlazeFace` family, as its manifest describes it.

use anyhow::Context;
use image::RgbImage;

use super::decode::{AnchorDecoder, VALUES};
use super::{FaceDetector, anchors, nms};
use crate::capture::frame::warp::Letterbox;
use crate::inference::manifest::{BlazeFaceDetector, Manifest};
use crate::inference::{ModelError, Network};
use emotiond_core::geometry::Face;

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
    /// Loads the network that a manifest describes; `detector` is the manifest's table of that name.
    ///
    /// # Errors
    /// If the model file does not fit the manifest.
    pub fn load(manifest: Manifest, detector: &BlazeFaceDetector) -> Result<Self, ModelError> {
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
            *face = fit.face_to_picture(face);
        }
        Ok(faces)
    }

    fn scrub(&mut self) {
        let _ran = self.network.scrub();
    }
}
