//! The queue of everything that the broker has not acknowledged: the [`Outbox`] in memory and, for summaries, files in
//! the state directory.
//!
//! # Constraints
//!
//! - No summary is lost while the broker is unreachable: not by a restart, a `kill -9` or a power failure, up to the
//!   bound (`mqtt.keep`); beyond it the oldest go and are counted.
//! - Summaries arrive in order, those of an earlier run first. A crash may send some twice, never leave one out.
//! - Nothing is written while the broker acknowledges, and no more than one small synchronized write for each window
//!   otherwise: the medium is an SD card.
//! - A disk that is slow, full, read-only, damaged or gone costs the queue on disk and nothing else. Neither vision nor
//!   the connection ever waits for it.
//!
//! # Layout
//!
//! A summary passes through up to three places, in this order:
//!
//! 1. the outbox: being sent, only while there is a connection;
//! 2. `stored`: on disk alone;
//! 3. the tail: just closed, in memory alone.
//!
//! [`Queue`] decides, without a thread, a clock or a file: [`Queue::job`] says what the disk has to do next, the
//! [`DiskWorker`](disk_worker::DiskWorker) does it without holding a lock, [`Queue::done`] takes the result. [`store`]
//! has the files, [`segment`] their format. [`DiskState`] says where the queue stands.
//!
//! # Writing
//!
//! While the broker acknowledges, a summary goes from the tail to the outbox and is never written. It is written once
//! the connection is lost, or once it has been unacknowledged for [`UNACKNOWLEDGED`]. As long as something is stored,
//! the tail waits behind it, so that order holds over outages and restarts.
//!
//! # Reading
//!
//! With a connection, what is stored is read oldest first, some dozens at a time, into the outbox. A copy stays on disk
//! until the broker has acknowledged it. When the disk cannot be read, the tail goes past what is stored, because a live
//! summary is worth more than order, and `boot` and `sequence` tell a consumer where the others belong. While the disk
//! is merely full it can still be read, and order holds.
//!
//! # Deleting
//!
//! What is acknowledged is noted as removed in batches; a crash before that sends it again. A file is deleted once
//! nothing in it is needed.

pub(in crate::publish) mod disk_worker;
#[cfg(any(test, feature = "harness"))]
pub mod fuzz;
pub(in crate::publish) mod outbox;
mod segment;
mod spool;
mod store;

use std::ops::Range;
use std::time::{Duration, Instant};

use outbox::{Outbox, Outgoing, SpoolMark};
use spool::{DiskState, Spool};
use store::{Loaded, StoreChange, StoreContent, StoreError};

pub use outbox::Dropped;
pub use spool::Disk;

/// How long a summary may be unacknowledged on a working connection before it is written to disk.
const UNACKNOWLEDGED: Duration = Duration::from_secs(3);
/// How long, and how many, acknowledged summaries may still be on disk; a crash sends them again.
const REMOVAL: (Duration, usize) = (Duration::from_secs(10), 256);
/// How long a disk that failed is left alone.
const RETRY: Duration = Duration::from_secs(60);
/// The most summaries written in one go.
const BATCH: usize = 256;

/// What the disk has to do.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::publish) enum DiskJob {
    /// Open the files, or make them.
    Open,
    /// Write to them.
    Write(StoreChange),
    /// Read the first `most` within `keys`.
    Load { keys: Range<u64>, most: usize },
    /// Close them: there will be no further job.
    Close,
}

/// What came of a [`DiskJob`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::publish) enum DiskResult {
    Opened(Result<StoreContent, StoreError>),
    /// With the number of summaries that were trimmed.
    Written(Result<u64, StoreError>),
    Loaded(Result<Loaded, StoreError>),
    Closed,
}

#[derive(Debug)]
pub(in crate::publish) struct Queue {
    outbox: Outbox,
    /// `None`: memory only.
    spool: Option<Spool>,
}

impl Queue {
    /// A queue that holds `memory` messages in memory and, if `limit` is given, up to `limit` summaries with a disk
    /// behind it.
    pub fn new(memory: usize, limit: Option<u64>) -> Self {
        Self { outbox: Outbox::new(memory), spool: limit.map(|limit| Spool::new(memory, limit)) }
    }

    /// Takes a message in.
    pub fn push(&mut self, mut message: Outgoing, now: Instant) {
        let Some(spool) = self.spool.as_mut().filter(|_| message.is_summary()) else {
            return self.outbox.push(message);
        };
        message.mark = SpoolMark { id: spool.ids, since: Some(now), key: None };
        spool.ids += 1;
        spool.tail.push_back(message);
        self.bound();
    }

    /// The broker has accepted a connection.
    pub fn connected(&mut self) {
        self.outbox.connected();
        self.advance();
    }

    /// The connection is lost: what the broker has not acknowledged goes back to where it came from.
    pub fn disconnected(&mut self, now: Instant) {
        self.outbox.disconnected();
        let Some(spool) = &mut self.spool else { return };
        for mut message in self.outbox.take_summaries().into_iter().rev() {
            match message.mark.key.take() {
                Some(key) if !spool.state.is_failing() => spool.give_back(key),
                key => {
                    // The disk cannot be read: what is in memory stays there.
                    spool.forget(key, now);
                    spool.tail.push_front(message);
                }
            }
        }
        self.bound();
        self.advance();
    }

