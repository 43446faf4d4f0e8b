//! The summaries behind the outbox: on disk (`stored`) and in memory alone (`tail`), and what is written when.

use std::collections::{BTreeSet, VecDeque};
use std::ops::Range;
use std::time::Instant;

use super::{BATCH, Job, PATIENCE, TIDY};
use crate::publish::queue::outbox::{Held, Outbox, Outgoing};
use crate::publish::queue::store::{Change, Content, StoreError, Stored};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// To be opened at once.
    Closed,
    Open,
    /// To be opened again then.
    Failed(Instant),
    /// Closed for good.
    Ended,
}

#[derive(Debug)]
pub struct Spool {
    /// The most unacknowledged summaries, wherever they are.
    pub limit: u64,
    /// The most in the tail.
    pub memory: usize,
    pub state: State,
    /// When the disk may be written to again after it has refused.
    pub writable: Option<Instant>,
    /// Whether it is known what the file holds.
    pub known: bool,
    pub replaced: bool,
    /// The first place that may be stored, and how many are, from there to `next`.
    pub first: u64,
    pub stored: u64,
    /// The next place to be taken.
    pub next: u64,
    pub tail: VecDeque<Outgoing>,
    /// Places that are to be removed, since when.
    pub gone: BTreeSet<u64>,
    pub gone_since: Option<Instant>,
    /// The job that is being done, and which summaries it writes where.
    pub busy: Option<Job>,
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
            state: State::Closed,
            writable: None,
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

    /// Whether nothing older than the tail is waiting, or what is older is out of reach.
    pub fn tail_is_next(&self) -> bool {
        matches!(self.state, State::Failed(_)) || self.known && self.stored == 0
    }

    /// Whether it is time to read more for the outbox.
    pub fn lacking(&self, outbox: &Outbox) -> bool {
        outbox.room() > self.limit.min(Outbox::SUMMARIES as u64) as usize / 2 || outbox.waiting() == 0
    }

    /// Summaries that are in memory alone and are to be written when the time comes, oldest first.
    pub fn unwritten<'a>(&'a self, outbox: &'a mut Outbox) -> impl Iterator<Item = &'a Outgoing> {
        // Those that went past what is stored would, written after it, come twice: from here and from there.
        let passed = self.stored > 0;
        let sent = outbox.summaries().filter(move |message| message.held.key.is_none() && !passed);
        sent.map(|message| &*message).chain(&self.tail)
    }

    /// What is to be written now.
    pub fn write(&mut self, outbox: &mut Outbox, now: Instant) -> Option<Change> {
        if self.writable.is_some_and(|writable| now < writable) && !self.stopping {
            return None;
        }
        let hurry = !outbox.is_connected() || self.stopping;
        let all = self.stored + self.tail.len() as u64 + outbox.summaries().count() as u64;
        let over = all.saturating_sub(self.limit).min(self.stored);
        let patience = |since: Option<Instant>| since.is_none_or(|since| now >= since + PATIENCE);
        let due = self.unwritten(outbox).any(|message| hurry || patience(message.held.since));
        let tidy = self.gone.len() >= TIDY.1
            || self.gone_since.is_some_and(|since| self.stopping || now >= since + TIDY.0);
        if !due && !tidy && over == 0 {
            return None;
        }
        // Places are taken now: a place is never used twice, even if this fails.
        let mut next = self.next;
        let mut writing = Vec::new();
        let mut put = Vec::new();
        if due {
            for message in self.unwritten(outbox).take(BATCH) {
                put.push(Stored { key: next, topic: message.topic.clone(), body: message.body.clone() });
                writing.push((message.held.id, next));
                next += 1;
            }
        }
        let trim = (over > 0).then_some((self.first..self.next, over));
        (self.next, self.writing) = (next, writing);
        let copied = outbox.summaries().any(|message| message.held.key.is_some());
        let empties = put.is_empty() && self.stored == 0 && !copied;
        Some(Change { put, remove: self.gone.iter().copied().collect(), trim, empties })
    }

    pub fn opened(&mut self, outbox: &mut Outbox, content: &Content) {
        self.state = State::Open;
        if content.damage.is_some() {
            self.lost(outbox);
        }
        if !self.known {
            (self.first, self.stored, self.next) = (content.first, content.count, content.next);
            self.known = true;
        }
    }

    /// What was on disk is not there any more.
    pub fn lost(&mut self, outbox: &mut Outbox) {
        self.replaced = true;
        self.dropped += self.stored;
        self.stored = 0;
        (self.gone, self.gone_since) = (BTreeSet::new(), None);
        for message in outbox.summaries() {
            message.held.key = None;
        }
    }

    pub fn failed(&mut self, outbox: &mut Outbox, error: &StoreError, state: State) {
        self.state = state;
        if matches!(error, StoreError::Damaged(_)) {
            self.lost(outbox);
            (self.state, self.writable) = (State::Closed, None);
        }
    }

    /// A summary has been written: it is wherever it has got to meanwhile.
    pub fn written(&mut self, outbox: &mut Outbox, id: u64, key: u64, now: Instant) {
        if let Some(message) = outbox.summaries().find(|message| message.held.id == id) {
            message.held.key = Some(key);
        } else if let Some(at) = self.tail.iter().position(|message| message.held.id == id) {
            self.tail.remove(at);
            self.give_back(key);
        } else {
            self.forget(Some(key), now); // acknowledged, or dropped
        }
    }

    pub fn loaded(
        &mut self,
        outbox: &mut Outbox,
        loaded: Vec<Stored>,
        places: &Range<u64>,
        most: usize,
        now: Instant,
    ) {
        if !outbox.is_connected() || self.first != places.start {
            return; // the connection has gone meanwhile: all of it is still stored
        }
        let whole = loaded.len() < most;
        for Stored { key, topic, body } in loaded {
            if self.gone.contains(&key) {
                self.first = key + 1;
                continue;
            }
            if outbox.room() == 0 {
                return;
            }
            self.first = key + 1;
            self.stored = self.stored.saturating_sub(1);
            let held = Held { id: self.ids, since: Some(now), key: Some(key) };
            self.ids += 1;
            outbox.push(Outgoing::summary(topic, body, held));
        }
        if whole {
            // Should somebody have changed the file behind our back, there is no more than there is.
            self.dropped += std::mem::take(&mut self.stored);
        }
    }

    /// A place is, or is again, on disk alone.
    pub fn give_back(&mut self, key: u64) {
        self.first = if self.stored == 0 { key } else { self.first.min(key) };
        self.stored += 1;
    }

    /// A place is no longer needed.
    pub fn forget(&mut self, key: Option<u64>, now: Instant) {
        if let Some(key) = key {
            self.gone.insert(key);
            self.gone_since.get_or_insert(now);
        }
    }
}
