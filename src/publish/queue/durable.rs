//! The queue of everything unacknowledged: the [`Outbox`] in memory, and behind it, for summaries, a file on disk.
//!
//! Pure state: [`DurableQueue::job`] says what the disk has to do next, a thread of its own does it without holding
//! any lock, [`DurableQueue::done`] takes the result. Summaries pass through three places, in this order:
//!
//! 1. the outbox: under way to the broker, only while there is a connection;
//! 2. `stored`: on disk alone;
//! 3. `tail`: just closed, in memory alone.
//!
//! While the broker acknowledges, a summary goes from the tail straight to the outbox, and nothing is ever written. It
//! is written once the connection is gone, or once it has waited for [`PATIENCE`]. As long as something is stored, the
//! tail waits behind it, so that order holds over outages and restarts. What is acknowledged is removed from disk in
//! batches; a crash before that sends it again, never less.
//!
//! When the disk fails, what is stored may be out of reach: then the tail goes past it, because a live summary is worth
//! more than order, and `boot` and `sequence` tell a consumer where the others belong. While the disk is merely full it
//! can still be read, and order holds.

mod spool;

use std::ops::Range;
use std::time::{Duration, Instant};

use crate::publish::queue::outbox::{Dropped, Held, Outbox, Outgoing};
use crate::publish::queue::store::{Change, Content, StoreError, Stored};
use spool::{Spool, State};

/// How long a summary may be unacknowledged on a standing connection before it is written to disk.
pub(in crate::publish) const PATIENCE: Duration = Duration::from_secs(3);
/// How long, and how many, acknowledged summaries may still be on disk; a crash sends them again.
const TIDY: (Duration, usize) = (Duration::from_secs(10), 256);
/// How long a disk that failed is left alone.
pub(in crate::publish) const RETRY: Duration = Duration::from_secs(60);
/// The most summaries written in one transaction.
const BATCH: usize = 256;

/// How the disk does, for `health`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Disk {
    /// Nothing is kept on disk.
    #[default]
    Off,
    /// Summaries are kept on disk when need be.
    Ok,
    /// The same; but the file was damaged in this run and what it held is lost.
    Replaced,
    /// The disk is full, read-only or broken: summaries are kept in memory until it is not.
    Failing,
}

/// What the disk has to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::publish) enum Job {
    /// Open the file, or make it.
    Open,
    /// Change it.
    Write(Change),
    /// Read the first `most` within `places`.
    Load { places: Range<u64>, most: usize },
    /// Close it: there will be no further job.
    Close,
}

/// What came of a [`Job`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::publish) enum Outcome {
    Opened(Result<Content, StoreError>),
    /// With the number that was trimmed.
    Written(Result<u64, StoreError>),
    Loaded(Result<Vec<Stored>, StoreError>),
    Closed,
}

#[derive(Debug)]
pub(in crate::publish) struct DurableQueue {
    outbox: Outbox,
    spool: Option<Spool>,
}

impl DurableQueue {
    /// A queue in memory that holds `memory` messages; with a disk behind it for `limit` summaries, if that is given.
    pub fn new(memory: usize, limit: Option<u64>) -> Self {
        Self { outbox: Outbox::new(memory), spool: limit.map(|limit| Spool::new(memory, limit)) }
    }

    /// Takes a message in.
    pub fn push(&mut self, mut message: Outgoing, now: Instant) {
        let Some(spool) = self.spool.as_mut().filter(|_| message.is_summary()) else {
            return self.outbox.push(message);
        };
        message.held = Held { id: spool.ids, since: Some(now), key: None };
        spool.ids += 1;
        spool.tail.push_back(message);
        self.bound();
    }

    /// A connection stands.
    pub fn connected(&mut self) {
        self.outbox.connected();
    }