    /// The next message to send now, if there is one and room for it in flight.
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
            spool.forget(message.mark.key, now);
        }
    }

    /// No further messages will come: what is not on disk is to be written, and the files to be closed.
    pub fn stop(&mut self) {
        if let Some(spool) = &mut self.spool {
            spool.stopping = true;
        }
    }

    /// What the disk has to do now. It counts as begun, and there is no other until it is [`Self::done`].
    pub fn job(&mut self, now: Instant) -> Option<DiskJob> {
        let (outbox, spool) = (&mut self.outbox, self.spool.as_mut()?);
        if spool.busy.is_some() {
            return None;
        }
        let job = match spool.state {
            DiskState::Closed => return None,
            DiskState::Opening => DiskJob::Open,
            DiskState::Failing { .. } if spool.stopping => DiskJob::Close,
            DiskState::Failing { retry } if now >= retry => DiskJob::Open,
            DiskState::Failing { .. } => return None,
            state => match spool.write(outbox, now) {
                Some(change) => DiskJob::Write(change),
                None if state == DiskState::Replaying && spool.needs_more(outbox) => {
                    // Some of the keys may be acknowledged ones that are still to be removed.
                    let most = outbox.room() + spool.gone.range(spool.first..).count();
                    DiskJob::Load { keys: spool.first..spool.next, most }
                }
                None if spool.stopping => DiskJob::Close,
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
            DiskState::Opening => Some(now),
            DiskState::Failing { retry } => Some(retry),
            DiskState::Closed => None,
            DiskState::Idle | DiskState::Spooling | DiskState::Replaying => {
                let unwritten = spool.unwritten(outbox).filter_map(|message| message.mark.since).min();
                let due = unwritten.map(|since| since + UNACKNOWLEDGED);
                let removal = spool.gone_since.map(|since| since + REMOVAL.0);
                let first = [due, removal].into_iter().flatten().min()?;
                Some(spool.refused_until.map_or(first, |until| until.max(first)))
            }
        }
    }

    /// Takes the result of the job that [`Self::job`] returned last.
    pub fn done(&mut self, result: DiskResult, now: Instant) {
        let (outbox, Some(spool)) = (&mut self.outbox, &mut self.spool) else { return };
        let job = spool.busy.take();
        let writing = std::mem::take(&mut spool.writing);
        match (result, job) {
            (DiskResult::Opened(Ok(content)), _) => spool.opened(&content),
            // Once a summary has gone past what is stored, waiting for the disk keeps no order any more.
            (DiskResult::Opened(Err(_)), _) => spool.state = DiskState::Failing { retry: now + RETRY },
            (DiskResult::Written(Ok(trimmed)), Some(DiskJob::Write(change))) => {
                spool.changed(&change, trimmed, now);
                for (id, key) in writing {
                    spool.written(outbox, id, key, now);
                }
            }
            (DiskResult::Written(Err(error)), _) => {
                // It may be on disk all the same: then it is to be removed, because it will be written again.
                for (_, key) in writing {
                    spool.forget(Some(key), now);
                }
                spool.write_failed(outbox, &error, now);
            }
            (DiskResult::Loaded(Ok(loaded)), Some(DiskJob::Load { keys, most })) => {
                spool.loaded(outbox, loaded, &keys, most, now);
            }
            (DiskResult::Loaded(Err(error)), _) => spool.load_failed(outbox, &error, now),
            (DiskResult::Closed, _) => spool.state = DiskState::Closed,
            (DiskResult::Written(Ok(_)) | DiskResult::Loaded(Ok(_)), _) => {
                unreachable!("the result of another job")
            }
        }
        self.bound();
        self.advance();
    }

    /// Whether no further job will come.
    pub fn ended(&self) -> bool {
        self.spool.as_ref().is_none_or(|spool| spool.state == DiskState::Closed)
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

    /// Unacknowledged summaries on disk, if the disk can be read.
    pub fn on_disk(&mut self) -> Option<u64> {
        let spool = self.spool.as_ref().filter(|spool| spool.known && !spool.state.is_failing())?;
        let copied = self.outbox.summaries().filter(|message| message.mark.key.is_some()).count() as u64;
        Some(spool.stored + copied)
    }

    /// The condition of the disk.
    pub fn disk(&self) -> Disk {
        match &self.spool {
            None => Disk::Off,
            Some(spool) if spool.refused_until.is_some() || spool.state.is_failing() => Disk::Failing,
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

    /// Drops the oldest summaries beyond the bounds, as far as that needs no disk.
    fn bound(&mut self) {
        let Some(spool) = &mut self.spool else { return };
        let all = spool.stored + spool.tail.len() as u64 + self.outbox.summaries().count() as u64;
        // What is stored is older and has to go first; that is the disk's work.
        let over = all.saturating_sub(spool.limit).saturating_sub(spool.stored) as usize;
        let over = over.max(spool.tail.len().saturating_sub(spool.memory)).min(spool.tail.len());
        spool.tail.drain(..over);
        spool.dropped += over as u64;
    }

    /// Idle, spooling or replaying: what follows from the connection and from what is stored.
    fn advance(&mut self) {
        if let Some(spool) = &mut self.spool {
            spool.state = spool.state.next(self.outbox.is_connected(), spool.stored);
        }
    }
}

#[cfg(test)]
mod tests;
