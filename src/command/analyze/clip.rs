//! `analyze` over a clip: a line for each face of each frame, and a drawing of how it went.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{anyhow, ensure};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::lines;
use super::plot::Plot;
use crate::command::cli::{AnalyzeArgs, ClipFormat};
use crate::command::clip::ClipReading;
use crate::command::clip::filter::{ClipFilter, Smoothing};
use crate::command::clip::reader::ClipReader;
use crate::command::clip::source::{ClipSource, is_video};
use crate::config::Settings;
use crate::exit::{Code, Failure, OrExit as _};
use crate::vision::models::Models;

/// Whether the arguments name a clip rather than pictures.
pub fn named(arguments: &AnalyzeArgs) -> bool {
    let video = |path: &Path| is_video(path) && !path.is_dir();
    arguments.clip || arguments.images.iter().any(|path| video(path) || path == Path::new("-"))
}

/// Options that mean nothing for pictures, each of which stands for itself, are refused rather than ignored.
pub fn refuse_options_of_clips(arguments: &AnalyzeArgs) -> Result<(), Failure> {
    let given = [
        ("--fps", arguments.fps.is_some()),
        ("--format", arguments.format.is_some()),
        ("--smooth", arguments.smooth.is_some()),
        ("--plot", arguments.plot.is_some()),
    ];
    match given.iter().find(|(_, given)| *given) {
        None => Ok(()),
        Some((option, _)) => {
            Err(anyhow!("{option} is for a clip: add --clip, or leave it out")).or_exit(Code::NoInput)
        }
    }
}

/// Reads the clip frame by frame; nothing of it is held for longer than the smoothing takes.
pub fn run(arguments: &AnalyzeArgs, models: Models, settings: &Settings) -> Result<(), Failure> {
    let path = check(arguments).or_exit(Code::NoInput)?;
    let mut source = ClipSource::open(path, arguments.fps, true)?;
    let mut reader = ClipReader::new(models, settings);
    let mut filter = ClipFilter::new(arguments.smooth.unwrap_or(Smoothing::None));
    let format = arguments.format.unwrap_or(ClipFormat::Json);
    let mut plot = arguments.plot.as_ref().map(|_| Plot::new(reader.vocabulary(), &reader.sequences()));
    let progress = progress();
    let mut vocabularies = vec![Arc::clone(reader.vocabulary())];
    vocabularies.extend(reader.sequences());
    if format == ClipFormat::Csv {
        crate::command::print(&lines::csv_header(&vocabularies))?;
    }
    let (mut frames, mut tracks) = (0_u64, 0_u64);
    let mut out = |readings: Vec<ClipReading>, reader: &ClipReader| -> Result<(), Failure> {
        for mut reading in readings {
            for face in &mut reading.faces {
                face.scores = face.scores.take().map(|scores| reader.with_compounds(scores));
            }
            let text = match format {
                ClipFormat::Json => lines::json(&reading).or_exit(Code::Software)?,
                ClipFormat::Csv => lines::csv(&reading, &vocabularies),
            };
            progress.suspend(|| crate::command::print(&text))?;
            if let Some(plot) = &mut plot {
                plot.add(&reading);
            }
        }
        Ok(())
    };
    let ended = loop {
        let frame = match source.next() {
            Ok(Some(frame)) => frame,
            Ok(None) => break source.finish(),
            Err(error) => break Err(error),
        };
        let reading = reader.read(frame).or_exit(Code::Software)?;
        frames += 1;
        // Tracks are numbered in order, so that the greatest says how many there were.
        tracks = reading.faces.iter().map(|face| face.track).fold(tracks, u64::max);
        let length = source.length().map_or_else(String::new, |length| format!(" of {}", clock(length)));
        progress.set_message(format!("at {}{length}", clock(reading.time)));
        progress.inc(1);
        out(filter.push(reading), &reader)?;
    };
    out(filter.finish(), &reader)?;
    progress.finish_and_clear();
    log::info!("{frames} frames, {tracks} tracks");
    if let (Some(plot), Some(path)) = (plot, &arguments.plot) {
        plot.store(path).or_exit(Code::Data)?;
    }
    ended.or_exit(Code::Data)
}

/// What has to hold before anything is read.
fn check(arguments: &AnalyzeArgs) -> anyhow::Result<&Path> {
    let [path] = &arguments.images[..] else {
        return Err(anyhow!(
            "a clip is one file or folder, and {} are named: name one",
            arguments.images.len()
        ));
    };
    ensure!(arguments.draw.is_none(), "--draw is for a picture; --plot draws what a clip says");
    if let Some(plot) = &arguments.plot {
        Plot::check(plot)?;
    }
    Ok(path)
}

/// On standard error if that is a terminal, which indicatif looks for itself.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {pos} frames, {per_sec}, {msg}")
        .expect("the template is a constant");
    ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()).with_style(style)
}

/// Minutes and seconds.
fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}
