//! The daemon's loop: one channel on which everything arrives, outcomes of vision, commands and signals.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use emotiond_core::report::payload::{Health, Info, Message};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use super::capture_worker::CaptureWorker;
use super::destination::OpenPublisher;
use super::event::Event;
use super::mailbox::Mailbox;
use super::reports;
use super::session::Session;
use super::systemd::Supervisor;
use super::vision_worker::VisionWorker;
use super::watchdog::Watchdog;
use crate::capture::{CaptureControl, Context, SourceError};
use crate::config::Settings;
use crate::exit::{Code, Failure, OrExit as _};
use crate::host::clock::Clock;
use crate::publish::mqtt::inbox::{Asked, RemoteCommand, Request};
use crate::publish::stdout::ReaderGone;
use crate::vision::models::Models;
use crate::vision::{Outcome, Vision};

/// How often the workers' signs of life are looked at.
const WATCH: Duration = Duration::from_secs(1);
/// Time between two `health` messages.
const HEALTH: Duration = Duration::from_secs(60);
/// What a stop may take to deliver what waits, once the open window is closed.
const STOP_TIMEOUT: Duration = Duration::from_millis(1500);
/// What vision may take before that to finish the frame that it is at and one that waits. Beyond it vision hangs, and its
/// window is lost. Together they are less than the units' `TimeoutStopSec`.
const FINISH_TIMEOUT: Duration = Duration::from_secs(7);
/// What the end of a recording may take to deliver its summaries: nobody waits for it to stop.
const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// What a reload waits for the old workers to close the device, which can be opened once, and to drop their models.
/// Beyond that they hang, and their successors find the device taken.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(2);

/// What to do after [`Daemon::serve`].
pub enum Next {
    /// Start again with these settings and models.
    Reload(Box<(Settings, Models)>),
    /// End.
    Exit,
}

/// Everything that runs between start and stop.
pub struct Daemon<'a> {
    session: &'a mut Session,
    supervisor: Supervisor,
    destination: OpenPublisher,
    mailbox: Arc<Mailbox>,
    control: Arc<CaptureControl>,
    workers: [JoinHandle<()>; 2],
    watchdog: Watchdog,
    clock: Arc<dyn Clock>,
    info: Info,
    device: String,
    next_health: Instant,
}

/// Starts the thread that turns signals into events.
///
/// # Errors
/// If the system refuses handlers or a thread.
pub fn signals(session: &Session) -> std::io::Result<()> {
    let sender = session.sender.clone();
    let mut signals = signal_hook::iterator::Signals::new([SIGTERM, SIGINT, SIGHUP])?;
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        for signal in signals.forever() {
            if sender.send(Event::Signal(signal)).is_err() {
                return;
            }
        }
    })?;
    Ok(())
}

