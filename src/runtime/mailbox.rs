//! Hand-over from the capture worker to vision: a slot that holds the newest frame, never a queue of old ones.

use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::capture::frame::Frame;
use crate::capture::{Losses, SourceError};
use emotiond_core::Moment;
use emotiond_core::report::observation::CameraState;

/// What the capture worker delivers.
pub enum Item {
    /// A frame to analyse.
    Frame(Frame),
    /// The camera's state has changed.
    State(Moment, CameraState),
    /// There will be no more frames.
    Ended(Ending),
}

/// Why there will be no more frames.
#[derive(Debug)]
pub enum Ending {
    /// The source is over, or can never work; with the moment of the last frame captured.
    Source(Moment, Result<(), SourceError>),
    /// The daemon is to stop or to restart.
    Stopped,
}

#[derive(Default)]
struct Slot {
    frame: Option<Frame>,
    states: VecDeque<(Moment, CameraState)>,
    ended: Option<Ending>,
    losses: Losses,
    captured: u64,
    closed: bool,
}

/// The slot. State changes are delivered before the frames that follow them, and the end after everything.
#[derive(Default)]
pub struct Mailbox {
    slot: Mutex<Slot>,
    changed: Condvar,
}

impl Mailbox {
    /// Puts a frame in, replacing an older one that vision was too slow for; that one counts as dropped.
    pub fn offer(&self, frame: Frame) {
        let mut slot = self.lock();
        if slot.frame.replace(frame).is_some() {
            slot.losses.dropped += 1;
        }
        self.changed.notify_all();
    }

    /// Puts a frame in after vision has taken the one before, so that none is lost. Returns false if vision has gone.
    pub fn put(&self, frame: Frame) -> bool {
        let mut slot = self.lock();
        while slot.frame.is_some() && !slot.closed {
            slot = self.changed.wait(slot).unwrap_or_else(PoisonError::into_inner);
        }
        slot.frame = Some(frame);
        self.changed.notify_all();
        !slot.closed
    }

    /// Reports a change of the camera's state. A frame that still waits belongs to the time before it and is dropped.
    pub fn state(&self, at: Moment, state: CameraState) {
        let mut slot = self.lock();
        if slot.frame.take().is_some() {
            slot.losses.dropped += 1;
        }
        slot.states.push_back((at, state));
        self.changed.notify_all();
    }

    /// Adds to the counters of frames that never came this far, and of frames captured.
    pub fn count(&self, losses: Losses, captured: u64) {
        let mut slot = self.lock();
        slot.losses.dropped += losses.dropped;
        slot.losses.corrupt += losses.corrupt;
        slot.captured += captured;
    }

    /// Reports that no more frames will come after the one captured `at`.
    pub fn end(&self, at: Moment, result: Result<(), SourceError>) {
        self.lock().ended.get_or_insert(Ending::Source(at, result));
        self.changed.notify_all();
    }

    /// Ends it from outside: vision takes what is there and then finishes, whatever the capture worker does meanwhile.
    pub fn stop(&self) {
        let mut slot = self.lock();
        slot.ended = Some(Ending::Stopped);
        slot.closed = true;
        self.changed.notify_all();
    }

    /// Waits for a delivery, at most `within`.
    pub fn take(&self, within: Duration) -> Option<Item> {
        self.take_when(within, |_| true)
    }

    /// The same, but leaves frames where they are, and with them what comes after, so that a newer one may replace the one
    /// that waits. A stop brings it all the same.
    pub fn take_but_frames(&self, within: Duration) -> Option<Item> {
        self.take_when(within, |slot| matches!(slot.ended, Some(Ending::Stopped)))
    }

    fn take_when(&self, within: Duration, frames: impl Fn(&Slot) -> bool) -> Option<Item> {
        let slot = self.lock();
        let idle = |slot: &mut Slot| {
            slot.states.is_empty() && if slot.frame.is_some() { !frames(slot) } else { slot.ended.is_none() }
        };
        let (mut slot, _) =
            self.changed.wait_timeout_while(slot, within, idle).unwrap_or_else(PoisonError::into_inner);
        let delivery = if let Some((at, state)) = slot.states.pop_front() {
            Some(Item::State(at, state))
        } else if slot.frame.is_some() {
            if frames(&slot) { slot.frame.take().map(Item::Frame) } else { None }
        } else {
            slot.ended.take().map(Item::Ended)
        };
        self.changed.notify_all();
        delivery
    }

