//! The daemon: the only place that knows every stage. Starts the threads, serves signals and commands, stops in order.

pub mod camera;
mod control;
pub mod feed;
mod reports;
pub mod mailbox;
mod sight;

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::cli::{Destination, Pace, RunArgs};
use crate::clock::Clock;
use crate::config::{Overrides, Settings, SourceSpec};
use crate::exit::{Code, Failure, OrExit as _};
use crate::source::SourceError;
use crate::systemd::Supervisor;
use crate::vision::Outcome;
use control::{Control, Next, Session};

/// What the threads tell the main thread.
#[derive(Debug)]
enum Event {
    /// Vision has something to publish.
    Outcome(Box<Outcome>),
    /// The source is over, for good or for bad; its last window has been sent before this.
    Ended(Result<(), SourceError>),
    /// A network could not be run.
    Failed(anyhow::Error),
    /// The process was signalled.
    Signal(i32),
}

/// Messages between threads that may wait: more means that the main thread hangs, and then vision has to hang with it,
/// so that the watchdog sees it.
const EVENTS: usize = 256;

/// Runs until the source is over or the process is told to stop.
///
/// # Errors
/// With the exit code that tells systemd whether another try makes sense.
pub fn run(arguments: &RunArgs) -> Result<(), Failure> {
    let supervisor = Supervisor::from_environment();
    let mut settings = load(arguments)?;
    let mut session = Session::new().or_exit(Code::Software)?;
    let signals = signals()?;
    log::info!("emotiond {} starts as {:?}", env!("CARGO_PKG_VERSION"), settings.device.to_string());
    loop {
        let control = Control::start(settings, arguments, supervisor, &mut session, &signals)?;
        supervisor.ready();
        match control.serve(|| load(arguments)) {
            Ok(Next::Reload(new)) => settings = *new,
            Ok(Next::Exit) => {
                supervisor.stopping();
                log::info!("emotiond ends");
                return Ok(());
            }
            Err(failure) => {
                supervisor.stopping();
                return Err(failure);
            }
        }
    }
}

fn load(arguments: &RunArgs) -> Result<Settings, Failure> {
    let overrides = Overrides {
        source: arguments.source.clone(),
        trial: arguments.source.is_some() && arguments.publish == Destination::Stdout,
    };
    Settings::load(arguments.config.config.as_deref(), &overrides).or_exit(Code::Config)
}

/// A channel on which termination and reload requests arrive.
fn signals() -> Result<Receiver<i32>, Failure> {
    let (sender, receiver) = mpsc::channel();
    let mut signals =
        signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP]).or_exit(Code::Software)?;
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn(move || {
            for signal in signals.forever() {
                if sender.send(signal).is_err() {
                    return;
                }
            }
        })
        .or_exit(Code::Software)?;
    Ok(receiver)
}
