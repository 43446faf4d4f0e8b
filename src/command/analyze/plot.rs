//! `--plot`: what a clip says over time, as a drawing of numbers: shares of the expressions, valence and arousal, what
//! networks say that read sequences, how many faces there were, and the events of the configured triggers. No picture goes into it.

mod bins;
mod layout;
mod raster;
mod shape;
mod svg;

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, ensure};

use super::draw;
use crate::command::clip::ClipReading;
use bins::{Bins, Spans};
use emotiond_core::report::score::Vocabulary;

/// The drawing of a clip, gathered frame by frame in bounded memory.
pub struct Plot {
    bins: Bins,
    spans: Spans,
}

impl Plot {
    /// A drawing of nothing yet.
    pub fn new(vocabulary: &Vocabulary, sequences: &[Arc<Vocabulary>]) -> Self {
        Self { bins: Bins::new(vocabulary, sequences), spans: Spans::default() }
    }

    /// Whether a file of this name can be made.
    pub fn check(path: &Path) -> anyhow::Result<()> {
        let shown = path.display();
        ensure!(ending(path).is_some(), "{shown}: the drawing is an SVG or a PNG file; name it so");
        ensure!(!path.exists(), "{shown} is there, and nothing is overwritten: choose another name");
        Ok(())
    }

    /// Takes in what was read of the next frame.
    pub fn add(&mut self, reading: &ClipReading) {
        self.bins.add(reading);
        self.spans.add(&reading.events);
    }

    /// Draws into a file that was not there before.
    pub fn store(self, path: &Path) -> anyhow::Result<()> {
        let drawing = layout::draw(&self.bins, &self.spans);
        if ending(path).as_deref() == Some("png") {
            return draw::save(&raster::render(&drawing), path);
        }
        let shown = path.display();
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .with_context(|| format!("cannot make {shown}"))?;
        file.write_all(svg::render(&drawing).as_bytes()).with_context(|| format!("cannot write {shown}"))
    }
}

fn ending(path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    ["svg", "png"].contains(&&*ending).then_some(ending)
}
