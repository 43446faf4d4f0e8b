//! The main thread's part: starts the stages, publishes what they say, serves signals, commands and `health`.

use std::sync::atomic::Ordering;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use signal_hook::consts::SIGHUP;

use crate::capture::SourceError;
use crate::clock::Clock;
use crate::command::cli::{Destination, RunArgs};
use crate::config::Settings;
use crate::exit::{Code, Failure, OrExit as _};
use crate::publish::Publisher;
use crate::publish::home_assistant::{self, Announced};
use crate::publish::mqtt::inbox::{Asked, RemoteCommand, Request};
use crate::publish::mqtt::{Announcement, MqttPublisher};
use crate::publish::settings::Broker;
use crate::publish::stdout::{LinePublisher, ReaderGone};
use crate::runtime::capture_worker::Switches;
use crate::runtime::feed::Feed;
use crate::runtime::status::{self, Reports};
use crate::runtime::systemd::Supervisor;
use crate::runtime::vision_worker::{Progress, VisionWorker};
use crate::runtime::watchdog::Watchdog;
use crate::runtime::{EVENTS, Event, vision_settings};
use crate::vision::models::Models;
use crate::vision::{Outcome, Vision};
use emotiond_core::report::payload::{Health, Info, Message};

/// How often the main thread looks for signals and commands.
const TICK: Duration = Duration::from_millis(100);
/// Time between two `health` messages.
const HEALTH: Duration = Duration::from_secs(60);
/// What a stop may take to deliver what waits; systemd's own patience is longer.
const GOOD_BYE: Duration = Duration::from_millis(1500);
/// What the end of a replay may take to deliver its summaries: nobody waits for it to stop.
const DELIVERY: Duration = Duration::from_secs(30);

/// What a reload waits for the old camera thread to close the device, which can be opened once. Beyond that it hangs, and
/// its successor finds the device taken.
const CLOSING: Duration = Duration::from_secs(2);

/// What lasts from one reload of the configuration to the next.
pub struct Session {
    /// Stamps and counts what is published.
    pub reports: Reports,
    /// Whether the camera is closed on request.
    pub paused: bool,
}

/// What to do after [`Control::serve`].
pub enum Next {
    /// Start again with these settings and models.
    Reload(Box<(Settings, Models)>),
    /// End.
    Exit,
}

/// Everything that runs between start and stop.
pub struct Control<'a> {
    session: &'a mut Session,
    signals: &'a Receiver<i32>,
    supervisor: Supervisor,
    publisher: Box<dyn Publisher>,
    commands: Receiver<RemoteCommand>,
    events: Receiver<Event>,
    switches: Arc<Switches>,
    camera: JoinHandle<()>,
    watchdog: Watchdog,
    progress: Arc<Mutex<Progress>>,
    clock: Arc<dyn Clock>,
    info: Info,
    next_health: Instant,
}

impl Session {
    /// A session of the device of that name.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(device: &str) -> anyhow::Result<Self> {
        Ok(Self { reports: Reports::new(device)?, paused: false })
    }
}

impl<'a> Control<'a> {
    /// Opens the publisher and starts the camera and vision threads.
    ///
    /// # Errors
    /// If the destination cannot be used at all; a camera or a broker that is away is waited for.
    pub fn start(
        settings: &Settings,
        models: Models,
        arguments: &RunArgs,
        supervisor: Supervisor,
        session: &'a mut Session,
        signals: &'a Receiver<i32>,
    ) -> Result<Self, Failure> {
        log_privacy(settings);
        for model in &models.info {
            log::info!("model {} {} ({}…)", model.name, model.version, &model.sha256[..12]);
        }
        let feed = Feed::new(settings, arguments);
        let clock = feed.clock();
        let vision = Vision::new(models.detector, models.emotion, vision_settings(settings), clock.now());
        let info = status::info(settings, models.info, vision.vocabulary());
        let (command_sender, commands) = mpsc::sync_channel(16);
        let mut publisher = publisher(settings, arguments.publish, &info, command_sender)?;
        for message in [session.reports.encoder().info(&info), Message::pause_state(session.paused)] {
            publisher.publish(message).or_exit(Code::Unavailable)?;
        }

        let switches = Arc::new(Switches::default());
        switches.paused.store(session.paused, Ordering::Relaxed);
        let progress = Arc::new(Mutex::new(Progress::default()));
        let (sender, events) = mpsc::sync_channel(EVENTS);
        let replay = feed.replay();
        let watchdog = Watchdog::new(supervisor, replay.is_none());
        let (mailbox, camera) = feed.start(Arc::clone(&switches)).or_exit(Code::Software)?;
        let worker = VisionWorker {
            vision,
            mailbox,
            switches: Arc::clone(&switches),
            clock: Arc::clone(&clock),
            replay,
            events: sender,
            progress: Arc::clone(&progress),
            supervisor,
        };
        std::thread::Builder::new()
            .name("vision".to_owned())
            .spawn(|| worker.run())
            .or_exit(Code::Software)?;
        Ok(Self {
            session,
            signals,
            supervisor,
            publisher,
            commands,
            events,
            switches,
            camera,
            watchdog,
            progress,
            clock,
            info,
            next_health: Instant::now() + HEALTH,
        })
    }

