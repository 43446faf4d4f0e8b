//! `emotiond analyze`: emotion read off pictures. The pictures are the user's own files; only numbers are printed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::RgbImage;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::capture::picture;
use crate::command::cli::AnalyzeArgs;
use crate::command::printable;
use crate::config::{Overrides, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::vision::models::{self, Models};
use emotiond_core::geometry::Face;
use emotiond_core::report::score::{ACTION_UNITS, EXPRESSION, Scores};

/// One line of `analyze --json`.
#[derive(Debug, Serialize)]
struct Line<'a> {
    path: &'a str,
    width: u32,
    height: u32,
    faces: Vec<FaceLine>,
}

/// One face: the box as `[x, y, width, height]` in pixels of the picture, and what the model says.
#[derive(Debug, Serialize)]
struct FaceLine {
    #[serde(rename = "box")]
    bounds: [f64; 4],
    score: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    expression: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    valence: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    arousal: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    action_units: Option<BTreeMap<String, f64>>,
}

/// Analyzes each picture and prints what was found. A picture that cannot be read is reported and the others go on.
///
/// # Errors
/// If configuration or models are unusable, or, after all pictures, if one of them could not be read.
pub fn run(arguments: &AnalyzeArgs) -> Result<(), Failure> {
    let overrides = Overrides { trial: true, ..Overrides::default() };
    let mut settings =
        Settings::load(arguments.config.config.as_deref(), &overrides).or_exit(Code::Config)?;
    if let Some(model) = &arguments.model {
        settings.models.emotion.clone_from(model);
    }
    let mut models = models::open(&settings.models, settings.privacy.policy.emotion).or_exit(Code::Config)?;
    let paths = pictures(&arguments.images).or_exit(Code::NoInput)?;
    let progress = progress(paths.len());
    let mut unread = 0_usize;
    for path in &paths {
        match picture::read(path) {
            Ok(picture) => {
                models.detector.restart();
                let found = analyze(&mut models, &picture).or_exit(Code::Software)?;
                let text = if arguments.json {
                    json(path, &picture, &found).or_exit(Code::Software)?
                } else {
                    human(path, &found)
                };
                progress.suspend(|| super::print(&text))?;
            }
            Err(error) => {
                unread += 1;
                progress.suspend(|| log::error!("{error:#}"));
            }
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    if unread > 0 {
        let error = anyhow::anyhow!("{unread} of {} pictures could not be read; see above", paths.len());
        return Err(Failure { code: Code::Data, error });
    }
    Ok(())
}

fn analyze(models: &mut Models, picture: &RgbImage) -> anyhow::Result<Vec<(Face, Option<Scores>)>> {
    let faces = models.detector.detect(picture)?;
    let emotion =
        |face| Ok((face, models.emotion.as_mut().map(|m| m.read_both_ways(picture, &face)).transpose()?));
    faces.into_iter().map(emotion).collect()
}

fn json(path: &Path, picture: &RgbImage, found: &[(Face, Option<Scores>)]) -> anyhow::Result<String> {
    let line = Line {
        path: &path.to_string_lossy(),
        width: picture.width(),
        height: picture.height(),
        faces: found.iter().map(|(face, scores)| face_line(face, scores.as_ref())).collect(),
    };
    Ok(serde_json::to_string(&line)? + "\n")
}

fn face_line(face: &Face, scores: Option<&Scores>) -> FaceLine {
    let bounds = &face.bounds;
    let named = |(labels, values): (&[String], &[f32])| -> Vec<(String, f64)> {
        labels.iter().cloned().zip(values.iter().map(|value| digits(*value, 4))).collect()
    };
    let head = |name| scores.and_then(|scores| scores.head(name)).map(named);
    let score = |name| scores.and_then(|scores| scores.get(name)).map(|value| digits(value, 4));
    FaceLine {
        bounds: [bounds.x, bounds.y, bounds.width, bounds.height].map(|value| digits(value, 1)),
        score: digits(face.score, 4),
        expression: head(EXPRESSION)
            .map(|named| named.into_iter().map(|(label, value)| (label, value.into())).collect()),
        valence: score("valence"),
        arousal: score("arousal"),
        action_units: head(ACTION_UNITS).map(|named| named.into_iter().collect()),
    }
}

/// Rounded to so many decimals; more would say nothing about a face.
fn digits(value: f32, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (f64::from(value) * scale).round() / scale
}

fn human(path: &Path, found: &[(Face, Option<Scores>)]) -> String {
    use std::fmt::Write as _;
    let mut text = format!(
        "{}: {} face{}\n",
        printable::word(&path.to_string_lossy()),
        found.len(),
        if found.len() == 1 { "" } else { "s" }
    );
    for (face, scores) in found {
        let b = &face.bounds;
        let (x, y, w, h) = (b.x, b.y, b.width, b.height);
        let _infallible = write!(text, "  {w:.0}×{h:.0} at ({x:.0}, {y:.0}), score {:.2}", face.score);
        if let Some((labels, values)) = scores.as_ref().and_then(|scores| scores.head(EXPRESSION)) {
            let mut ranked: Vec<_> = labels.iter().zip(values).collect();
            ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
            for (label, probability) in ranked.into_iter().take(3) {
                let _infallible = write!(text, ", {label} {:.0} %", 100.0 * probability);
            }
        }
        let score = |name| scores.as_ref().and_then(|scores| scores.get(name));
        if let (Some(valence), Some(arousal)) = (score("valence"), score("arousal")) {
            let _infallible = write!(text, ", valence {valence:+.2}, arousal {arousal:+.2}");
        }
        text.push('\n');
    }
    text
}

/// The pictures that the arguments name; a folder stands for the pictures in it.
fn pictures(arguments: &[PathBuf]) -> anyhow::Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for argument in arguments {
        if argument.is_dir() {
            paths.extend(picture::in_folder(argument)?);
        } else {
            paths.push(argument.clone());
        }
    }
    Ok(paths)
}

/// A progress bar on standard error if that is a terminal and there is something to wait for.
fn progress(total: usize) -> ProgressBar {
    if total < 5 {
        return ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
    }
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} pictures, {per_sec}, {eta} left")
        .expect("the template is a constant");
    ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr()).with_style(style)
}
