//! `emotiond cameras`: the V4L2 cameras of this machine.

use crate::capture::v4l2::list;
use crate::capture::v4l2::negotiate::ModeRequest;
use crate::command::cli::CamerasArgs;
use crate::exit::{Code, Failure, OrExit as _};

/// Lists devices, drivers and modes.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(arguments: &CamerasArgs) -> Result<(), Failure> {
    let cameras = list::list(&ModeRequest::default());
    if arguments.json {
        let json = serde_json::to_string_pretty(&cameras).or_exit(Code::Software)?;
        super::print(&format!("{json}\n"))
    } else {
        super::print(&cameras.to_string())
    }
}
