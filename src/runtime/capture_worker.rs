//! The capture worker: owns the source, keeps only the newest frame, opens it again after every fault.

use std::mem::Discriminant;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use emotiond_core::Moment;
use emotiond_core::backoff::Backoff;
use emotiond_core::report::observation::CameraState;

use super::mailbox::Mailbox;
use crate::capture::{CameraSettings, Context, Delivery, FrameSource, Opener, Properties, SourceError};

/// The shortest wait before a lost source is tried again.
const SHORTEST_WAIT: Duration = Duration::from_millis(500);
/// A source that comes back is seen within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// How often a waiting worker looks whether it is to pause, resume or stop.
const TICK: Duration = Duration::from_millis(100);

/// Which frames are due for analysis: the first at or after every `interval`.
#[derive(Debug)]
struct FrameSchedule {
    interval: Duration,
    next: Moment,
}

impl FrameSchedule {
    /// `rate` frames a second are due. A frame up to a tenth of the interval early counts as on time, since cameras
    /// jitter.
    fn new(rate: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / rate), next: Moment::ZERO }
    }

    /// Whether the frame captured `at` is due; if so the next one is due an interval later.
    fn due(&mut self, at: Moment) -> bool {
        if at + self.interval / 10 < self.next {
            return false;
        }
        // Count on from the schedule, so that jitter does not add up, unless the schedule has been missed.
        self.next = if at > self.next + self.interval { at } else { self.next } + self.interval;
        true
    }
}

/// The capture worker's state.
pub struct CaptureWorker {
    open: Opener,
    properties: Properties,
    context: Context,
    mailbox: Arc<Mailbox>,
    schedule: FrameSchedule,
    /// What the mailbox was told last.
    reported: Option<CameraState>,
    /// Why no frame comes, since the last one came.
    fault: Option<Discriminant<SourceError>>,
    backoff: Backoff,
    /// When the last frame was captured, if one was.
    last: Option<Moment>,
}

impl CaptureWorker {
    /// Starts the worker's thread, which ends, with the source closed, once the context's control says so.
    ///
    /// # Errors
    /// If the system has no thread to give.
    pub fn spawn(
        settings: CameraSettings,
        context: Context,
        mailbox: Arc<Mailbox>,
    ) -> std::io::Result<JoinHandle<()>> {
        let (properties, rate) = (settings.properties(), settings.mode.rate);
        let worker = Self::new(settings.opener(context.clone()), properties, rate, context, mailbox);
        std::thread::Builder::new().name("capture".to_owned()).spawn(|| worker.run())
    }

    fn new(open: Opener, properties: Properties, rate: f64, context: Context, mailbox: Arc<Mailbox>) -> Self {
        Self {
            open,
            properties,
            context,
            mailbox,
            schedule: FrameSchedule::new(rate),
            reported: None,
            fault: None,
            backoff: Backoff::new(SHORTEST_WAIT, LONGEST_WAIT),
            last: None,
        }
    }

    /// Runs until stopped, or until the source is over or can never work.
    fn run(mut self) {
        while !self.stopped() {
            if self.context.control.paused.load(Ordering::Relaxed) {
                self.report(self.context.clock.now(), CameraState::Paused);
                self.fault = None;
                std::thread::sleep(TICK);
                continue;
            }
            let error = match (self.open)() {
                Ok(source) => self.capture(source),
                Err(error) => error,
            };
            match error {
                SourceError::Interrupted => {
                    if !self.stopped() {
                        log::info!("camera closed: paused on request");
                    }
                }
                SourceError::End => return self.end(Ok(())),
                // A device that has delivered once may come back under another number; until then another has its name.
                error @ SourceError::Unsupported { .. } if self.last.is_none() => {
                    return self.end(Err(error));
                }
                error @ SourceError::Exhausted { .. } => return self.end(Err(error)),
                error if !self.properties.reopens => return self.end(Err(error)),
                error => self.lost(&error),
            }
        }
    }

    fn end(&self, result: Result<(), SourceError>) {
        self.mailbox.end(self.last.unwrap_or_else(|| self.context.clock.now()), result);
    }

    /// Reports the fault, and waits before the next try.
    fn lost(&mut self, error: &SourceError) {
        self.report(self.context.clock.now(), CameraState::Lost);
        let wait = self.backoff.next(fastrand::f64());
        // A fault is logged once, however long it lasts and however often the source is tried.
        match self.fault.replace(std::mem::discriminant(error)) {
            None => log::error!("camera lost: {error}; trying again until it is back"),
            same if same == self.fault => {
                log::debug!("camera still lost: {error}; next try in {wait:?}");
            }
            Some(_) => log::warn!("camera still lost, but now: {error}"),
        }
        let mut left = wait;
        while !left.is_zero() && self.context.control.check().is_ok() {
            let step = left.min(TICK);
            std::thread::sleep(step);
            left -= step;
        }
    }

