//! The vision thread: takes what the camera delivers, steps vision, hands on what there is to publish.

use std::sync::atomic::Ordering;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::capture::Losses;
use crate::clock::{Clock, ManualClock};
use crate::runtime::Event;
use crate::runtime::capture_worker::Switches;
use crate::runtime::mailbox::{Delivery, Mailbox};
use crate::runtime::systemd::Supervisor;
use crate::vision::{Outcome, Timing, Vision};
use emotiond_core::report::observation::CameraState;

/// How often windows and the watchdog are looked after while no frame comes.
const TICK: Duration = Duration::from_millis(250);

/// What vision has done since `health` last asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Progress {
    /// Frames that the camera delivered.
    pub captured: u64,
    /// Frames lost on the way.
    pub losses: Losses,
    /// Times of the stages; their counts are the frames and faces analysed.
    pub timing: Timing,
    /// The camera's state.
    pub camera: Option<CameraState>,
}

/// The vision thread's state.
pub struct VisionWorker {
    /// The stages.
    pub vision: Vision,
    /// Where frames come from.
    pub mailbox: Arc<Mailbox>,
    /// Both threads' signs of life.
    pub switches: Arc<Switches>,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// The same clock, if it is a replay's: it is set by the frames, each `Duration` long.
    pub replay: Option<(ManualClock, Duration)>,
    /// Where outcomes go.
    pub events: SyncSender<Event>,
    /// For `health`.
    pub progress: Arc<Mutex<Progress>>,
    /// The watchdog.
    pub supervisor: Supervisor,
}

impl VisionWorker {
    /// Runs until the source is over, a network fails, or the main thread has gone.
    pub fn run(mut self) {
        let mut seen = None;
        let mut ended = None;
        while ended.is_none() {
            match self.mailbox.take(TICK) {
                Some(Delivery::Frame(frame)) => {
                    if let Some((clock, _)) = &self.replay {
                        clock.advance_to(frame.at);
                    }
                    if let Err(error) = self.vision.frame(&frame) {
                        ended = Some(Event::Failed(error));
                    }
                }
                Some(Delivery::State(at, state)) => self.vision.camera_changed(at, state),
                Some(Delivery::Ended(at, result)) => {
                    if let Some((clock, frame)) = &self.replay {
                        // The last frame of a replay stands for its share of time too.
                        clock.advance_to(at + *frame);
                    }
                    ended = Some(Event::Ended(result));
                }
                None => {}
            }
            self.count();
            let now = self.clock.now();
            let outcomes = self.vision.advance(now);
            if !send(&self.events, outcomes) {
                break;
            }
            self.switches.turns.fetch_add(1, Ordering::Relaxed);
            // Only if the camera thread has moved too since the last time: then no hang outlives the watchdog's time. A
            // replay waits for whoever writes it, which is no hang.
            let beats = self.switches.beats.load(Ordering::Relaxed);
            if seen.replace(beats) != Some(beats) || self.replay.is_some() {
                self.supervisor.alive();
            }
        }
        self.mailbox.close();
        if let Some(event) = ended {
            let outcomes = self.vision.finish(self.clock.now());
            // Without a main thread there is nobody to tell.
            let _gone = send(&self.events, outcomes) && self.events.send(event).is_ok();
        }
    }

    fn count(&mut self) {
        let (losses, captured) = self.mailbox.take_counts();
        self.vision.lost(self.clock.now(), losses);
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        progress.captured += captured;
        progress.losses.dropped += losses.dropped;
        progress.losses.corrupt += losses.corrupt + self.vision.take_corrupt();
        progress.timing.merge(&self.vision.take_timing());
        progress.camera = Some(self.vision.camera());
    }
}

/// Hands outcomes to the main thread; false if it has gone.
fn send(events: &SyncSender<Event>, outcomes: Vec<Outcome>) -> bool {
    outcomes.into_iter().all(|outcome| events.send(Event::Outcome(outcome)).is_ok())
}