    /// Serves until the source is over, a signal ends it, or a reload brings new settings.
    ///
    /// # Errors
    /// If the source can never work, or a network fails.
    pub fn serve(
        mut self,
        reload: impl Fn() -> Result<(Settings, Models), Failure>,
    ) -> Result<Next, Failure> {
        loop {
            match self.events.recv_timeout(TICK) {
                Ok(Event::Outcome(outcome)) => {
                    match self.publish_outcome(outcome) {
                        // The reader of standard output has had enough, as `head` has: the end, and no failure.
                        Err(error) if error.is::<ReaderGone>() => {
                            self.stop(Duration::ZERO);
                            return Ok(Next::Exit);
                        }
                        Err(error) => log::error!("not published: {error:#}"),
                        Ok(()) => {}
                    }
                }
                Ok(Event::Ended(result)) => return self.ended(result),
                Ok(Event::Failed(error)) => {
                    self.stop(GOOD_BYE);
                    return Err(Failure { code: Code::Software, error });
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    let error = anyhow::anyhow!("the vision thread has gone");
                    return Err(Failure { code: Code::Software, error });
                }
            }
            while let Ok(command) = self.commands.try_recv() {
                self.handle_command(command);
            }
            while let Ok(signal) = self.signals.try_recv() {
                if signal != SIGHUP {
                    log::info!("told to stop");
                    self.stop(GOOD_BYE);
                    return Ok(Next::Exit);
                }
                self.supervisor.reloading();
                match reload() {
                    Ok(new) => {
                        log::info!("configuration read again; starting anew with it");
                        self.stop(GOOD_BYE);
                        self.wait_closed();
                        return Ok(Next::Reload(Box::new(new)));
                    }
                    Err(failure) => log::error!("the old configuration stays in force: {failure}"),
                }
                self.supervisor.ready();
            }
            if let Some(reason) = self.publisher.fatal() {
                self.stop(GOOD_BYE);
                return Err(Failure { code: Code::Software, error: anyhow::anyhow!(reason) });
            }
            self.watchdog.look(&self.switches);
            if Instant::now() >= self.next_health {
                self.next_health += HEALTH;
                let health = self.health();
                self.supervisor.status(&health.status_line());
                self.publish(self.session.reports.encoder().health(&health));
            }
        }
    }

    fn ended(mut self, result: Result<(), SourceError>) -> Result<Next, Failure> {
        self.stop(if result.is_ok() { DELIVERY } else { GOOD_BYE });
        match result {
            Ok(()) => {
                log::info!("the replay is over");
                Ok(Next::Exit)
            }
            Err(error @ SourceError::Unsupported { .. }) => Err(error).or_exit(Code::Config),
            Err(error) => Err(error).or_exit(Code::NoInput),
        }
    }

    fn publish_outcome(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        let message = match outcome {
            Outcome::Summary(summary) => self.session.reports.summary(&summary, self.clock.as_ref()),
            Outcome::Event(event) => self.session.reports.event(&event, self.clock.as_ref()),
        };
        self.publisher.publish(message)
    }

    /// Publishes what is of the moment; a destination that has gone is noticed with the next summary.
    fn publish(&mut self, message: Message) {
        if let Err(error) = self.publisher.publish(message) {
            log::debug!("not published: {error:#}");
        }
    }

