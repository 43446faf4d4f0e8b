//! `emotiond cameras`: the V4L2 cameras of this machine.

use crate::cli::CamerasArgs;
use crate::exit::{Code, Failure, OrExit as _};
use crate::source::list;
use crate::source::negotiate::Wish;

/// Lists devices, drivers and modes.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(arguments: &CamerasArgs) -> Result<(), Failure> {
    let cameras = list::list(&Wish::default());
    if arguments.json {
        let json = serde_json::to_string_pretty(&cameras).or_exit(Code::Software)?;
        super::print(&format!("{json}\n"))
    } else {
        super::print(&cameras.to_string())
    }
}