impl<'a> Daemon<'a> {
    /// Opens the publisher and starts the workers.
    ///
    /// # Errors
    /// If the destination cannot be used at all; a camera or a broker that cannot be reached yet is tried again.
    pub fn start(
        settings: &Settings,
        models: Models,
        supervisor: Supervisor,
        session: &'a mut Session,
    ) -> Result<Self, Failure> {
        log_privacy(settings);
        for model in &models.info {
            log::info!("model {} {} ({}…)", model.name, model.version, &model.sha256[..12]);
        }
        let (clock, nominal, start) = session.clock(&settings.camera.properties());
        let vision = Vision::new(models.detector, models.emotion, models.sequences, settings.vision(), start);
        let info = reports::info(settings, models.info, vision.vocabulary());
        session.metering.keep(settings.metrics);
        let states = session.states(&info);
        session.keep_page(settings.page.as_ref(), &states);
        let before = session.publisher.take();
        let destination = OpenPublisher::open(settings, &info, HEALTH, before, states, &session.sender)?;

        let context = Context::new(Arc::clone(&clock));
        let control = Arc::clone(&context.control);
        control.paused.store(session.paused, Ordering::Relaxed);
        let mailbox = Arc::new(Mailbox::default());
        let pulse = Arc::new(AtomicU64::new(0));
        let watchdog = Watchdog::new(supervisor, Arc::clone(&pulse), Arc::clone(&control));
        let capture = CaptureWorker::spawn(settings.camera.clone(), context, Arc::clone(&mailbox))
            .or_exit(Code::Software)?;
        let worker = VisionWorker {
            vision,
            mailbox: Arc::clone(&mailbox),
            control: Arc::clone(&control),
            pulse,
            clock: Arc::clone(&clock),
            nominal,
            events: session.sender.clone(),
            status: Arc::clone(&session.status),
            supervisor,
        };
        let vision = std::thread::Builder::new()
            .name("vision".to_owned())
            .spawn(|| worker.run())
            .or_exit(Code::Software)?;
        Ok(Self {
            session,
            supervisor,
            destination,
            mailbox,
            control,
            workers: [capture, vision],
            watchdog,
            clock,
            info,
            device: settings.device.to_string(),
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
        let mut next_watch = Instant::now() + WATCH;
        loop {
            let until = next_watch.min(self.next_health);
            match self.session.events.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Event::Outcome(outcome)) => match self.publish_outcome(outcome) {
                    // The reader of standard output has had enough, as `head` has: the end, and no failure.
                    Err(error) if error.is::<ReaderGone>() => {
                        self.stop(Duration::ZERO, Duration::ZERO);
                        return Ok(Next::Exit);
                    }
                    Err(error) => log::error!("not published: {error:#}"),
                    Ok(()) => {}
                },
                Ok(Event::SourceEnded(result)) => return self.source_ended(result),
                Ok(Event::InferenceFailed(error)) => {
                    self.close(STOP_TIMEOUT);
                    return Err(Failure { code: Code::Software, error });
                }
                Ok(Event::Command(command)) => self.handle_command(command),
                Ok(Event::Signal(SIGHUP)) => {
                    self.supervisor.reloading();
                    match reload() {
                        Ok(new) => {
                            log::info!("configuration reloaded; restarting with it");
                            let keep = self.destination.serves(&new.0);
                            if keep {
                                self.stop_workers(FINISH_TIMEOUT);
                            } else {
                                self.stop(FINISH_TIMEOUT, STOP_TIMEOUT);
                            }
                            self.wait_closed();
                            self.session.publisher = keep.then_some(self.destination);
                            return Ok(Next::Reload(Box::new(new)));
                        }
                        Err(failure) => log::error!("the old configuration stays in force: {failure}"),
                    }
                    self.supervisor.ready();
                }
                Ok(Event::Signal(_)) => {
                    log::info!("stopping on request");
                    self.stop(FINISH_TIMEOUT, STOP_TIMEOUT);
                    return Ok(Next::Exit);
                }
                // Of workers that hung when the configuration before this one was stopped.
                Ok(Event::Stopped(_)) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => unreachable!("the session holds a sender"),
            }
            let now = Instant::now();
            if now >= next_watch {
                next_watch = now + WATCH;
                let trouble = self.watchdog.check();
                self.publish_camera();
                self.show_broker();
                self.meter(trouble);
            }
            if now >= self.next_health {
                self.next_health += HEALTH;
                let health = self.health();
                self.supervisor.status(&health.status_line());
                self.publish(self.session.reports.encoder().health(&health));
            }
        }
    }

    fn source_ended(mut self, result: Result<(), SourceError>) -> Result<Next, Failure> {
        self.close(if result.is_ok() { DRAIN_TIMEOUT } else { STOP_TIMEOUT });
        let Err(error) = result else {
            log::info!("the recording is over");
            return Ok(Next::Exit);
        };
        let code = match &error {
            SourceError::Unsupported { .. } => Code::Config,
            SourceError::NoFrames { bytes: 1.., .. }
            | SourceError::Damaged { .. }
            | SourceError::Picture { .. } => Code::Data,
            _ => Code::NoInput,
        };
        Err(error).or_exit(code)
    }

    fn publish_outcome(&mut self, outcome: Outcome) -> anyhow::Result<()> {
        let message = match outcome {
            Outcome::Summary(summary) => {
                let message = self.session.reports.summary(&summary, self.clock.as_ref());
                self.session.metering.closed(&message.body);
                message
            }
            Outcome::Event(event) => {
                self.publish(Message::trigger_state(&event.name, event.active));
                if !event.published {
                    return Ok(());
                }
                self.session.reports.event(&event, self.clock.as_ref())
            }
        };
        self.session.show(&message);
        self.destination.publisher.publish(message)
    }

    /// Puts the numbers of this moment on the board of metrics, if there is one.
    fn meter(&self, trouble: Option<&'static str>) {
        if self.session.metering.is_on() {
            let (totals, _) = self.session.status.totals();
            let counters = self.destination.publisher.counters();
            let health =
                self.session.reports.health(self.session.status.as_ref(), &counters, self.clock.as_ref());
            self.session.metering.post(&self.device, &health, &totals, &counters, trouble);
        }
    }

