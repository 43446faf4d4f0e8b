//! The daemon: the only room that knows every stage. Starts the workers, serves signals and commands, stops in order.

mod capture_worker;
mod daemon;
mod destination;
mod event;
mod health;
mod mailbox;
mod metering;
mod reports;
mod session;
mod status;
mod systemd;
mod vision_worker;
mod watchdog;

use std::net::SocketAddr;

use crate::config::{Destination, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::publish;
use crate::publish::page::PageServer;
use crate::publish::settings::{Broker, OpenListener};
use crate::sandbox::{self, Access, Confinement};
use crate::vision::models::{self, Models};
use daemon::{Daemon, Next, signals};
use session::Session;
use systemd::Supervisor;

/// Runs until the source is over or the process is told to stop. `load` reads the settings, now and at each reload.
///
/// # Errors
/// With the exit code that tells systemd whether another try makes sense.
pub fn run(load: impl Fn() -> Result<Settings, Failure>) -> Result<(), Failure> {
    sandbox::forbid_dumps().or_exit(Code::Software)?;
    let supervisor = Supervisor::from_environment();
    let mut settings = load()?;
    settings.mqtt.listener = listener(&settings)?;
    let metrics = settings.metrics.map(publish::metrics::listen).transpose().or_exit(Code::Config)?;
    let page = settings.page.as_ref().map(publish::page::listen).transpose().or_exit(Code::Config)?;
    // Before there is another thread, which would not be confined.
    let confinement = sandbox::confine(access(&settings));
    let mut session = Session::new(&settings.device.to_string()).or_exit(Code::Software)?;
    if let Some(socket) = metrics {
        session.metering.start(socket).or_exit(Code::Software)?;
    }
    if let (Some(socket), Some(page)) = (page, &settings.page) {
        session.page = Some(PageServer::start(socket, page).or_exit(Code::Software)?);
    }
    signals(&session).or_exit(Code::Software)?;
    log::info!("emotiond {} starts as {:?}", env!("CARGO_PKG_VERSION"), settings.device.to_string());
    confinement.log();
    let mut models = models::open(&settings.models, &settings.privacy.policy).or_exit(Code::Config)?;
    // The settings before a reload, until the new ones have proven good.
    let mut before = None;
    loop {
        let daemon = match Daemon::start(&settings, models, supervisor, &mut session) {
            Ok(daemon) => daemon,
            Err(failure) => {
                let Some(old) = before.take() else { return Err(failure) };
                log::error!("the old configuration comes back into force: {failure}");
                settings = old;
                models = models::open(&settings.models, &settings.privacy.policy).or_exit(Code::Config)?;
                continue;
            }
        };
        // A socket that listened for the settings before is closed with them.
        drop(before.take());
        supervisor.ready();
        match daemon.serve(|| reload(&load, &confinement, &settings)) {
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

/// The socket of an embedded broker, before the process gives up listening.
fn listener(settings: &Settings) -> Result<Option<OpenListener>, Failure> {
    let mqtt = &settings.mqtt;
    if settings.publish != Destination::Mqtt || mqtt.broker != Broker::Embedded {
        return Ok(None);
    }
    let listener = publish::listen(mqtt.embedded_listen, mqtt.credentials.is_some()).or_exit(Code::Config)?;
    Ok(Some(listener.into()))
}

/// Loads again, with models that can be opened, and refuses what the process can no longer reach: a reload must not end
/// a daemon that runs.
fn reload(
    load: impl Fn() -> Result<Settings, Failure>,
    confinement: &Confinement,
    running: &Settings,
) -> Result<(Settings, Models), Failure> {
    let mut settings = load()?;
    if settings.publish == Destination::Mqtt && settings.mqtt.broker == Broker::Embedded {
        let listen = settings.mqtt.embedded_listen;
        settings.mqtt.listener =
            running.mqtt.listener.clone().filter(|_| listen == running.mqtt.embedded_listen);
        if settings.mqtt.listener.is_none() {
            return Err(cannot_listen(listen));
        }
    }
    if let Some(listen) = settings.metrics.filter(|_| settings.metrics != running.metrics) {
        return Err(cannot_listen(listen));
    }
    if let Some(page) = &settings.page
        && running.page.as_ref().is_none_or(|running| running.listen != page.listen)
    {
        return Err(cannot_listen(page.listen));
    }
    if let Some(objection) = confinement.objection(&access(&settings)) {
        return Err(anyhow::anyhow!(objection)).or_exit(Code::Config);
    }
    let models = models::open(&settings.models, &settings.privacy.policy).or_exit(Code::Config)?;
    Ok((settings, models))
}

/// Why a reload is refused whose settings name a socket that was not opened at the start.
fn cannot_listen(listen: SocketAddr) -> Failure {
    let error = anyhow::anyhow!(
        "the running process cannot begin to listen on {listen}: restart emotiond (systemctl restart emotiond)"
    );
    Failure { code: Code::Config, error }
}

/// What the daemon has to reach with these settings.
fn access(settings: &Settings) -> Access {
    Access::of(settings, settings.publish == Destination::Mqtt)
}
