//! `emotiond evaluate`: how well a model reads clips that somebody has annotated, in the measures and the file formats of
//! the ABAW challenges (Aff-Wild2).

mod annotation;
mod metrics;
mod pairs;
mod report;
mod scorer;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::command::cli::EvaluateArgs;
use crate::command::clip::filter::{ClipFilter, Smoothing};
use crate::command::clip::reader::ClipReader;
use crate::command::clip::source::ClipSource;
use crate::config::{Overrides, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::vision::models;
use annotation::Annotation;
use pairs::{Pair, pairs};
use scorer::Scorer;

/// Reads each annotated clip and prints how the readings compare with the annotations.
///
/// # Errors
/// If configuration or models are unusable, an annotation is none, a clip is missing, or one is damaged.
pub fn run(arguments: &EvaluateArgs) -> Result<(), Failure> {
    let overrides = Overrides { trial: true, ..Overrides::default() };
    let mut settings =
        Settings::load(arguments.config.config.as_deref(), &overrides).or_exit(Code::Config)?;
    if let Some(model) = &arguments.model {
        settings.models.emotion.clone_from(model);
    }
    let pairs = pairs(&arguments.annotations, &arguments.clip).or_exit(Code::NoInput)?;
    let models = models::open(&settings.models, &settings.privacy.policy).or_exit(Code::Config)?;
    let mut reader = ClipReader::new(models, &settings);
    let mut scorer = Scorer::new(reader.vocabulary());
    let progress = progress(pairs.len());
    let mut damaged = None;
    for pair in &pairs {
        progress.set_message(pair.name());
        if let Err(error) = evaluate(pair, arguments, &mut reader, &mut scorer)? {
            log::error!("{error:#}");
            damaged = Some(error);
        }
        progress.inc(1);
    }
    progress.finish_and_clear();
    let text = if arguments.json {
        report::json(&scorer.results()).or_exit(Code::Software)?
    } else {
        report::table(&scorer.results())
    };
    crate::command::print(&text)?;
    damaged.map_or(Ok(()), Err).or_exit(Code::Data)
}

/// Compares one clip with its annotation. The inner error is one of the clip's, after which the others go on.
fn evaluate(
    pair: &Pair,
    arguments: &EvaluateArgs,
    reader: &mut ClipReader,
    scorer: &mut Scorer,
) -> Result<anyhow::Result<()>, Failure> {
    let annotation = Annotation::read(&pair.annotation).or_exit(Code::Data)?;
    let mut source = ClipSource::open(&pair.clip, arguments.fps, false)?;
    let mut filter = ClipFilter::new(arguments.smooth.unwrap_or(Smoothing::None));
    reader.restart();
    scorer.begin(annotation, pair.subject);
    let ended = loop {
        match source.next() {
            Ok(Some(frame)) => {
                let reading = reader.read(frame).or_exit(Code::Software)?;
                filter.push(reading).iter().for_each(|reading| scorer.frame(reading));
            }
            Ok(None) => break source.finish(),
            Err(error) => break Err(error),
        }
    };
    filter.finish().iter().for_each(|reading| scorer.frame(reading));
    scorer.end();
    Ok(ended)
}

/// On standard error if that is a terminal, which indicatif looks for itself.
fn progress(total: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len} clips, {msg}, {eta} left")
        .expect("the template is a constant");
    ProgressBar::with_draw_target(Some(total as u64), ProgressDrawTarget::stderr()).with_style(style)
}
