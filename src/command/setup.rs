//! `emotiond setup`: a few questions, and the configuration that follows from the answers.

mod answers;
mod dialog;
mod file;
mod mdns;
mod questions;
mod unit;

use std::path::Path;

use crate::capture::v4l2::csi;
use crate::command::cli::SetupArgs;
use crate::command::printable;
use crate::config::{Overrides, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use dialog::{Dialog, yes_or_no};
use file::Before;

/// Asks, writes the configuration, runs `check` on it and offers to enable the unit.
///
/// # Errors
/// If an answer cannot be used or the file cannot be written (78), or if `check` finds something that does not work (69).
pub fn run(arguments: &SetupArgs) -> Result<(), Failure> {
    let path = std::path::absolute(arguments.config.path()).or_exit(Code::Config)?;
    let shown = printable::word(&path.to_string_lossy()).into_owned();
    let before = file::before(&path).or_exit(Code::Config)?;
    if before == Before::Own && !arguments.force {
        let error = anyhow::anyhow!(
            "{shown} is there, and somebody has changed it; --force replaces it and keeps it as {shown}.bak"
        );
        return Err(Failure { code: Code::Config, error });
    }
    let mut dialog = Dialog::new(std::io::stdin().lock(), std::io::stdout());
    let answers = questions::ask(&mut dialog, arguments).or_exit(Code::Config)?;
    let text = answers.configuration().or_exit(Code::Software)?;
    let settings = Settings::parse(&text, &path, &Overrides::default()).or_exit(Code::Config)?;
    let kept = file::write(&path, &text, before).or_exit(Code::Config)?;
    if answers.source == format!("stream:{}", csi::SOCKET) && unit::can_enable() {
        unit::listen_for_the_camera();
    }
    let mut said = format!(
        "\nThe notice for the wall:\n\n  {}\n\n",
        settings.privacy.notice(settings.window, &settings.models.sequences)
    );
    if let Some(kept) = kept {
        said += &format!(
            "kept the configuration that was there as {}\n",
            printable::word(&kept.to_string_lossy())
        );
    }
    said += &format!("wrote {shown}; `emotiond check` says:\n");
    dialog.say(&said).or_exit(Code::Software)?;
    let works = unit::check(&path).or_exit(Code::Software)?;
    enable(&mut dialog, arguments, &path, works)?;
    if works {
        return Ok(());
    }
    let error = anyhow::anyhow!(
        "{shown} is written, and not everything works yet: see above what to do, then run `emotiond check`"
    );
    Err(Failure { code: Code::Unavailable, error })
}

/// Offers to enable the unit of this configuration, or says how it is done.
fn enable<R: std::io::BufRead, W: std::io::Write>(
    dialog: &mut Dialog<R, W>,
    arguments: &SetupArgs,
    path: &Path,
    works: bool,
) -> Result<(), Failure> {
    let Some(unit) = unit::of(path) else {
        let start =
            format!("\nto start it: emotiond run --config {}", printable::word(&path.to_string_lossy()));
        return dialog.say(&start).or_exit(Code::Software);
    };
    if !unit::can_enable() {
        return dialog
            .say(&format!("\nto start it: sudo systemctl enable --now {unit}"))
            .or_exit(Code::Software);
    }
    let wanted = if arguments.yes {
        arguments.enable
    } else {
        let default = if works { "yes" } else { "no" };
        arguments.enable
            || dialog
                .ask("Start it now, and at every start of the machine?", default, yes_or_no)
                .or_exit(Code::Config)?
    };
    if wanted { unit::enable(unit).or_exit(Code::Unavailable) } else { Ok(()) }
}