    /// Shows on the page whether there is a connection to the broker, if there is to be one.
    fn show_broker(&mut self) {
        if self.session.page.is_some() && self.destination.has_broker() {
            let connected = self.destination.publisher.counters().connected;
            self.session.show_broker(connected);
        }
    }

    /// Publishes the camera's state where it has changed.
    fn publish_camera(&mut self) {
        let (_, camera) = self.session.status.totals();
        if let Some(state) = camera.filter(|_| camera != self.session.camera) {
            self.session.camera = camera;
            self.publish(Message::camera_state(state));
        }
    }

    /// Publishes what is of the moment; a destination that has gone is noticed with the next summary.
    fn publish(&mut self, message: Message) {
        self.session.show(&message);
        if let Err(error) = self.destination.publisher.publish(message) {
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
                self.control.paused.store(paused, Ordering::Relaxed);
                self.publish(Message::pause_state(paused));
            }
            RemoteCommand::Request(request) => {
                let answer = self.answer(&request);
                self.publish(answer);
            }
        }
    }

    fn answer(&self, request: &Request) -> Message {
        let encoder = self.session.reports.encoder();
        let answer = match request.asked {
            Asked::Info => request.answer(&encoder.enveloped(&self.info)),
            Asked::Health => request.answer(&encoder.enveloped(&self.health())),
            Asked::Summary => match self.session.reports.last_summary() {
                Some(summary) => request.answer(&summary),
                None => return request.refusal("no window has closed yet"),
            },
        };
        answer.unwrap_or_else(|error| request.refusal(&format!("the answer cannot be written: {error}")))
    }

    fn health(&self) -> Health {
        let status = self.session.status.as_ref();
        self.session.reports.health(status, &self.destination.publisher.counters(), self.clock.as_ref())
    }

    /// Stops the workers, publishes what is left of vision, and closes the publisher, each within a time.
    fn stop(&mut self, finish: Duration, deliver: Duration) {
        self.stop_workers(finish);
        self.close(deliver);
    }

    /// Stops the workers and publishes what is left of vision, the open window included.
    fn stop_workers(&mut self, within: Duration) {
        self.control.stop.store(true, Ordering::Relaxed);
        self.mailbox.stop();
        let finish = Instant::now() + within;
        let mut deferred = Vec::new();
        let ended = loop {
            match self.session.events.recv_timeout(finish.saturating_duration_since(Instant::now())) {
                Ok(Event::Outcome(outcome)) => {
                    if let Err(error) = self.publish_outcome(outcome) {
                        log::debug!("not published: {error:#}");
                    }
                }
                Ok(Event::Stopped(at)) => break Some(at),
                // The source was over or a network failed at the same moment: vision has finished too.
                Ok(Event::SourceEnded(_) | Event::InferenceFailed(_)) => break None,
                // For whoever serves next: a stop that follows a reload at once must not be lost.
                Ok(event @ (Event::Command(_) | Event::Signal(_))) => deferred.push(event),
                Err(_) => {
                    if !within.is_zero() {
                        log::warn!("vision does not stop in time; its open window is lost");
                    }
                    break None;
                }
            }
        };
        for event in deferred {
            let _full = self.session.sender.try_send(event);
        }
        self.session.windows_ended(ended);
    }

    /// Closes the publisher after the workers have ended.
    fn close(&mut self, within: Duration) {
        self.control.stop.store(true, Ordering::Relaxed);
        match self.destination.publisher.close(within) {
            Ok(0) => {}
            Ok(left) => log::warn!("{left} messages were not delivered and are lost"),
            Err(error) => log::debug!("closing the publisher: {error:#}"),
        }
    }

    /// Waits for the workers, which have been told to stop, to end.
    fn wait_closed(&self) {
        let deadline = Instant::now() + CLOSE_TIMEOUT;
        while !self.workers.iter().all(JoinHandle::is_finished) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Says at every start what the site allows, because the operator is answerable for it.
fn log_privacy(settings: &Settings) {
    let privacy = &settings.privacy;
    let site = privacy.site.name();
    match (privacy.exemption(), privacy.policy.emotion) {
        (Some(basis), true) => {
            log::warn!("site {site}: emotion is inferred on the legal basis {basis:?}");
        }
        (_, true) if privacy.policy.min_people > 1 => {
            log::info!(
                "site {site}: emotion is read, and published of {} or more people at once",
                privacy.policy.min_people
            );
        }
        (_, true) => log::info!("site {site}: emotion is read and published"),
        (_, false) => log::info!(
            "site {site}: emotion is not inferred (EU AI Act Art. 5(1)(f)); faces are counted, no emotion model is opened"
        ),
    }
}
