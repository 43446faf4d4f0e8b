//! The commands that are not the daemon.

pub mod analyze;
mod bars;
pub mod bench;
pub mod cameras;
mod capacity;
pub mod check;
pub mod cli;
mod clip;
pub mod config;
pub mod evaluate;
pub mod logging;
mod printable;
pub mod run;
pub mod setup;
pub mod watch;

use std::io::Write as _;

use crate::exit::{Code, Failure, OrExit as _};

/// Writes lines to standard output, with control characters escaped as JSON has them. A reader that has gone is no failure of ours.
///
/// # Errors
/// If standard output cannot be written, save for a closed pipe.
pub fn print(text: &str) -> Result<(), Failure> {
    write(&printable::lines(text))
}

/// Writes to standard output as it is: text of our own, in which what others named has been escaped.
fn write(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other.or_exit(Code::Software),
    }
}
