//! The summaries behind the outbox: on disk (`stored`) and in memory alone (`tail`), and what is written when.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Instant;

use super::outbox::{Outbox, Outgoing, SpoolMark};
use super::store::{Loaded, StoreChange, StoreContent, StoreError, Stored};
use super::{BATCH, DiskJob, REMOVAL, RETRY, UNACKNOWLEDGED};

/// The condition of the disk, for `health`.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Disk {
    /// Nothing is kept on disk.
    #[default]
    Off,
    /// Summaries are kept on disk when needed.
    Ok,
    /// The same; but in this run a file was damaged, deleted or replaced, and what it held is lost.
    Replaced,
    /// The disk is full, read-only or broken: summaries are kept in memory until it is not.
    Failing,
}

/// Where the queue stands with its disk.
///
/// ```text
/// Opening ──opened──▶ Idle ◀──connected, nothing stored──▶ Replaying ◀──connection lost, found again──▶ Spooling
///    ▲ │                └───────────────────────any of the three──────────────────────────┘
///    │ └──cannot be opened──▶ Failing ◀──cannot be read──┘      │
///    └───────after a minute─────┘                                └──a write failed, or the files are gone──▶ Opening
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum DiskState {
    /// The files are to be opened now: at the start, and again after a write has failed.
    Opening,
    /// Connected, and nothing is stored: summaries go out as they close.
    Idle,
    /// No connection: summaries are written as they close.
    Spooling,
    /// Connected: what is stored goes out, oldest first, and what closes waits behind it.
    Replaying,
    /// The files cannot be opened or read, and are tried again at `retry`. Summaries stay in memory until then.
    Failing { retry: Instant },
    /// Closed for good.
    Closed,
}

impl DiskState {
    /// The state that follows while the files are open; any other state stays.
    pub fn next(self, connected: bool, stored: u64) -> Self {
        match self {
            Self::Idle | Self::Spooling | Self::Replaying => match (connected, stored) {
                (false, _) => Self::Spooling,
                (true, 0) => Self::Idle,
                (true, _) => Self::Replaying,
            },
            Self::Opening | Self::Failing { .. } | Self::Closed => self,
        }
    }

    pub fn is_failing(self) -> bool {
        matches!(self, Self::Failing { .. })
    }
}

#[derive(Debug)]
pub(super) struct Spool {
    /// The most unacknowledged summaries, wherever they are.
    pub limit: u64,
    /// The most in the tail.
    pub memory: usize,
    pub state: DiskState,
    /// Until when the disk is not written to after it has refused; it is still read meanwhile.
    pub refused_until: Option<Instant>,
    /// Whether it is known what the files hold.
    pub known: bool,
    /// Whether something on disk was damaged or deleted in this run.
    pub replaced: bool,
    /// The first key that may be stored, and how many are, from there to `next`.
    pub first: u64,
    pub stored: u64,
    /// The next key to be used.
    pub next: u64,
    pub tail: VecDeque<Outgoing>,
    /// Keys that are to be removed, since when.
    pub gone: BTreeSet<u64>,
    pub gone_since: Option<Instant>,
    /// The job that is being done, and which summaries it writes under which keys.
    pub busy: Option<DiskJob>,
    pub writing: Vec<(u64, u64)>,
    pub stopping: bool,
    pub dropped: u64,
    pub ids: u64,
}

impl Spool {
    pub fn new(memory: usize, limit: u64) -> Self {
        Self {
            limit: limit.max(1),
            memory,
            state: DiskState::Opening,
            refused_until: None,
            known: false,
            replaced: false,
            first: 0,
            stored: 0,
            next: 0,
            tail: VecDeque::new(),
            gone: BTreeSet::new(),
            gone_since: None,
            busy: None,
            writing: Vec::new(),
            stopping: false,
            dropped: 0,
            ids: 0,
        }
    }

    /// Whether nothing older than the tail is waiting, or what is older cannot be read.
    pub fn tail_is_next(&self) -> bool {
        self.state.is_failing() || self.known && self.stored == 0
    }

    /// Whether it is time to read more for the outbox.
    pub fn needs_more(&self, outbox: &Outbox) -> bool {
        outbox.room() > self.limit.min(Outbox::SUMMARIES as u64) as usize / 2 || outbox.waiting() == 0
    }

    /// Summaries that are in memory alone and are to be written when the time comes, oldest first.
    pub fn unwritten<'a>(&'a self, outbox: &'a mut Outbox) -> impl Iterator<Item = &'a Outgoing> {
        // Those that went past what is stored would, written after it, come twice: from here and from there.
        let passed = self.stored > 0;
        let sent = outbox.summaries().filter(move |message| message.mark.key.is_none() && !passed);
        sent.map(|message| &*message).chain(&self.tail)
    }