    /// Hands on frames until there is an error.
    fn capture(&mut self, mut source: Box<dyn FrameSource>) -> SourceError {
        let mut logged = false;
        loop {
            if let Err(interrupted) = self.context.control.check() {
                return interrupted;
            }
            let frame = match source.next() {
                Ok(frame) => frame,
                Err(error) => {
                    self.mailbox.count(source.take_losses(), 0);
                    return error;
                }
            };
            // Ok only once a frame has arrived: a device that opens and then stalls is still lost, and is opened again
            // every few seconds.
            if !logged {
                let back = if self.fault.is_some() { "camera is back: " } else { "" };
                log::info!("{back}capturing {}", source.describe());
                logged = true;
            }
            // As of the frame: a state that began after it would make it a frame of the time before.
            self.report(frame.at, CameraState::Ok);
            (self.fault, self.last) = (None, Some(frame.at));
            self.backoff.reset();
            self.mailbox.count(source.take_losses(), 1);
            if !self.schedule.due(frame.at) {
                continue;
            }
            match self.properties.delivery {
                Delivery::Newest => self.mailbox.offer(frame),
                Delivery::Every => {
                    if !self.mailbox.put(frame) {
                        return SourceError::Interrupted;
                    }
                }
            }
        }
    }

    fn report(&mut self, at: Moment, state: CameraState) {
        if self.reported.replace(state) != Some(state) {
            self.mailbox.state(at, state);
        }
    }

    fn stopped(&self) -> bool {
        self.context.control.pulse.fetch_add(1, Ordering::Relaxed);
        self.context.control.stop.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::capture::frame::{Frame, PixelFormat};
    use crate::capture::{Losses, Timeline};
    use crate::host::clock::{Clock as _, ManualClock};
    use crate::runtime::mailbox::{Ending, Item};

    const CAMERA: Properties =
        Properties { timeline: Timeline::Live, delivery: Delivery::Newest, reopens: true };

    /// One frame, handed over a moment after it was captured; then the error.
    struct OneFrame(ManualClock, Option<SourceError>);

    impl FrameSource for OneFrame {
        fn next(&mut self) -> Result<Frame, SourceError> {
            let at = self.0.now();
            if at > Moment::ZERO + Duration::from_millis(1000) {
                return Err(self.1.take().unwrap_or(SourceError::End));
            }
            self.0.advance(Duration::from_millis(3));
            let format = PixelFormat::Grey;
            Ok(Frame { format, width: 1, height: 1, stride: 1, bytes: vec![0], at })
        }

        fn describe(&self) -> String {
            "one frame".to_owned()
        }

        fn take_losses(&mut self) -> Losses {
            Losses::default()
        }
    }

    fn worker(open: Opener, properties: Properties, clock: &ManualClock) -> (CaptureWorker, Arc<Mailbox>) {
        let mailbox = Arc::new(Mailbox::default());
        let context = Context::new(Arc::new(clock.clone()));
        (CaptureWorker::new(open, properties, 5.0, context, Arc::clone(&mailbox)), mailbox)
    }

    #[test]
    fn the_first_frame_belongs_to_the_time_in_which_the_camera_works() {
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
        clock.advance(Duration::from_secs(1));
        let source = clock.clone();
        let open: Opener = Box::new(move || Ok(Box::new(OneFrame(source.clone(), None))));
        let (worker, mailbox) = worker(open, CAMERA, &clock);
        worker.run();
        let Some(Item::State(since, CameraState::Ok)) = mailbox.take(Duration::ZERO) else {
            panic!("the camera's state comes first");
        };
        let Some(Item::Frame(frame)) = mailbox.take(Duration::ZERO) else {
            panic!("the frame comes after it");
        };
        assert!(frame.at >= since, "a frame of {:?} in a state since {since:?}", frame.at);
    }

    #[test]
    fn what_cannot_be_opened_again_ends_with_its_error_and_a_camera_does_not() {
        for reopens in [false, true] {
            let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
            let mut opened = 0;
            let open: Opener = Box::new(move || {
                opened += 1;
                Err(if opened == 1 {
                    SourceError::Closed { what: "a pipe".to_owned() }
                } else {
                    SourceError::Exhausted { what: "standard input".to_owned() }
                })
            });
            let (worker, mailbox) = worker(open, Properties { reopens, ..CAMERA }, &clock);
            worker.run();
            if reopens {
                assert!(matches!(mailbox.take(Duration::ZERO), Some(Item::State(_, CameraState::Lost))));
            }
            let Some(Item::Ended(Ending::Source(_, Err(error)))) = mailbox.take(Duration::ZERO) else {
                panic!("it ends with an error");
            };
            assert_eq!(matches!(error, SourceError::Exhausted { .. }), reopens, "{error}");
        }
    }

    #[test]
    fn due_frames_keep_the_rate_whatever_the_camera_delivers() {
        for camera in [7.5, 10.0, 25.0, 29.97, 60.0] {
            let mut schedule = FrameSchedule::new(5.0);
            let frames = (camera * 60.0) as u32;
            let at = |i: u32| Moment::ZERO + Duration::from_secs_f64(f64::from(i) / camera);
            let due = (0..frames).filter(|i| schedule.due(at(*i))).count();
            assert!((299..=301).contains(&due), "{due} of {frames} frames at {camera} fps");
        }
    }

    #[test]
    fn a_camera_slower_than_the_rate_has_every_frame_due() {
        let mut schedule = FrameSchedule::new(5.0);
        assert!((0..100).all(|i| schedule.due(Moment::ZERO + Duration::from_millis(i * 450))));
    }

    #[test]
    fn a_gap_is_not_made_up_for() {
        let mut schedule = FrameSchedule::new(5.0);
        let mut due = |milliseconds| schedule.due(Moment::ZERO + Duration::from_millis(milliseconds));
        assert!(due(0) && due(60_000) && !due(60_040));
    }
}