    /// The connection is gone: what the broker has not acknowledged goes back to where it came from.
    pub fn disconnected(&mut self, now: Instant) {
        self.outbox.disconnected();
        let Some(spool) = &mut self.spool else { return };
        for mut message in self.outbox.take_summaries().into_iter().rev() {
            match message.held.key.take() {
                Some(key) if !matches!(spool.state, State::Failed(_)) => spool.give_back(key),
                key => {
                    // The disk is out of reach: what is in memory stays there.
                    spool.forget(key, now);
                    spool.tail.push_front(message);
                }
            }
        }
        self.bound();
    }

    /// The next message to send now, if there is one and room for it under way.
    pub fn next(&mut self) -> Option<&Outgoing> {
        if let Some(spool) = self.spool.as_mut().filter(|spool| spool.tail_is_next()) {
            while self.outbox.is_connected() && self.outbox.room() > 0 {
                let Some(message) = spool.tail.pop_front() else { break };
                self.outbox.push(message);
            }
        }
        self.outbox.next()
    }

    /// The client has written the oldest unnumbered message to the wire under this packet id.
    pub fn sent(&mut self, packet: u16) {
        self.outbox.sent(packet);
    }

    /// The broker has taken over the message with this packet id.
    pub fn acknowledged(&mut self, packet: u16, now: Instant) {
        let message = self.outbox.acknowledged(packet);
        if let (Some(spool), Some(message)) = (&mut self.spool, message) {
            spool.forget(message.held.key, now);
        }
    }

    /// No further messages will come: what is not on disk is to be written, and the file to be closed.
    pub fn stop(&mut self) {
        if let Some(spool) = &mut self.spool {
            spool.stopping = true;
        }
    }

    /// What the disk has to do now. It counts as begun, and there is no other until it is [`Self::done`].
    pub fn job(&mut self, now: Instant) -> Option<Job> {
        let (outbox, spool) = (&mut self.outbox, self.spool.as_mut()?);
        if spool.busy.is_some() {
            return None;
        }
        let job = match spool.state {
            State::Ended => return None,
            State::Closed => Job::Open,
            State::Failed(until) if now >= until && !spool.stopping => Job::Open,
            State::Failed(_) if spool.stopping => Job::Close,
            State::Failed(_) => return None,
            State::Open => match spool.write(outbox, now) {
                Some(change) => Job::Write(change),
                None if outbox.is_connected() && spool.stored > 0 && spool.lacking(outbox) => {
                    // Some of the places may be acknowledged ones that are still to be removed.
                    let most = outbox.room() + spool.gone.range(spool.first..).count();
                    Job::Load { places: spool.first..spool.next, most }
                }
                None if spool.stopping => Job::Close,
                None => return None,
            },
        };
        spool.busy = Some(job.clone());
        Some(job)
    }

    /// When [`Self::job`] has something to say at the latest, if nothing else happens before.
    pub fn deadline(&mut self, now: Instant) -> Option<Instant> {
        let (outbox, spool) = (&mut self.outbox, self.spool.as_mut()?);
        match spool.state {
            _ if spool.busy.is_some() => None,
            State::Closed => Some(now),
            State::Failed(until) => Some(until),
            State::Ended => None,
            State::Open => {
                let unwritten = spool.unwritten(outbox).filter_map(|message| message.held.since).min();
                let due = unwritten.map(|since| since + PATIENCE);
                let tidy = spool.gone_since.map(|since| since + TIDY.0);
                let first = [due, tidy].into_iter().flatten().min()?;
                Some(spool.writable.map_or(first, |writable| writable.max(first)))
            }
        }
    }

