//! `emotiond run`: the daemon.

use super::cli::{Pace, PublishTo, RunArgs};
use crate::capture::replay::Speed;
use crate::config::{Destination, Overrides, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::runtime;

/// Runs until the source is over or the process is told to stop.
///
/// # Errors
/// With the exit code that tells systemd whether another try makes sense.
pub fn run(arguments: &RunArgs) -> Result<(), Failure> {
    let overrides = Overrides {
        source: arguments.source.clone(),
        trial: arguments.source.is_some() && arguments.publish == PublishTo::Stdout,
        window: arguments.window.map(Into::into),
        publish: match arguments.publish {
            PublishTo::Mqtt => Destination::Mqtt,
            PublishTo::Stdout => Destination::Stdout,
        },
        speed: arguments.pace.map(|pace| match pace {
            Pace::Realtime => Speed::RealTime,
            Pace::Fast => Speed::Full,
        }),
    };
    runtime::run(|| Settings::load(arguments.config.config.as_deref(), &overrides).or_exit(Code::Config))
}
