//! The daemon: the only place that knows every stage. Starts the threads, serves signals and commands, stops in order.

pub mod capture_worker;
mod daemon;
pub mod feed;
mod health;
pub mod mailbox;
mod status;
pub mod systemd;
mod vision_worker;
mod watchdog;

use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::capture::SourceError;
use crate::command::cli::{Destination, RunArgs};
use crate::config::{Overrides, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::runtime::systemd::Supervisor;
use crate::sandbox::{self, Access, Confinement};
use crate::vision::models::{self, Models};
use crate::vision::{Outcome, VisionSettings};
use daemon::{Control, Next, Session};
use emotiond_core::report::summary::SummarySettings;
use emotiond_core::track::TrackerSettings;

/// What the threads tell the main thread.
#[derive(Debug)]
enum Event {
    /// Vision has something to publish.
    Outcome(Outcome),
    /// The source is over, for good or for bad; its last window has been sent before this.
    Ended(Result<(), SourceError>),
    /// A network could not be run.
    Failed(anyhow::Error),
}

/// Messages between threads that may wait: more means that the main thread hangs, and then vision has to hang with it,
/// so that the watchdog sees it.
const EVENTS: usize = 256;

/// Runs until the source is over or the process is told to stop.
///
/// # Errors
/// With the exit code that tells systemd whether another try makes sense.
pub fn run(arguments: &RunArgs) -> Result<(), Failure> {
    sandbox::forbid_dumps().or_exit(Code::Software)?;
    let supervisor = Supervisor::from_environment();
    let mut settings = load(arguments)?;
    // Before there is another thread, which would not be confined.
    let confinement = sandbox::confine(reach(&settings, arguments));
    let mut session = Session::new(&settings.device.to_string()).or_exit(Code::Software)?;
    let signals = signals()?;
    log::info!("emotiond {} starts as {:?}", env!("CARGO_PKG_VERSION"), settings.device.to_string());
    confinement.log();
    let mut models = models::open(&settings).or_exit(Code::Config)?;
    // The settings before a reload, until the new ones have proven good.
    let mut before = None;
    loop {
        let control = match Control::start(&settings, models, arguments, supervisor, &mut session, &signals) {
            Ok(control) => control,
            Err(failure) => {
                let Some(old) = before.take() else { return Err(failure) };
                log::error!("the old configuration comes back into force: {failure}");
                settings = old;
                models = models::open(&settings).or_exit(Code::Config)?;
                continue;
            }
        };
        supervisor.ready();
        match control.serve(|| reload(arguments, &confinement)) {
            Ok(Next::Reload(new)) => {
                before = Some(settings);
                (settings, models) = *new;
            }
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
        window: arguments.window.map(Into::into),
        trial: arguments.source.is_some() && arguments.publish == Destination::Stdout,
    };
    Settings::load(arguments.config.config.as_deref(), &overrides).or_exit(Code::Config)
}

/// Loads again, with models that can be opened, and refuses what the process can no longer reach: a reload must not end
/// a daemon that runs.
fn reload(arguments: &RunArgs, confinement: &Confinement) -> Result<(Settings, Models), Failure> {
    let settings = load(arguments)?;
    if let Some(objection) = confinement.objection(&reach(&settings, arguments)) {
        return Err(anyhow::anyhow!(objection)).or_exit(Code::Config);
    }
    let models = models::open(&settings).or_exit(Code::Config)?;
    Ok((settings, models))
}

/// What the daemon has to reach with these settings.
fn reach(settings: &Settings, arguments: &RunArgs) -> Access {
    Access::of(settings, arguments.config.path(), arguments.publish == Destination::Mqtt)
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

/// What vision needs to know of the configuration.
#[must_use]
pub fn vision_settings(settings: &Settings) -> VisionSettings {
    // Two frames may be missed before a face is no longer there.
    let three_frames = Duration::from_secs_f64(3.0 / settings.camera.rate);
    let tracker = TrackerSettings::default();
    let tracker = TrackerSettings { limit: tracker.limit.max(three_frames), ..tracker };
    let summary = SummarySettings {
        window: settings.window,
        hold: SummarySettings::default().hold.max(three_frames),
        policy: settings.privacy.policy,
        ..SummarySettings::default()
    };
    VisionSettings {
        min_face: settings.min_face,
        smoothing: settings.smoothing,
        tracker,
        summary,
        triggers: settings.triggers.clone(),
    }
}
