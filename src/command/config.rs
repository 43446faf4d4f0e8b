//! `emotiond config`: the commented default configuration.

use crate::command::cli::ConfigPrintArgs;
use crate::config::EXAMPLE;
use crate::exit::Failure;
use emotiond_core::report::payload;

/// Prints the example configuration, or the schema of a summary.
///
/// # Errors
/// If standard output cannot be written.
pub fn run(arguments: &ConfigPrintArgs) -> Result<(), Failure> {
    if arguments.schema { super::print(&payload::schema_text()) } else { super::print(EXAMPLE) }
}
