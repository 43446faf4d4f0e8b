//! `emotiond analyze`: emotion read off pictures, or over a clip. They are the user's own files; only numbers are
//! printed, `--draw` makes a copy of one picture with boxes and labels, and `--plot` draws the numbers of a clip.

mod clip;
mod draw;
mod font;
mod lines;
mod plot;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use image::RgbImage;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::capture::picture;
use crate::command::bars::bar;
use crate::command::cli::AnalyzeArgs;
use crate::command::printable;
use crate::config::{Overrides, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::vision::models::{self, Models};
use emotiond_core::geometry::Face;
use emotiond_core::report::score::{ACTION_UNITS, EXPRESSION, Scores};

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
    let mut models = models::open(&settings.models, &settings.privacy.policy).or_exit(Code::Config)?;
    if clip::named(arguments) {
        return clip::run(arguments, models, &settings);
    }
    clip::refuse_options_of_clips(arguments)?;
    let paths = pictures(&arguments.images).or_exit(Code::NoInput)?;
    if arguments.draw.is_some() && paths.len() != 1 {
        let error =
            anyhow::anyhow!("--draw makes one picture of one, and {} are named: name one", paths.len());
        return Err(Failure { code: Code::NoInput, error });
    }
    let bars = std::io::stdout().is_terminal();
    let progress = progress(paths.len());
    let mut unread = 0_usize;
    for path in &paths {
        match picture::read(path) {
            Ok(mut picture) => {
                models.detector.restart();
                let found = analyze(&mut models, &picture).or_exit(Code::Software)?;
                let text = if arguments.json {
                    lines::picture(path, &picture, &found).or_exit(Code::Software)?
                } else {
                    human(path, &found, bars)
                };
                progress.suspend(|| super::print(&text))?;
                if let Some(copy) = &arguments.draw {
                    draw::draw(&mut picture, &found);
                    draw::save(&picture, copy).or_exit(Code::Data)?;
                }
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
    if let Some(model) = &mut models.emotion {
        model.expect(faces.len());
    }
    let emotion =
        |face| Ok((face, models.emotion.as_mut().map(|m| m.read_both_ways(picture, &face)).transpose()?));
    faces.into_iter().map(emotion).collect()
}

/// For a person: a line for each face, and in a terminal a bar for each score.
fn human(path: &Path, found: &[(Face, Option<Scores>)], bars: bool) -> String {
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
        match scores {
            Some(scores) if bars => text += &chart(scores),
            Some(scores) => text += &phrase(scores),
            None => {}
        }
        text.push('\n');
    }
    text
}

/// The three likeliest expressions, valence and arousal, for the end of a line.
fn phrase(scores: &Scores) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    if let Some((labels, values)) = scores.head(EXPRESSION) {
        let mut ranked: Vec<_> = labels.iter().zip(values).collect();
        ranked.sort_by(|(_, a), (_, b)| b.total_cmp(a));
        for (label, probability) in ranked.into_iter().take(3) {
            let _infallible = write!(text, ", {label} {:.0} %", 100.0 * probability);
        }
    }
    if let (Some(valence), Some(arousal)) = (scores.get("valence"), scores.get("arousal")) {
        let _infallible = write!(text, ", valence {valence:+.2}, arousal {arousal:+.2}");
    }
    text
}

/// Every score with a bar: a line for each expression, a scale from -1 to 1 for valence and arousal, and two action units
/// a line.
fn chart(scores: &Scores) -> String {
    use std::fmt::Write as _;
    let mut text = String::new();
    if let Some((labels, values)) = scores.head(EXPRESSION) {
        for (label, share) in labels.iter().zip(values) {
            let bar = bar(f64::from(*share), 30);
            let _infallible = write!(text, "\n    {label:<10} {bar} {:>3.0} %", 100.0 * share);
        }
    }
    for name in ["valence", "arousal"] {
        if let Some(value) = scores.get(name) {
            let _infallible = write!(text, "\n    {name:<10} {} {value:+.2}", scale(f64::from(value), 30));
        }
    }
    if let Some((labels, values)) = scores.head(ACTION_UNITS) {
        for (place, (label, share)) in labels.iter().zip(values).enumerate() {
            let start = if place % 2 == 0 { "\n    " } else { "   " };
            let bar = bar(f64::from(*share), 12);
            let _infallible = write!(text, "{start}{label:<10} {bar} {share:.2}");
        }
    }
    text
}

/// A scale from -1 to 1 with a mark.
fn scale(value: f64, width: usize) -> String {
    let mark = ((value.clamp(-1.0, 1.0) + 1.0) / 2.0 * (width - 1) as f64).round() as usize;
    let cell = |place| match place {
        _ if place == mark => '●',
        _ if place == width / 2 => '┼',
        _ => '─',
    };
    (0..width).map(cell).collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use emotiond_core::report::score::{ScoreHead, Vocabulary};
    use std::sync::Arc;

    #[test]
    fn every_score_has_its_bar() {
        let expressions = ["neutral".parse().unwrap(), "happiness".parse().unwrap()];
        let units = ["AU1".to_owned(), "AU12".to_owned(), "AU25".to_owned()];
        let heads = vec![
            ScoreHead::expression(&expressions),
            ScoreHead::valence_arousal(),
            ScoreHead::action_units(&units),
        ];
        let values = vec![0.25, 0.75, 1.0, -1.0, 0.0, 0.5, 1.0];
        let chart = chart(&Scores::new(Arc::new(Vocabulary::new(heads)), values));
        let lines: Vec<_> = chart.lines().skip(1).map(str::trim_end).collect();
        let full = "█".repeat(12);
        let expected = [
            format!("    neutral    {}▌{}  25 %", "█".repeat(7), " ".repeat(22)),
            format!("    happiness  {}▌{}  75 %", "█".repeat(22), " ".repeat(7)),
            format!("    valence    {}┼{}● +1.00", "─".repeat(15), "─".repeat(13)),
            format!("    arousal    ●{}┼{} -1.00", "─".repeat(14), "─".repeat(14)),
            format!(
                "    AU1        {} 0.00   AU12       {}{} 0.50",
                " ".repeat(12),
                "█".repeat(6),
                " ".repeat(6)
            ),
            format!("    AU25       {full} 1.00"),
        ];
        assert_eq!(lines, expected);
    }
}
