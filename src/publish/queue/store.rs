//! Summaries on disk: segment files, written at the end of the newest, deleted as a whole from the oldest.
//!
//! A segment is filled with zeros when it is made: a record then overwrites blocks that the file has already, and the
//! file system has nothing to note besides. That costs the medium a sixth of what a database
//! does for each window, and a third of a growing file (`docs/decisions/0003-durable-queue.md`). One segment always stays, so the disk can fill up without
//! costing the first half hour of an outage.

mod files;
mod recovery;

use std::collections::{BTreeSet, VecDeque};
use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, ErrorKind};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::segment::{HEADER, Record, Records};
use files::{blank, content, create, numbers, open, path};
use recovery::Found;

/// The folder in the state directory that is ours alone.
pub(in crate::publish) const FOLDER: &str = "queue";

/// How often, and how far apart, a lock that somebody holds is tried again.
const LOCK_TRIES: u32 = 10;
const LOCK_WAIT: Duration = Duration::from_millis(50);

/// A summary with its key, by which the queue is ordered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::publish) struct Stored {
    pub key: u64,
    pub topic: String,
    pub body: String,
}

/// What was on disk when it was opened.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::publish) struct StoreContent {
    /// The first key in use.
    pub first: u64,
    /// The key after the last one that was ever used.
    pub next: u64,
    /// How many are in use.
    pub count: u64,
    /// What was found to be damaged: the summaries in it are lost.
    pub damage: Option<String>,
}

/// What to write: on the medium, all of it, when [`Store::change`] returns.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::publish) struct StoreChange {
    /// Summaries to add; their keys rise, and are above any key used before.
    pub put: Vec<Stored>,
    /// Keys that are no longer needed; those not in use are ignored.
    pub remove: Vec<u64>,
    /// Remove so many of the oldest within the keys.
    pub trim: Option<(Range<u64>, u64)>,
}

/// What was read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::publish) struct Loaded {
    /// In the order of their keys.
    pub summaries: Vec<Stored>,
    /// The keys of summaries that cannot be read any more.
    pub damaged: Vec<u64>,
}

/// Why the disk did not do what was asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(in crate::publish) enum StoreError {
    /// The files are no longer those that were opened.
    #[error("{0} was deleted or replaced while emotiond was running")]
    Lost(String),
    /// The disk is full, read-only or broken, or the folder is in use.
    #[error("{0}")]
    Unavailable(String),
}

/// One segment file.
#[derive(Debug)]
struct Segment {
    number: u64,
    /// Its summaries have keys from here on …
    first: u64,
    /// … to before this one.
    next: u64,
}

/// The open folder.
#[derive(Debug)]
pub(in crate::publish) struct Store {
    folder: PathBuf,
    /// Held locked, so that no other process writes here.
    _lock: File,
    /// Oldest first; the last one is written to.
    segments: VecDeque<Segment>,
    tail: File,
    /// Where the next record goes in the tail, and the size of that file.
    at: usize,
    size: usize,
    /// The keys in use.
    live: BTreeSet<u64>,
    /// The key after the last one that was used.
    next: u64,
}