    fn handle_command(&mut self, command: RemoteCommand) {
        match command {
            RemoteCommand::Pause(paused) => {
                if paused != self.session.paused {
                    log::info!("{} on request", if paused { "paused" } else { "resumed" });
                }
                self.session.paused = paused;
                self.switches.paused.store(paused, Ordering::Relaxed);
                self.publish(Message::pause_state(paused));
            }
            RemoteCommand::Request(request) => {
                let answer = self.answer(&request);
                self.publish(answer);
            }
        }
    }

    fn answer(&mut self, request: &Request) -> Message {
        let health = (request.asked == Asked::Health).then(|| self.health());
        let encoder = self.session.reports.encoder();
        let answer = match request.asked {
            Asked::Info => request.answer(&encoder.signed(&self.info)),
            Asked::Health => request.answer(&encoder.signed(&health)),
            Asked::Summary => match self.session.reports.last_summary() {
                Some(summary) => request.answer(&summary),
                None => return request.refusal("no window has closed yet"),
            },
        };
        answer.unwrap_or_else(|error| request.refusal(&format!("the answer cannot be written: {error}")))
    }

    fn health(&mut self) -> Health {
        let progress = std::mem::take(&mut *self.progress.lock().unwrap_or_else(PoisonError::into_inner));
        self.session.reports.health(&progress, &self.publisher.counters(), self.clock.as_ref())
    }

    /// Waits for the camera thread, which has been told to stop, to close the device.
    fn wait_closed(&self) {
        let deadline = Instant::now() + CLOSING;
        while !self.camera.is_finished() && Instant::now() < deadline {
            std::thread::sleep(TICK / 10);
        }
    }

    fn stop(&mut self, within: Duration) {
        self.switches.stop.store(true, Ordering::Relaxed);
        // Windows that have closed meanwhile are as good as any.
        while let Ok(Event::Outcome(outcome)) = self.events.try_recv() {
            if let Err(error) = self.publish_outcome(outcome) {
                log::debug!("not published: {error:#}");
            }
        }
        match self.publisher.close(within) {
            Ok(0) => {}
            Ok(left) => log::warn!("{left} messages were not delivered and are lost"),
            Err(error) => log::debug!("closing the publisher: {error:#}"),
        }
    }
}

/// The destination that the command line names.
fn publisher(
    settings: &Settings,
    destination: Destination,
    info: &Info,
    commands: SyncSender<RemoteCommand>,
) -> Result<Box<dyn Publisher>, Failure> {
    if destination == Destination::Stdout {
        return Ok(Box::new(LinePublisher::stdout()));
    }
    let mqtt = settings.mqtt.clone();
    if mqtt.durable.is_none() && mqtt.broker != Broker::Embedded {
        log::warn!(
            "no state directory: what the broker has not taken is kept in memory alone and lost by a restart; set \
             mqtt.state_directory, or StateDirectory= in the unit"
        );
    }
    let mut announcement = Announcement { status: true, discovery: None };
    if settings.home_assistant.discovery {
        let announced = Announced {
            prefix: &settings.home_assistant.prefix,
            device: &settings.device,
            window: settings.window,
            health_interval: HEALTH,
            expressions: &info.capabilities.expressions,
            valence_arousal: info.capabilities.valence_arousal,
            facing: settings.privacy.facing,
            triggers: &info.triggers,
            commands: settings.mqtt.commands,
        };
        announcement.discovery = Some(home_assistant::discovery(&announced).or_exit(Code::Config)?);
    }
    Ok(Box::new(MqttPublisher::start(mqtt, announcement, commands).or_exit(Code::Config)?))
}

/// Says at every start what the site allows, because the operator is answerable for it.
fn log_privacy(settings: &Settings) {
    let privacy = &settings.privacy;
    let site = privacy.site.name();
    match (&privacy.legal_basis, privacy.emotion()) {
        (Some(basis), true) if privacy.site.forbids_emotion() => {
            log::warn!("site {site}: emotion is inferred on the legal basis {basis:?}");
        }
        (_, true) if privacy.min_people > 1 => {
            log::info!(
                "site {site}: emotion is read, and published of {} or more people at once",
                privacy.min_people
            );
        }
        (_, true) => log::info!("site {site}: emotion is read and published"),
        (_, false) => log::info!(
            "site {site}: emotion is not inferred (EU AI Act Art. 5(1)(f)); faces are counted, no emotion model is opened"
        ),
    }
}
