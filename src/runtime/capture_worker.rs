//! The camera thread: owns the device, keeps only the newest frame, opens it again after every fault.

use std::mem::Discriminant;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::capture::{FrameSource, SourceError};
use crate::clock::Clock;
use crate::runtime::mailbox::Mailbox;
use emotiond_core::Moment;
use emotiond_core::report::observation::CameraState;

/// The first wait before a lost camera is tried again; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(500);
/// A camera that comes back is seen within this time.
const LONGEST_WAIT: Duration = Duration::from_secs(8);
/// How often a waiting camera thread looks whether it is to pause, resume or stop.
const TICK: Duration = Duration::from_millis(100);

/// Which frames are due for analysis: the first at or after every `interval`.
#[derive(Debug)]
pub struct Pace {
    interval: Duration,
    next: Moment,
}

impl Pace {
    /// `rate` frames a second are due. A frame up to a tenth of the interval early counts as on time, since cameras
    /// jitter.
    #[must_use]
    pub fn new(rate: f64) -> Self {
        Self { interval: Duration::from_secs_f64(1.0 / rate), next: Moment::ZERO }
    }

    /// Whether the frame captured `at` is due; if so the next one is due an interval later.
    pub fn due(&mut self, at: Moment) -> bool {
        if at + self.interval / 10 < self.next {
            return false;
        }
        // Count on from the schedule, so that jitter does not add up, unless the schedule has been missed.
        self.next = if at > self.next + self.interval { at } else { self.next } + self.interval;
        true
    }
}

/// How frames are handed on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HandOver {
    /// Only the newest counts: cameras, and replays in real time.
    Newest,
    /// Vision is waited for: replays at full speed.
    Every,
}

/// Switches shared with the control thread.
#[derive(Debug, Default)]
pub struct Switches {
    /// Close the device and wait.
    pub paused: AtomicBool,
    /// End the thread; shared with the source, so that a wait for the next frame ends too.
    pub stop: Arc<AtomicBool>,
    /// Goes up as long as the camera thread moves, in its waits too, which the source counts; standing still, it hangs in
    /// the driver.
    pub beats: Arc<AtomicU64>,
    /// Goes up as long as the vision thread moves; standing still, it hangs in a network.
    pub turns: AtomicU64,
}

/// Opens the source; called again after every fault.
pub type Open = Box<dyn FnMut() -> Result<Box<dyn FrameSource>, SourceError> + Send>;

/// The camera thread's state.
pub struct Camera {
    /// Opens the source.
    pub open: Open,
    /// Where frames go.
    pub mailbox: Arc<Mailbox>,
    /// Pause and stop.
    pub switches: Arc<Switches>,
    /// The clock that stamps states.
    pub clock: Arc<dyn Clock>,
    /// Frames due a second.
    pub pace: Pace,
    /// How frames are handed on.
    pub hand_over: HandOver,
    /// Whether the source is a replay: what cannot be read then never will be.
    pub replay: bool,
}

/// What the camera thread remembers from one opening of the source to the next.
struct Course {
    reported: Option<CameraState>,
    /// Why no frame comes, since the last one came.
    fault: Option<Discriminant<SourceError>>,
    /// How long to wait before the next attempt.
    wait: Duration,
    /// When the last frame was captured.
    last: Moment,
}

/// Why capturing ended.
enum Ended {
    Paused,
    Stopped,
    Failed(SourceError),
}

