//! The thread that does the disk's work for the durable queue, one job after the other.
//!
//! No lock is held while it reads, writes or waits for the medium: a card that takes seconds for a write delays neither
//! vision nor the connection, and a dead one costs this thread alone.

use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use crate::publish::mqtt::session::Shared;
use crate::publish::queue::durable::{Job, Outcome, RETRY};
use crate::publish::queue::store::{self, FILE, Store, StoreError};

/// The work of the thread.
pub(in crate::publish) struct DiskWorker {
    shared: Arc<Shared>,
    directory: PathBuf,
    store: Option<Store>,
    /// What is wrong with the disk, if it has been told.
    told: Option<String>,
    /// Whether the file has been opened once.
    opened: bool,
}

impl DiskWorker {
    pub fn new(shared: Arc<Shared>, directory: PathBuf) -> Self {
        Self { shared, directory, store: None, told: None, opened: false }
    }

    /// Works until the queue says that there is nothing more to come.
    pub fn run(mut self) {
        while let Some(job) = self.wait() {
            let outcome = self.perform(job);
            let mut state = self.shared.lock();
            state.queue.done(outcome, Instant::now());
            state.pump();
            drop(state);
            self.shared.changed.notify_all();
        }
    }

    fn wait(&self) -> Option<Job> {
        let mut state = self.shared.lock();
        loop {
            let now = Instant::now();
            if let Some(job) = state.queue.job(now) {
                return Some(job);
            }
            if state.queue.ended() {
                return None;
            }
            state = match state.queue.deadline(now) {
                Some(deadline) => {
                    let waited =
                        self.shared.changed.wait_timeout(state, deadline.saturating_duration_since(now));
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.shared.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    fn perform(&mut self, job: Job) -> Outcome {
        match job {
            Job::Open => {
                self.store = None; // or it would find itself holding the file
                Outcome::Opened(match Store::open(&self.directory) {
                    Ok((store, content)) => {
                        self.store = Some(store);
                        if let Some(damage) = &content.damage {
                            self.damaged(damage);
                        }
                        if content.count > 0 && !self.opened {
                            let path = self.directory.join(FILE);
                            log::info!("{} summaries of before wait in {}", content.count, path.display());
                        }
                        self.opened = true;
                        Ok(content)
                    }
                    Err(error) => Err(self.report(error)),
                })
            }
            Job::Write(change) => {
                let outcome = match &mut self.store {
                    Some(store) => store.change(&change),
                    None => Err(StoreError::Unavailable("it is not open".into())),
                };
                if outcome.is_ok() {
                    let (put, removed) = (change.put.len(), change.remove.len());
                    log::debug!("{put} summaries written to disk, {removed} removed");
                    if self.told.take().is_some() {
                        log::info!("summaries are kept on disk again");
                    }
                }
                Outcome::Written(outcome.map_err(|error| self.give_up(error)))
            }
            Job::Load { places, most } => {
                let outcome = match &self.store {
                    Some(store) => store.load(places, most),
                    None => Err(StoreError::Unavailable("it is not open".into())),
                };
                Outcome::Loaded(outcome.map_err(|error| self.give_up(error)))
            }
            Job::Close => {
                self.store = None;
                Outcome::Closed
            }
        }
    }

    /// An open file that fails is of no use any more: redb refuses everything after a first error.
    fn give_up(&mut self, error: StoreError) -> StoreError {
        self.store = None;
        let error = match (error, &self.directory) {
            (StoreError::Damaged(reason), directory) => match store::put_aside(directory) {
                Ok(()) => {
                    self.damaged(&reason);
                    return StoreError::Damaged(reason);
                }
                Err(error) => error,
            },
            (error, _) => error,
        };
        self.report(error)
    }

    fn damaged(&self, reason: &str) {
        log::error!(
            "the queue {} was damaged ({reason}): it is now {}, what it held is lost, and a new one begins",
            self.directory.join(FILE).display(),
            store::DAMAGED
        );
    }

    /// Tells a fault once, however often it is met.
    fn report(&mut self, error: StoreError) -> StoreError {
        let reason = error.to_string();
        if self.told.as_ref() == Some(&reason) {
            log::debug!("the disk still fails: {reason}");
        } else {
            log::error!(
                "summaries cannot be kept in {}: {reason}; they are kept in memory, and the disk is tried again every \
                 {} s",
                self.directory.join(FILE).display(),
                RETRY.as_secs()
            );
            self.told = Some(reason);
        }
        error
    }
}