    /// Takes the result of the job that [`Self::job`] gave last.
    pub fn done(&mut self, outcome: Outcome, now: Instant) {
        let (outbox, Some(spool)) = (&mut self.outbox, &mut self.spool) else { return };
        let job = spool.busy.take();
        let writing = std::mem::take(&mut spool.writing);
        match (outcome, job) {
            (Outcome::Opened(Ok(content)), _) => spool.opened(outbox, &content),
            (Outcome::Opened(Err(_)), _) => {
                // Once a summary is past what is stored, waiting for the disk keeps no order any more.
                spool.state = State::Failed(now + RETRY);
            }
            (Outcome::Written(Ok(trimmed)), Some(Job::Write(change))) => {
                spool.writable = None;
                spool.stored = spool.stored.saturating_sub(trimmed);
                spool.dropped += trimmed;
                for key in change.remove {
                    spool.gone.remove(&key);
                }
                spool.gone_since = (!spool.gone.is_empty()).then_some(now);
                for (id, key) in writing {
                    spool.written(outbox, id, key, now);
                }
            }
            (Outcome::Loaded(Ok(loaded)), Some(Job::Load { places, most })) => {
                spool.loaded(outbox, loaded, &places, most, now);
            }
            (Outcome::Written(Err(error)), _) => {
                // It may be on disk all the same: then it is to be removed, because it will be written anew.
                for (_, key) in writing {
                    spool.forget(Some(key), now);
                }
                spool.writable = Some(now + RETRY);
                // Opened anew at once, because what is stored can still be read; unless there is no time left.
                let next = if spool.stopping { State::Failed(now + RETRY) } else { State::Closed };
                spool.failed(outbox, &error, next);
            }
            (Outcome::Loaded(Err(error)), _) => spool.failed(outbox, &error, State::Failed(now + RETRY)),
            (Outcome::Closed, _) => spool.state = State::Ended,
            (Outcome::Written(Ok(_)) | Outcome::Loaded(Ok(_)), _) => {
                unreachable!("the outcome of another job")
            }
        }
        self.bound();
    }

    /// Whether no further job will come.
    pub fn ended(&self) -> bool {
        self.spool.as_ref().is_none_or(|spool| spool.state == State::Ended)
    }

    /// Messages not delivered yet, wherever they are.
    pub fn waiting(&self) -> usize {
        let spooled = self.spool.as_ref().map_or(0, |spool| spool.stored as usize + spool.tail.len());
        self.outbox.waiting() + spooled
    }

    /// Messages that would be lost if the process ended now.
    pub fn unwritten(&mut self) -> usize {
        let on_disk = self.on_disk().unwrap_or(0) as usize;
        self.waiting() - on_disk
    }

    /// Unacknowledged summaries on disk, if the disk can be reached.
    pub fn on_disk(&mut self) -> Option<u64> {
        let spool = self.spool.as_ref()?;
        if !spool.known || matches!(spool.state, State::Failed(_)) {
            return None;
        }
        let copied = self.outbox.summaries().filter(|message| message.held.key.is_some()).count() as u64;
        Some(spool.stored + copied)
    }

    /// How the disk does.
    pub fn disk(&self) -> Disk {
        match &self.spool {
            None => Disk::Off,
            Some(spool) if spool.writable.is_some() || matches!(spool.state, State::Failed(_)) => {
                Disk::Failing
            }
            Some(spool) if spool.replaced => Disk::Replaced,
            Some(_) => Disk::Ok,
        }
    }

    pub fn dropped(&self) -> Dropped {
        let dropped = self.outbox.dropped();
        let spooled = self.spool.as_ref().map_or(0, |spool| spool.dropped);
        Dropped { summaries: dropped.summaries + spooled, ..dropped }
    }

    pub fn delivered(&self) -> u64 {
        self.outbox.delivered()
    }

    /// Gives up the oldest summaries beyond the bounds, as far as that needs no disk.
    fn bound(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        let all = spool.stored + spool.tail.len() as u64 + self.outbox.summaries().count() as u64;
        // What is stored is older and has to go first; that is the disk's work.
        let over = all.saturating_sub(spool.limit).saturating_sub(spool.stored) as usize;
        let over = over.max(spool.tail.len().saturating_sub(spool.memory)).min(spool.tail.len());
        spool.tail.drain(..over);
        spool.dropped += over as u64;
    }
}

#[cfg(test)]
mod tests;
