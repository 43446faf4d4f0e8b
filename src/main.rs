//! emotiond's command line: parse, start logging, hand over to the command, turn its error into an exit code.

use std::process::ExitCode;

use clap::Parser as _;
use emotiond::command;
use emotiond::command::cli::{Action, Cli};
use emotiond::command::logging;

fn main() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.verbose);
    exit_on_panic();
    let result = match &cli.command {
        Action::Run(arguments) => command::run::run(arguments),
        Action::Setup(arguments) => command::setup::run(arguments),
        Action::Check(arguments) => command::check::run(arguments),
        Action::Cameras(arguments) => command::cameras::run(arguments),
        Action::Analyze(arguments) => command::analyze::run(arguments),
        Action::Evaluate(arguments) => command::evaluate::run(arguments),
        Action::Bench(arguments) => command::bench::run(arguments),
        Action::Watch(arguments) => command::watch::run(arguments),
        Action::Config(arguments) => command::config::run(arguments),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            log::error!("{failure}");
            ExitCode::from(failure.code as u8)
        }
    }
}

/// A panic on any thread ends the process with a log line: a daemon that lost one of its threads is worse than one
/// that systemd starts again. Replaces the default message so that it reaches the journal with its priority.
fn exit_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        if emotiond::exit::panics::contained() {
            return;
        }
        let place =
            panic.location().map_or_else(String::new, |at| format!(" at {}:{}", at.file(), at.line()));
        let reason = panic.payload_as_str().unwrap_or("unknown reason");
        log::error!("internal error{place}: {reason}; this is a bug, please report it with this line");
        std::process::exit(i32::from(emotiond::exit::Code::Software as u8));
    }));
}
