//! `emotiond analyze`: emotion read off pictures. The pictures are the user's own files; only numbers are printed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use image::RgbImage;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;

use crate::capture::picture;
use crate::command::cli::AnalyzeArgs;
use crate::config::{Overrides, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::vision::models::{self, Models};
use emotiond_core::geometry::Face;
use emotiond_core::report::observation::{Emotion, Expression, Vocabulary};

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
    let mut models = models::open(&settings.models, settings.privacy.emotion()).or_exit(Code::Config)?;
    let vocabulary = models.emotion.as_ref().map(|model| model.vocabulary()).unwrap_or_default();
    let paths = pictures(&arguments.images).or_exit(Code::NoInput)?;
    let progress = progress(paths.len());
    let mut unread = 0_usize;
    for path in &paths {
        match picture::read(path) {
            Ok(picture) => {
                models.detector.restart();
                let found = analyze(&mut models, &picture).or_exit(Code::Software)?;
                let text = if arguments.json {
                    json(path, &picture, &found, &vocabulary).or_exit(Code::Software)?
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

fn analyze(models: &mut Models, picture: &RgbImage) -> anyhow::Result<Vec<(Face, Option<Emotion>)>> {
    let faces = models.detector.detect(picture)?;
    let emotion =
        |face| Ok((face, models.emotion.as_mut().map(|m| m.read_both_ways(picture, &face)).transpose()?));
    faces.into_iter().map(emotion).collect()
}

fn json(
    path: &Path,
    picture: &RgbImage,
    found: &[(Face, Option<Emotion>)],
    vocabulary: &Vocabulary,
) -> anyhow::Result<String> {
    let line = Line {
        path: &path.to_string_lossy(),
        width: picture.width(),
        height: picture.height(),
        faces: found.iter().map(|(face, emotion)| face_line(face, emotion.as_ref(), vocabulary)).collect(),
    };
    Ok(serde_json::to_string(&line)? + "\n")
}

fn face_line(face: &Face, emotion: Option<&Emotion>, vocabulary: &Vocabulary) -> FaceLine {
    let bounds = &face.bounds;
    let distribution = emotion.and_then(|emotion| emotion.expression);
    let expression = distribution.map(|p| {
        let entry = |e: &Expression| (e.name().to_owned(), digits(p[*e as usize], 4).into());
        vocabulary.expressions.iter().map(entry).collect()
    });
    let units = emotion.filter(|e| !e.action_units.is_empty()).map(|emotion| {
        let named = vocabulary.action_units.iter().cloned();
        named.zip(emotion.action_units.iter().map(|a| digits(*a, 4))).collect()
    });
    let [valence, arousal] = match emotion.and_then(|emotion| emotion.valence_arousal) {
        Some(values) => values.map(|value| Some(digits(value, 4))),
        None => [None, None],
    };
    FaceLine {
        bounds: [bounds.x, bounds.y, bounds.width, bounds.height].map(|value| digits(value, 1)),
        score: digits(face.score, 4),
        expression,
        valence,
        arousal,
        action_units: units,
    }
}

/// Digits that mean something; the rest only makes lines long.
fn digits(value: f32, places: i32) -> f64 {
    let scale = 10_f64.powi(places);
    (f64::from(value) * scale).round() / scale
}

fn human(path: &Path, found: &[(Face, Option<Emotion>)]) -> String {
    use std::fmt::Write as _;
    let mut text =
        format!("{}: {} face{}\n", path.display(), found.len(), if found.len() == 1 { "" } else { "s" });
    for (face, emotion) in found {
        let b = &face.bounds;
        let (x, y, w, h) = (b.x, b.y, b.width, b.height);
        let _infallible = write!(text, "  {w:.0}×{h:.0} at ({x:.0}, {y:.0}), score {:.2}", face.score);
        if let Some(p) = emotion.as_ref().and_then(|emotion| emotion.expression) {
            let mut ranked = Expression::ALL;
            ranked.sort_by(|a, b| p[*b as usize].total_cmp(&p[*a as usize]));
            for expression in &ranked[..3] {
                let _infallible = write!(text, ", {expression} {:.0} %", 100.0 * p[*expression as usize]);
            }
        }
        if let Some([valence, arousal]) = emotion.as_ref().and_then(|emotion| emotion.valence_arousal) {
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
