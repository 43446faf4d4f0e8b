//! The thread that does the disk's work for the queue, one job after the other.
//!
//! No lock is held while it reads, writes or waits for the medium: a card that takes seconds for a write delays neither
//! vision nor the connection, and a dead one costs this thread alone.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::store::{FOLDER, Store, StoreError};
use super::{DiskJob, DiskResult, RETRY};

/// The side that holds the queue, under a lock.
pub(in crate::publish) trait QueueOwner: Send + Sync {
    /// Blocks until the queue has a job for the disk; `None` if there will never be one again.
    fn wait_for_job(&self) -> Option<DiskJob>;

    /// Gives the queue the result of its job.
    fn finish(&self, result: DiskResult);
}

/// The work of the thread.
pub(in crate::publish) struct DiskWorker<O> {
    owner: Arc<O>,
    directory: PathBuf,
    store: Option<Store>,
    /// The fault of the disk that was last reported, while it lasts.
    reported: Option<String>,
    /// Whether the files have been opened once.
    opened: bool,
}

impl<O: QueueOwner> DiskWorker<O> {
    pub fn new(owner: Arc<O>, directory: PathBuf) -> Self {
        Self { owner, directory, store: None, reported: None, opened: false }
    }

    /// Works until there is nothing more to come.
    pub fn run(mut self) {
        while let Some(job) = self.owner.wait_for_job() {
            let result = self.perform(job);
            self.owner.finish(result);
        }
    }

    fn perform(&mut self, job: DiskJob) -> DiskResult {
        match job {
            DiskJob::Open => {
                self.store = None; // or it would find the folder in use, by itself
                let opened = Store::open(&self.directory).map(|(store, content)| {
                    self.store = Some(store);
                    if let Some(damage) = &content.damage {
                        log::error!(
                            "the queue on disk was damaged: {damage}; the summaries in the damaged parts are lost, the \
                             others are kept"
                        );
                    }
                    if content.count > 0 && !self.opened {
                        let folder = self.folder();
                        log::info!("{} summaries of an earlier run wait in {folder}", content.count);
                    }
                    self.opened = true;
                    content
                });
                DiskResult::Opened(opened.map_err(|error| self.report(error)))
            }
            DiskJob::Write(change) => {
                let written = self.store().and_then(|store| store.change(&change));
                if written.is_ok() {
                    let (put, removed) = (change.put.len(), change.remove.len());
                    log::debug!("{put} summaries written to disk, {removed} removed");
                    if self.reported.take().is_some() {
                        log::info!("summaries are kept on disk again");
                    }
                }
                DiskResult::Written(written.map_err(|error| self.fail(error)))
            }
            DiskJob::Load { keys, most } => {
                let loaded = self.store().and_then(|store| store.load(keys, most));
                if let Ok(damaged @ 1..) = loaded.as_ref().map(|loaded| loaded.damaged.len()) {
                    let folder = self.folder();
                    log::error!("{damaged} summaries in {folder} are damaged and lost; check the disk");
                }
                DiskResult::Loaded(loaded.map_err(|error| self.fail(error)))
            }
            DiskJob::Close => {
                self.store = None;
                DiskResult::Closed
            }
        }
    }

    fn store(&mut self) -> Result<&mut Store, StoreError> {
        self.store.as_mut().ok_or_else(|| StoreError::Unavailable("it is not open".into()))
    }

    fn folder(&self) -> String {
        self.directory.join(FOLDER).display().to_string()
    }

    /// After an error it is unknown what is on the medium: the files are opened and read again before the next write.
    fn fail(&mut self, error: StoreError) -> StoreError {
        self.store = None;
        if !matches!(error, StoreError::Lost(_)) {
            return self.report(error);
        }
        log::error!(
            "{error}: the summaries in it are lost, those in memory go to a new one; nothing but emotiond may change files \
             in {}",
            self.directory.display()
        );
        remake(&self.directory);
        error
    }

    /// Reports a fault once, however often it is met.
    fn report(&mut self, error: StoreError) -> StoreError {
        let reason = error.to_string();
        if self.reported.as_ref() == Some(&reason) {
            log::debug!("the disk still fails: {reason}");
        } else {
            log::error!(
                "summaries cannot be kept in {}: {reason}; they are kept in memory, and the disk is tried again every \
                 {} s",
                self.folder(),
                RETRY.as_secs()
            );
            self.reported = Some(reason);
        }
        error
    }
}

/// Makes the state directory again if it was deleted.
fn remake(directory: &Path) {
    if let Err(error) = std::fs::create_dir_all(directory) {
        log::error!(
            "the state directory {} is gone and cannot be made: {error}; make it, or restart emotiond, which is confined \
             to the one that was there at its start",
            directory.display()
        );
    }
}