impl Camera {
    /// Runs until stopped or until the source is over or can never work.
    pub fn run(mut self) {
        let mut course = Course { reported: None, fault: None, wait: FIRST_WAIT, last: Moment::ZERO };
        loop {
            if self.stopped() {
                return;
            }
            if self.switches.paused.load(Ordering::Relaxed) {
                self.report(&mut course, self.clock.now(), CameraState::Paused);
                course.fault = None;
                std::thread::sleep(TICK);
                continue;
            }
            let error = match (self.open)() {
                Ok(source) => match self.capture(source, &mut course) {
                    Ended::Paused => {
                        log::info!("camera closed: paused on request");
                        continue;
                    }
                    Ended::Stopped => return,
                    Ended::Failed(error) => error,
                },
                Err(error) => error,
            };
            match error {
                SourceError::End => return self.mailbox.end(course.last, Ok(())),
                // A device that has delivered once may come back under another number; until then another has its name.
                SourceError::Unsupported { .. } if course.last == Moment::ZERO => {
                    return self.mailbox.end(course.last, Err(error));
                }
                error if self.replay => return self.mailbox.end(course.last, Err(error)),
                error => {
                    self.report(&mut course, self.clock.now(), CameraState::Lost);
                    // A fault is told once, however long it lasts and however often the camera is tried.
                    match course.fault.replace(std::mem::discriminant(&error)) {
                        None => log::error!("camera lost: {error}; trying again until it is back"),
                        same if same == course.fault => {
                            log::debug!("camera still lost: {error}; next try in {:?}", course.wait);
                        }
                        Some(_) => log::warn!("camera still lost, but now: {error}"),
                    }
                    self.pause(course.wait);
                    course.wait = (course.wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }

    fn capture(&mut self, mut source: Box<dyn FrameSource>, course: &mut Course) -> Ended {
        let mut told = false;
        loop {
            if self.stopped() {
                return Ended::Stopped;
            }
            if self.switches.paused.load(Ordering::Relaxed) {
                return Ended::Paused;
            }
            let frame = match source.next() {
                Ok(frame) => frame,
                Err(error) => {
                    self.mailbox.count(source.take_losses(), 0);
                    return Ended::Failed(error);
                }
            };
            // Ok only once a frame has arrived: a device that opens and then stalls is still lost, and is opened again
            // every few seconds.
            if !told {
                let back = if course.fault.is_some() { "camera is back: " } else { "" };
                log::info!("{back}capturing {}", source.describe());
                told = true;
            }
            // As of the frame: a state that began after it would make it a frame of the time before.
            self.report(course, frame.at, CameraState::Ok);
            (course.fault, course.wait, course.last) = (None, FIRST_WAIT, frame.at);
            self.mailbox.count(source.take_losses(), 1);
            if !self.pace.due(frame.at) {
                continue;
            }
            match self.hand_over {
                HandOver::Newest => self.mailbox.offer(frame),
                HandOver::Every => {
                    if !self.mailbox.put(frame) {
                        return Ended::Stopped;
                    }
                }
            }
        }
    }

    fn report(&self, course: &mut Course, at: Moment, state: CameraState) {
        if course.reported.replace(state) != Some(state) {
            self.mailbox.state(at, state);
        }
    }

    fn stopped(&self) -> bool {
        self.switches.beats.fetch_add(1, Ordering::Relaxed);
        self.switches.stop.load(Ordering::Relaxed)
    }

    /// Waits, but not longer than until a stop or a pause.
    fn pause(&self, wait: Duration) {
        let mut left = wait;
        while !left.is_zero() && !self.stopped() && !self.switches.paused.load(Ordering::Relaxed) {
            let step = left.min(TICK);
            std::thread::sleep(step);
            left -= step;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;
    use crate::capture::frame::{Frame, PixelFormat};
    use crate::clock::ManualClock;
    use crate::runtime::mailbox::Delivery;

    /// One frame, handed over a moment after it was captured; then the end.
    struct OneFrame(ManualClock, bool);

    impl FrameSource for OneFrame {
        fn next(&mut self) -> Result<Frame, SourceError> {
            if std::mem::replace(&mut self.1, true) {
                return Err(SourceError::End);
            }
            let at = self.0.now();
            self.0.advance(Duration::from_millis(3));
            let format = PixelFormat::Grey;
            Ok(Frame { format, width: 1, height: 1, stride: 1, bytes: vec![0], at })
        }

        fn describe(&self) -> String {
            "one frame".to_owned()
        }
    }

    #[test]
    fn the_first_frame_belongs_to_the_time_in_which_the_camera_works() {
        let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
        clock.advance(Duration::from_secs(1));
        let mailbox = Arc::new(Mailbox::default());
        let source = clock.clone();
        Camera {
            open: Box::new(move || Ok(Box::new(OneFrame(source.clone(), false)))),
            mailbox: Arc::clone(&mailbox),
            switches: Arc::default(),
            clock: Arc::new(clock),
            pace: Pace::new(5.0),
            hand_over: HandOver::Newest,
            replay: false,
        }
        .run();
        let Some(Delivery::State(since, CameraState::Ok)) = mailbox.take(Duration::ZERO) else {
            panic!("the camera's state comes first");
        };
        let Some(Delivery::Frame(frame)) = mailbox.take(Duration::ZERO) else {
            panic!("the frame comes after it");
        };
        assert!(frame.at >= since, "a frame of {:?} in a state since {since:?}", frame.at);
    }

    #[test]
    fn due_frames_keep_the_rate_whatever_the_camera_delivers() {
        for camera in [7.5, 10.0, 25.0, 29.97, 60.0] {
            let mut pace = Pace::new(5.0);
            let frames = (camera * 60.0) as u32;
            let due = (0..frames)
                .filter(|i| pace.due(Moment::ZERO + Duration::from_secs_f64(f64::from(*i) / camera)))
                .count();
            assert!((299..=301).contains(&due), "{due} of {frames} frames at {camera} fps");
        }
    }

    #[test]
    fn a_camera_slower_than_the_rate_has_every_frame_due() {
        let mut pace = Pace::new(5.0);
        assert!((0..100).all(|i| pace.due(Moment::from_millis(i * 450))));
    }

    #[test]
    fn a_gap_is_not_made_up_for() {
        let mut pace = Pace::new(5.0);
        assert!(pace.due(Moment::from_secs(0)));
        assert!(pace.due(Moment::from_secs(60)));
        assert!(!pace.due(Moment::from_millis(60_040)));
    }
}
