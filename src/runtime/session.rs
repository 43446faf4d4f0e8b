//! What lasts from one reload of the configuration to the next.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, SyncSender};
use std::time::{Duration, Instant, SystemTime};

use emotiond_core::Moment;
use emotiond_core::report::observation::CameraState;
use emotiond_core::report::payload::{Info, Message, Topic};

use super::destination::OpenPublisher;
use super::event::Event;
use super::metering::Metering;
use super::reports::Reports;
use super::status::Status;
use super::vision_worker::NominalClock;
use crate::capture::{Properties, Timeline};
use crate::host::clock::{Clock, ManualClock, SystemClock};
use crate::publish::page::{PageServer, PageSettings};

/// Events that may wait: more means that the daemon's loop hangs, and then vision has to hang with it, so that the
/// watchdog sees it.
const EVENTS: usize = 256;

/// What lasts as long as the process does.
pub struct Session {
    /// Numbers and stamps what is published.
    pub reports: Reports,
    /// The counters.
    pub status: Arc<Status>,
    /// Whether the camera is closed on request.
    pub paused: bool,
    /// The publisher of the configuration before, if it is not to be closed.
    pub publisher: Option<OpenPublisher>,
    /// What Prometheus is shown.
    pub metering: Metering,
    /// The page, if there is one.
    pub page: Option<PageServer>,
    /// What the page was told of the connection to the broker.
    connected: Option<bool>,
    /// What was published of the camera last.
    pub camera: Option<CameraState>,
    /// The triggers whose states are on the broker.
    triggers: Vec<String>,
    /// Where everything that happens arrives.
    pub events: Receiver<Event>,
    /// The other end, for whoever has something to tell.
    pub sender: SyncSender<Event>,
    /// The clock of live sources.
    live: Arc<SystemClock>,
    /// The clock of the recording that runs, and where the windows before it ended.
    nominal: Option<ManualClock>,
    /// When the last window of the configuration before this one ended, on the clock that it went by.
    ended: Option<Moment>,
}

impl Session {
    /// A session of the device of that name.
    ///
    /// # Errors
    /// If the system has no random numbers.
    pub fn new(device: &str) -> anyhow::Result<Self> {
        let (sender, events) = mpsc::sync_channel(EVENTS);
        Ok(Self {
            reports: Reports::new(device)?,
            status: Arc::new(Status::new(Instant::now())),
            paused: false,
            publisher: None,
            metering: Metering::default(),
            page: None,
            connected: None,
            camera: None,
            triggers: Vec::new(),
            events,
            sender,
            live: Arc::new(SystemClock::new()),
            nominal: None,
            ended: None,
        })
    }

    /// The clock for a source, and the moment at which its first window begins: where the last one of an earlier
    /// configuration ended, if that went by the same clock.
    pub fn clock(&mut self, source: &Properties) -> (Arc<dyn Clock>, Option<NominalClock>, Moment) {
        match source.timeline {
            Timeline::Live => {
                if self.nominal.take().is_some() {
                    self.ended = None;
                }
                let clock: Arc<dyn Clock> = Arc::clone(&self.live) as _;
                let start = self.ended.unwrap_or_else(|| clock.now());
                (clock, None, start)
            }
            Timeline::Nominal { fps } => {
                if self.nominal.is_none() {
                    self.ended = None;
                }
                let clock = self.nominal.get_or_insert_with(|| ManualClock::new(SystemTime::now())).clone();
                let start = self.ended.unwrap_or_else(|| clock.now());
                let frame = Duration::from_secs_f64(1.0 / fps);
                (Arc::new(clock.clone()), Some(NominalClock { clock, frame }), start)
            }
        }
    }

    /// The retained messages of a start: what this device is and does. A trigger of the configuration before that is one
    /// no more leaves nothing on the broker.
    pub fn states(&mut self, info: &Info) -> Vec<Message> {
        let mut messages = vec![self.reports.encoder().info(info), Message::pause_state(self.paused)];
        messages.extend(self.camera.map(Message::camera_state));
        messages.extend(info.triggers.iter().map(|trigger| Message::trigger_state(trigger, false)));
        let before = std::mem::replace(&mut self.triggers, info.triggers.clone());
        let gone = before.into_iter().filter(|trigger| !info.triggers.contains(trigger));
        messages
            .extend(gone.map(|trigger| Message { topic: Topic::TriggerState(trigger), body: String::new() }));
        messages
    }

    /// Goes on with the page under these settings, or closes it, and shows the states of a start.
    pub fn keep_page(&mut self, wanted: Option<&PageSettings>, states: &[Message]) {
        self.page = self.page.take().filter(|_| wanted.is_some());
        if let (Some(page), Some(wanted)) = (&self.page, wanted) {
            page.apply(wanted);
            states.iter().for_each(|message| page.show(message));
        }
    }

    /// Shows on the page what is published.
    pub fn show(&self, message: &Message) {
        if let Some(page) = &self.page {
            page.show(message);
        }
    }

    /// Shows on the page whether there is a connection to the broker, when that has changed.
    pub fn show_broker(&mut self, connected: bool) {
        if let Some(page) = self.page.as_ref().filter(|_| self.connected != Some(connected)) {
            page.show_broker(connected);
            self.connected = Some(connected);
        }
    }

    /// Takes note of where the last window ended; `None` if that is not known.
    pub fn windows_ended(&mut self, at: Option<Moment>) {
        self.ended = at;
    }
}