    /// What is to be written now.
    pub fn write(&mut self, outbox: &mut Outbox, now: Instant) -> Option<StoreChange> {
        if self.refused_until.is_some_and(|until| now < until) && !self.stopping {
            return None;
        }
        let at_once = !outbox.is_connected() || self.stopping;
        let all = self.stored + self.tail.len() as u64 + outbox.summaries().count() as u64;
        let over = all.saturating_sub(self.limit).min(self.stored);
        let waited = |since: Option<Instant>| since.is_none_or(|since| now >= since + UNACKNOWLEDGED);
        let due = self.unwritten(outbox).any(|message| at_once || waited(message.mark.since));
        let removal = self.gone.len() >= REMOVAL.1
            || self.gone_since.is_some_and(|since| self.stopping || now >= since + REMOVAL.0);
        if !due && !removal && over == 0 {
            return None;
        }
        // Keys are taken now: a key is never used twice, even if this fails.
        let mut next = self.next;
        let mut writing = Vec::new();
        let mut put = Vec::new();
        if due {
            for message in self.unwritten(outbox).take(BATCH) {
                put.push(Stored { key: next, topic: message.topic.clone(), body: message.body.clone() });
                writing.push((message.mark.id, next));
                next += 1;
            }
        }
        let trim = (over > 0).then_some((self.first..self.next, over));
        (self.next, self.writing) = (next, writing);
        Some(StoreChange { put, remove: self.gone.iter().copied().collect(), trim })
    }

    /// The files are open.
    pub fn opened(&mut self, content: &StoreContent) {
        self.state = DiskState::Idle; // or what follows from the connection
        self.replaced |= content.damage.is_some();
        if !self.known {
            (self.first, self.stored) = (content.first, content.count);
            self.next = self.next.max(content.next);
            self.known = true;
        }
    }

    /// A change has been made: `trimmed` summaries are gone by it.
    pub fn changed(&mut self, change: &StoreChange, trimmed: u64, now: Instant) {
        self.refused_until = None;
        self.stored = self.stored.saturating_sub(trimmed);
        self.dropped += trimmed;
        for key in &change.remove {
            self.gone.remove(key);
        }
        self.gone_since = (!self.gone.is_empty()).then_some(now);
    }

    /// The disk has refused a write.
    pub fn write_failed(&mut self, outbox: &mut Outbox, error: &StoreError, now: Instant) {
        self.refused_until = Some(now + RETRY);
        // Opened again at once, because what is stored can still be read; unless there is no time left.
        self.state =
            if self.stopping { DiskState::Failing { retry: now + RETRY } } else { DiskState::Opening };
        self.failed(outbox, error);
    }

    /// The disk cannot be read.
    pub fn load_failed(&mut self, outbox: &mut Outbox, error: &StoreError, now: Instant) {
        self.state = DiskState::Failing { retry: now + RETRY };
        self.failed(outbox, error);
    }

    fn failed(&mut self, outbox: &mut Outbox, error: &StoreError) {
        if matches!(error, StoreError::Lost(_)) {
            // The files are gone with what was stored; what memory holds is written to new ones at once.
            (self.state, self.refused_until) = (DiskState::Opening, None);
            (self.known, self.replaced) = (false, true);
            self.dropped += std::mem::take(&mut self.stored);
            (self.gone, self.gone_since) = (BTreeSet::new(), None);
            for message in outbox.summaries() {
                message.mark.key = None;
            }
        }
    }

    /// A summary has been written: it is wherever it has got to meanwhile.
    pub fn written(&mut self, outbox: &mut Outbox, id: u64, key: u64, now: Instant) {
        if let Some(message) = outbox.summaries().find(|message| message.mark.id == id) {
            message.mark.key = Some(key);
        } else if let Some(at) = self.tail.iter().position(|message| message.mark.id == id) {
            self.tail.remove(at);
            self.give_back(key);
        } else {
            self.forget(Some(key), now); // acknowledged, or dropped
        }
    }

    pub fn loaded(
        &mut self,
        outbox: &mut Outbox,
        loaded: Loaded,
        keys: &Range<u64>,
        most: usize,
        now: Instant,
    ) {
        let damaged = loaded.damaged.len() as u64;
        if damaged > 0 {
            self.replaced = true;
            let lost = loaded.damaged.iter().filter(|key| !self.gone.contains(key)).count() as u64;
            self.stored = self.stored.saturating_sub(lost);
            self.dropped += lost;
        }
        if !outbox.is_connected() || self.first != keys.start {
            return; // the connection was lost meanwhile: all of it is still stored
        }
        let whole = loaded.summaries.len() + loaded.damaged.len() < most;
        for Stored { key, topic, body } in loaded.summaries {
            if self.gone.contains(&key) {
                self.first = key + 1;
                continue;
            }
            if outbox.room() == 0 {
                return;
            }
            self.first = key + 1;
            self.stored = self.stored.saturating_sub(1);
            let mark = SpoolMark { id: self.ids, since: Some(now), key: Some(key) };
            self.ids += 1;
            outbox.push(Outgoing::summary(topic, body, mark));
        }
        if whole {
            // Should damage have taken some unnoticed, there is no more than there is.
            self.dropped += std::mem::take(&mut self.stored);
        }
    }

    /// A key is, or is again, on disk alone.
    pub fn give_back(&mut self, key: u64) {
        self.first = if self.stored == 0 { key } else { self.first.min(key) };
        self.stored += 1;
    }

    /// A key is no longer needed.
    pub fn forget(&mut self, key: Option<u64>, now: Instant) {
        if let Some(key) = key {
            self.gone.insert(key);
            self.gone_since.get_or_insert(now);
        }
    }
}