    /// The losses and the number of frames captured since the last call.
    pub fn take_counts(&self) -> (Losses, u64) {
        let mut slot = self.lock();
        (std::mem::take(&mut slot.losses), std::mem::take(&mut slot.captured))
    }

    /// Vision takes nothing any more: whoever waits in [`Self::put`] is released.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        // A panic anywhere ends the process, so a poisoned lock is on its way out and its data still whole.
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::frame::PixelFormat;

    fn frame(at: u64) -> Frame {
        Frame {
            format: PixelFormat::Grey,
            width: 1,
            height: 1,
            stride: 1,
            bytes: vec![0],
            at: Moment::from_millis(at),
        }
    }

    fn taken(mailbox: &Mailbox) -> Option<u128> {
        match mailbox.take(Duration::ZERO) {
            Some(Item::Frame(frame)) => Some(frame.at.since_origin().as_millis()),
            _ => None,
        }
    }

    #[test]
    fn only_the_newest_frame_is_kept_and_the_older_one_is_counted() {
        let mailbox = Mailbox::default();
        mailbox.offer(frame(1));
        mailbox.offer(frame(2));
        assert_eq!(taken(&mailbox), Some(2));
        assert_eq!(taken(&mailbox), None);
        assert_eq!(mailbox.take_counts().0.dropped, 1);
        assert_eq!(mailbox.take_counts().0.dropped, 0);
    }

    #[test]
    fn a_state_comes_before_later_frames_and_the_end_comes_last() {
        let mailbox = Mailbox::default();
        mailbox.state(Moment::from_millis(5), CameraState::Ok);
        mailbox.offer(frame(6));
        mailbox.end(Moment::from_millis(7), Ok(()));
        assert!(matches!(mailbox.take(Duration::ZERO), Some(Item::State(_, CameraState::Ok))));
        assert_eq!(taken(&mailbox), Some(6));
        assert!(matches!(mailbox.take(Duration::ZERO), Some(Item::Ended(Ending::Source(_, Ok(()))))));
        assert!(mailbox.take(Duration::ZERO).is_none());
    }

    #[test]
    fn a_frame_that_is_left_is_replaced_and_keeps_back_the_end_but_no_stop() {
        let mailbox = Mailbox::default();
        mailbox.state(Moment::from_millis(1), CameraState::Ok);
        mailbox.offer(frame(2));
        mailbox.offer(frame(3));
        mailbox.end(Moment::from_millis(3), Ok(()));
        assert!(matches!(mailbox.take_but_frames(Duration::ZERO), Some(Item::State(_, CameraState::Ok))));
        assert!(mailbox.take_but_frames(Duration::from_millis(1)).is_none());
        assert_eq!(taken(&mailbox), Some(3));
        assert!(matches!(mailbox.take_but_frames(Duration::ZERO), Some(Item::Ended(Ending::Source(..)))));
        mailbox.offer(frame(4));
        mailbox.stop();
        assert!(matches!(mailbox.take_but_frames(Duration::ZERO), Some(Item::Frame(_))));
        assert!(matches!(mailbox.take_but_frames(Duration::ZERO), Some(Item::Ended(Ending::Stopped))));
    }

    #[test]
    fn put_waits_for_vision_and_loses_nothing() {
        let mailbox = Mailbox::default();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..100).for_each(|at| assert!(mailbox.put(frame(at)))));
            let mut next = 0;
            while next < 100 {
                if let Some(Item::Frame(frame)) = mailbox.take(Duration::from_secs(10)) {
                    assert_eq!(frame.at.since_origin().as_millis(), next);
                    next += 1;
                }
            }
        });
        assert_eq!(mailbox.take_counts().0, Losses::default());
    }

    #[test]
    fn closing_releases_a_waiting_capture_worker() {
        let mailbox = Mailbox::default();
        assert!(mailbox.put(frame(1)));
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| mailbox.put(frame(2)));
            mailbox.close();
            assert!(!waiting.join().unwrap());
        });
    }
    #[test]
    fn a_stop_comes_after_the_frame_that_waits_and_before_all_else() {
        let mailbox = Mailbox::default();
        mailbox.offer(frame(1));
        mailbox.stop();
        assert_eq!(taken(&mailbox), Some(1));
        mailbox.end(Moment::ZERO, Ok(()));
        assert!(
            matches!(mailbox.take(Duration::ZERO), Some(Item::Ended(Ending::Stopped))),
            "a stop is not an end"
        );
    }
}
