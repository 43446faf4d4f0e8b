//! `emotiond watch`: shows what a subscriber of the broker receives, as a page on a terminal and as lines in a pipe.

mod devices;
mod page;
mod screen;

use std::io::IsTerminal as _;

use crate::command::cli::WatchArgs;
use crate::command::printable;
use crate::config::{Overrides, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::publish::mqtt::watch;

/// Shows the page if standard output is a terminal; otherwise prints topic and body of each message, one a line, until
/// `--count` summaries have come or the reader has gone.
///
/// # Errors
/// If the configuration is not valid or the broker cannot be reached (lines); if the terminal cannot be used (page).
pub fn run(arguments: &WatchArgs) -> Result<(), Failure> {
    let settings =
        Settings::load(arguments.config.config.as_deref(), &Overrides::default()).or_exit(Code::Config)?;
    let page = !arguments.lines && arguments.count.is_none() && std::io::stdout().is_terminal();
    if page { screen::show(&settings).or_exit(Code::Unavailable) } else { lines(arguments, &settings) }
}

fn lines(arguments: &WatchArgs, settings: &Settings) -> Result<(), Failure> {
    let summary = format!("emotiond/{}/summary", settings.device);
    let mut left = arguments.count;
    let see = |topic: &str, body: &str| {
        if arguments.count.is_some() && topic != summary {
            return Ok(true);
        }
        super::print(&format!("{} {}\n", printable::word(topic), printable::word(body)))?;
        left = left.map(|count| count.saturating_sub(1));
        Ok(left != Some(0))
    };
    watch::watch(&settings.mqtt, see).or_exit(Code::Unavailable)
}