impl Store {
    /// Opens the queue in the state directory `directory`, or makes it. A file that is not a segment of this version is
    /// renamed; damage within one costs the records that it hits.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the disk or another process does not allow it.
    pub fn open(directory: &Path) -> Result<(Self, StoreContent), StoreError> {
        let folder = directory.join(FOLDER);
        match DirBuilder::new().mode(0o700).create(&folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(unavailable(error)),
            _ => {}
        }
        let lock = open(&folder.join("lock")).map_err(unavailable)?;
        // The daemon before this one may still be on its way out, and a child that has just been forked holds what its
        // parent had open until it executes.
        let mut tries = 0..LOCK_TRIES;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) if tries.next().is_some() => std::thread::sleep(LOCK_WAIT),
                Err(TryLockError::WouldBlock) => {
                    let reason =
                        "another process has it open; give each emotiond a state directory of its own";
                    return Err(StoreError::Unavailable(reason.into()));
                }
                Err(TryLockError::Error(error)) => return Err(unavailable(error)),
            }
        }
        let mut found = Found::default();
        for number in numbers(&folder).map_err(unavailable)? {
            found.read(&folder, number).map_err(unavailable)?;
        }
        let (tail, at, size) = match found.tail {
            Some((file, at, size)) => (file, at, size),
            None => {
                let number = found.last_number + 1;
                found.segments.push_back(Segment { number, first: found.next, next: found.next });
                let (file, size) = create(&folder, number, 0).map_err(unavailable)?;
                (file, HEADER.len(), size)
            }
        };
        let content = StoreContent {
            first: found.live.first().copied().unwrap_or(found.next),
            next: found.next,
            count: found.live.len() as u64,
            damage: found.damage,
        };
        let store = Self {
            folder,
            _lock: lock,
            segments: found.segments,
            tail,
            at,
            size,
            live: found.live,
            next: found.next,
        };
        Ok((store, content))
    }

    /// Makes the changes and returns how many summaries `trim` removed.
    ///
    /// # Errors
    /// If they are not on the medium for certain. The store is of no use afterwards and has to be opened again.
    pub fn change(&mut self, change: &StoreChange) -> Result<u64, StoreError> {
        self.check()?;
        let mut trimmed: Vec<u64> = Vec::new();
        if let Some((keys, most)) = &change.trim {
            trimmed.extend(self.live.range(keys.clone()).take(*most as usize));
        }
        let mut removed: Vec<u64> = change.remove.iter().copied().chain(trimmed.iter().copied()).collect();
        removed.sort_unstable();
        removed.retain(|key| self.live.remove(key));
        // Segments first: on a full disk that makes the room in which to note the rest.
        self.delete_oldest();
        // Those of segments that are gone need no note.
        let first = self.segments[0].first;
        removed.retain(|key| *key >= first);
        let oldest = self.live.first().copied().unwrap_or(self.next);
        let mut records = Vec::new();
        if !removed.is_empty() {
            records.push((None, encoded(&Record::Removal(ranges(&removed, oldest)))));
        }
        for Stored { key, topic, body } in &change.put {
            records.push((Some(*key), encoded(&Record::Summary { key: *key, topic, body })));
        }
        let full = records.iter().any(|(_, record)| self.at + record.len() > self.size);
        if full && self.live.is_empty() && change.put.is_empty() {
            // Nothing in the tail is needed: emptied in place, which a full disk allows, it needs no note either.
            return self.clear().map(|()| trimmed.len() as u64).map_err(unavailable);
        }
        self.append(&records).map_err(unavailable)?;
        Ok(trimmed.len() as u64)
    }

    /// Returns the first `most` summaries within the keys, and which of them cannot be read.
    ///
    /// # Errors
    /// If the disk does not let them be read.
    pub fn load(&mut self, keys: Range<u64>, most: usize) -> Result<Loaded, StoreError> {
        self.check()?;
        let mut wanted: VecDeque<u64> = self.live.range(keys).take(most).copied().collect();
        let mut loaded = Loaded::default();
        while let Some(&key) = wanted.front() {
            let at = self.segments.partition_point(|segment| segment.next <= key);
            let segment = self.segments.get(at).expect("every key in use lies in a segment");
            let here = wanted.partition_point(|key| *key < segment.next);
            let mut here: BTreeSet<u64> = wanted.drain(..here).collect();
            let bytes = match content(&path(&self.folder, segment.number)) {
                Ok(bytes) => bytes.unwrap_or_default(),
                Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
                Err(error) => return Err(unavailable(error)),
            };
            for record in Records::of(&bytes).into_iter().flatten() {
                if let Record::Summary { key, topic, body } = record
                    && here.remove(&key)
                {
                    let (topic, body) = (topic.to_owned(), body.to_owned());
                    loaded.summaries.push(Stored { key, topic, body });
                }
            }
            loaded.damaged.extend(here);
        }
        for key in &loaded.damaged {
            self.live.remove(key);
        }
        Ok(loaded)
    }

    /// Whether the files are still where they were: a write to one that was deleted would be lost without an error.
    fn check(&self) -> Result<(), StoreError> {
        let path = path(&self.folder, self.segments.back().expect("one segment always stays").number);
        let same = match (self.tail.metadata(), std::fs::metadata(&path)) {
            (Ok(open), Ok(named)) => (open.dev(), open.ino()) == (named.dev(), named.ino()),
            (_, Err(error)) if error.kind() == ErrorKind::NotFound => false,
            (Err(error), _) | (_, Err(error)) => return Err(unavailable(error)),
        };
        if same { Ok(()) } else { Err(StoreError::Lost(path.display().to_string())) }
    }

    /// Deletes the segments of which nothing is needed any more. The removals noted in them concern themselves and older
    /// ones, so that going from the oldest on keeps every note that is needed.
    fn delete_oldest(&mut self) {
        while self.segments.len() > 1 && self.live.first().is_none_or(|key| *key >= self.segments[0].next) {
            let path = path(&self.folder, self.segments[0].number);
            if let Err(error) = std::fs::remove_file(&path) {
                log::debug!("failed to delete {}: {error}", path.display());
                return;
            }
            self.segments.pop_front();
        }
    }

    /// Writes records, those of summaries with their keys; each segment is synchronized once.
    fn append(&mut self, records: &[(Option<u64>, Vec<u8>)]) -> io::Result<()> {
        let mut batch = Vec::new();
        for (key, record) in records {
            if self.at + batch.len() + record.len() > self.size {
                self.write(&batch)?;
                batch.clear();
                self.begin_segment(record.len())?;
            }
            batch.extend(record);
            if let Some(key) = key {
                self.live.insert(*key);
                self.next = key + 1;
                self.segments.back_mut().expect("one segment always stays").next = self.next;
            }
        }
        self.write(&batch)
    }

    fn write(&mut self, batch: &[u8]) -> io::Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        self.tail.write_all_at(batch, self.at as u64)?;
        self.tail.sync_data()?;
        self.at += batch.len();
        Ok(())
    }

    fn begin_segment(&mut self, record: usize) -> io::Result<()> {
        let number = self.segments.back().expect("one segment always stays").number + 1;
        (self.tail, self.size) = create(&self.folder, number, record)?;
        self.at = HEADER.len();
        self.segments.push_back(Segment { number, first: self.next, next: self.next });
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        blank(&self.tail, HEADER.len(), self.at)?;
        self.at = HEADER.len();
        Ok(())
    }
}

fn encoded(record: &Record) -> Vec<u8> {
    let mut bytes = Vec::new();
    record.encode(&mut bytes);
    bytes
}

/// The keys, which rise, as ranges. Whatever lies before `oldest` is not in use: gaps there need no range of their own.
fn ranges(keys: &[u64], oldest: u64) -> Vec<Range<u64>> {
    let mut ranges: Vec<Range<u64>> = Vec::new();
    for &key in keys {
        match ranges.last_mut() {
            Some(last) if last.end == key || key < oldest => last.end = key + 1,
            _ => ranges.push(key..key + 1),
        }
    }
    ranges
}

fn unavailable(error: impl Into<io::Error>) -> StoreError {
    StoreError::Unavailable(error.into().to_string())
}

#[cfg(test)]
mod tests;
