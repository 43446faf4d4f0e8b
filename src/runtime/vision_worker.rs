//! The vision worker: takes what the capture worker delivers, steps vision, hands on what there is to publish.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;
use std::time::{Duration, Instant};

use emotiond_core::Moment;

use super::event::Event;
use super::mailbox::{Ending, Item, Mailbox};
use super::status::{Status, Totals};
use super::systemd::Supervisor;
use crate::capture::CaptureControl;
use crate::host::clock::{Clock, ManualClock, process_time};
use crate::vision::{Outcome, Vision};

/// How often windows and the watchdog are looked after while no frame comes.
const TICK: Duration = Duration::from_millis(250);

/// The clock of a recording at full speed: its frames set it, and each of them lasts as long.
#[derive(Clone)]
pub struct NominalClock {
    /// The clock that windows go by.
    pub clock: ManualClock,
    /// How long a frame lasts.
    pub frame: Duration,
}

/// The vision worker's state.
pub struct VisionWorker {
    /// The stages.
    pub vision: Vision,
    /// Where frames come from.
    pub mailbox: Arc<Mailbox>,
    /// The capture worker's sign of life.
    pub control: Arc<CaptureControl>,
    /// Rises while this thread runs; standing still, it hangs in inference.
    pub pulse: Arc<AtomicU64>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// The same clock, if the frames set it.
    pub nominal: Option<NominalClock>,
    /// Where outcomes go.
    pub events: SyncSender<Event>,
    /// Where the counters go.
    pub status: Arc<Status>,
    /// The service manager, whose watchdog is fed here.
    pub supervisor: Supervisor,
}

impl VisionWorker {
    /// Runs until the mailbox ends, inference fails, or the daemon has gone. The window that is open then is closed and
    /// handed on, whatever the reason.
    pub fn run(mut self) {
        let (mut seen, mut camera_known) = (None, false);
        let ended = loop {
            let mut ended = None;
            let wait = self.vision.wait();
            let item = if wait.is_zero() {
                self.mailbox.take(TICK)
            } else {
                // Too much processor time is used: whoever asks for something is heard, frames are not.
                self.mailbox.take_but_frames(wait.min(TICK))
            };
            match item {
                Some(Item::Frame(frame)) => {
                    self.reach(frame.at);
                    if let Err(error) = self.vision.frame(&frame) {
                        ended = Some(Err(error));
                    }
                }
                Some(Item::State(at, state)) => {
                    self.vision.camera_changed(at, state);
                    camera_known = true;
                }
                Some(Item::Ended(ending)) => {
                    if let (Some(nominal), Ending::Source(at, _)) = (&self.nominal, &ending) {
                        // The last frame of a recording stands for its share of time too.
                        self.reach(*at + nominal.frame);
                    }
                    ended = Some(Ok(ending));
                }
                None => {}
            }
            self.count(camera_known);
            let outcomes = self.vision.advance(self.clock.now());
            if !send(&self.events, outcomes) {
                break None;
            }
            if ended.is_some() {
                break ended;
            }
            self.pulse.fetch_add(1, Ordering::Relaxed);
            // Only if the capture worker has moved too since the last time: then no hang outlives the watchdog's time.
            let pulse = self.control.pulse.load(Ordering::Relaxed);
            if seen.replace(pulse) != Some(pulse) {
                self.supervisor.alive();
            }
        };
        self.mailbox.close();
        let Some(ended) = ended else { return };
        let end = self.clock.now();
        let event = match ended {
            Ok(Ending::Source(_, result)) => Event::SourceEnded(result),
            Ok(Ending::Stopped) => Event::Stopped(end),
            Err(error) => Event::InferenceFailed(error),
        };
        let outcomes = self.vision.finish(end);
        // Without a daemon there is nobody to tell.
        let _gone = send(&self.events, outcomes) && self.events.send(event).is_ok();
    }

    /// Moves a recording's clock on to the moment.
    fn reach(&self, at: Moment) {
        if let Some(nominal) = &self.nominal {
            nominal.clock.advance_to(at);
        }
    }

    /// Adds to the counters. Before the first word of the capture worker nobody knows what the camera does.
    fn count(&mut self, camera_known: bool) {
        let (mut losses, captured) = self.mailbox.take_counts();
        self.vision.lost(self.clock.now(), losses);
        losses.corrupt += self.vision.take_corrupt();
        let (timing, readings) = (self.vision.take_timing(), self.vision.take_readings());
        let news = Totals { captured, losses, timing, readings, cpu: process_time() };
        let camera = camera_known.then(|| self.vision.camera());
        self.status.add(Instant::now(), &news, camera);
    }
}

/// Hands outcomes to the daemon; false if it has gone.
fn send(events: &SyncSender<Event>, outcomes: Vec<Outcome>) -> bool {
    outcomes.into_iter().all(|outcome| events.send(Event::Outcome(outcome)).is_ok())
}
