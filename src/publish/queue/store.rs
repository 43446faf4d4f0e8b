//! Summaries on disk: a redb file with one table, from place to topic, body and a check sum over all three. redb checks
//! its own pages after a crash only; a bit that has flipped on the card must not become a wrong summary.
//!
//! Every write is one transaction and is on the medium when it returns; a power cut leaves the file as it was before or
//! after it. redb calls run inside [`contain`]: a file whose content makes it panic is a damaged file, not the end of
//! the process.

use std::fs::{File, OpenOptions};
use std::io::ErrorKind;
use std::ops::Range;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, ReadableDatabase as _, ReadableTable as _, ReadableTableMetadata as _, StorageError,
    TableDefinition,
};

use sha2::{Digest as _, Sha256};

use crate::exit::panics::contain;

/// The name of the file in the state directory.
pub(in crate::publish) const FILE: &str = "queue.redb";
/// The name that a damaged file is given; an older one of that name is replaced, so that there is one at most.
pub(in crate::publish) const DAMAGED: &str = "queue.redb.damaged";
const SUMMARIES: TableDefinition<u64, (&str, &str, u64)> = TableDefinition::new("summaries");
/// Memory that redb may use to cache pages; its own default is a gigabyte.
const CACHE: usize = 1 << 20;
/// An emptied file beyond this size is begun anew, because redb's files never shrink.
const LARGE: u64 = 4 << 20;

/// A summary with its place in the queue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::publish) struct Stored {
    pub key: u64,
    pub topic: String,
    pub body: String,
}

/// What a file held when it was opened.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::publish) struct Content {
    /// The first place taken.
    pub first: u64,
    /// The place after the last one taken.
    pub next: u64,
    /// How many are taken.
    pub count: u64,
    /// Why the file that was there had to be put aside for a new one.
    pub damage: Option<String>,
}

/// Changes to be made in one transaction.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(in crate::publish) struct Change {
    pub put: Vec<Stored>,
    pub remove: Vec<u64>,
    /// Remove so many of the oldest within the places.
    pub trim: Option<(Range<u64>, u64)>,
    /// Whether nothing is left then.
    pub empties: bool,
}

/// Why the disk did not do what was asked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub(in crate::publish) enum StoreError {
    /// The file's content makes no sense.
    #[error("{0}")]
    Damaged(String),
    /// The disk is full, read-only or broken, or the file is in use.
    #[error("{0}")]
    Unavailable(String),
}

/// An open file.
pub(in crate::publish) struct Store {
    path: PathBuf,
    database: Option<Database>,
}

impl Store {
    /// Opens the file in `directory`; makes it if there is none. A damaged one is renamed and a new one begun.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the disk or another process does not allow it.
    pub fn open(directory: &Path) -> Result<(Self, Content), StoreError> {
        let path = directory.join(FILE);
        match Self::open_file(&path) {
            Err(StoreError::Damaged(reason)) => {
                put_aside(directory)?;
                let (store, content) = Self::open_file(&path)?;
                Ok((store, Content { damage: Some(reason), ..content }))
            }
            other => other,
        }
    }

    fn open_file(path: &Path) -> Result<(Self, Content), StoreError> {
        let database = contained(|| create(path))?;
        let store = Self { path: path.to_owned(), database: Some(database) };
        let content = store.content()?;
        Ok((store, content))
    }

    fn database(&self) -> Result<&Database, StoreError> {
        self.database.as_ref().ok_or_else(|| StoreError::Unavailable("the file is closed".into()))
    }

    fn content(&self) -> Result<Content, StoreError> {
        let database = self.database()?;
        contained(|| {
            let reading = database.begin_read().map_err(explain)?;
            let table = match reading.open_table(SUMMARIES) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Content::default()),
                other => other.map_err(explain)?,
            };
            let key = |entry: Option<(redb::AccessGuard<u64>, _)>| entry.map(|(key, _)| key.value());
            let first = key(table.first().map_err(explain)?);
            let last = key(table.last().map_err(explain)?);
            Ok(Content {
                first: first.unwrap_or(0),
                next: last.map_or(0, |last| last.saturating_add(1)),
                count: table.len().map_err(explain)?,
                damage: None,
            })
        })
    }

    /// Makes the changes; gives how many `trim` removed.
    ///
    /// # Errors
    /// If they are not on disk for certain. The store is of no use afterwards and has to be opened anew.
    pub fn change(&mut self, change: &Change) -> Result<u64, StoreError> {
        let large = std::fs::metadata(&self.path).is_ok_and(|file| file.len() > LARGE);
        if change.empties && large {
            return self.begin_anew();
        }
        match self.transact(change) {
            // On a full disk there may be no room to note that something is removed.
            Err(StoreError::Unavailable(_)) if change.empties => self.begin_anew(),
            other => other,
        }
    }

    fn transact(&self, change: &Change) -> Result<u64, StoreError> {
        let database = self.database()?;
        contained(|| {
            let writing = database.begin_write().map_err(explain)?;
            let mut table = writing.open_table(SUMMARIES).map_err(explain)?;
            for Stored { key, topic, body } in &change.put {
                table.insert(key, (&**topic, &**body, check(*key, topic, body))).map_err(explain)?;
            }
            for key in &change.remove {
                table.remove(key).map_err(explain)?;
            }
            let mut trimmed = 0;
            if let Some((places, most)) = &change.trim {
                let oldest = table.range(places.clone()).map_err(explain)?.take(*most as usize);
                let oldest: Result<Vec<u64>, _> =
                    oldest.map(|entry| entry.map(|(key, _)| key.value())).collect();
                for key in oldest.map_err(explain)? {
                    table.remove(key).map_err(explain)?;
                    trimmed += 1;
                }
            }
            drop(table);
            writing.commit().map_err(explain)?;
            Ok(trimmed)
        })
    }

    /// The first `most` summaries within the places.
    ///
    /// # Errors
    /// If the file cannot be read.
    pub fn load(&self, places: Range<u64>, most: usize) -> Result<Vec<Stored>, StoreError> {
        let database = self.database()?;
        contained(|| {
            let reading = database.begin_read().map_err(explain)?;
            let table = match reading.open_table(SUMMARIES) {
                Err(redb::TableError::TableDoesNotExist(_)) => return Ok(Vec::new()),
                other => other.map_err(explain)?,
            };
            let entries = table.range(places).map_err(explain)?.take(most);
            entries
                .map(|entry| {
                    let (key, value) = entry.map_err(explain)?;
                    let (key, (topic, body, sum)) = (key.value(), value.value());
                    if sum != check(key, topic, body) {
                        return Err(StoreError::Damaged(format!("the check sum of entry {key} is wrong")));
                    }
                    Ok(Stored { key, topic: topic.to_owned(), body: body.to_owned() })
                })
                .collect()
        })
    }

    fn begin_anew(&mut self) -> Result<u64, StoreError> {
        self.shut();
        std::fs::remove_file(&self.path).map_err(|error| explain(StorageError::Io(error)))?;
        self.database = Some(contained(|| create(&self.path))?);
        Ok(0)
    }

    fn shut(&mut self) {
        let database = self.database.take();
        // What was committed is on disk. What closing writes besides spares the next start a check of the file.
        if let Err(error) =
            contained(|| database.map_or(Ok(()), |database| database.close().map_err(explain)))
        {
            log::debug!("closing {}: {error}", self.path.display());
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.shut();
    }
}

/// Renames a damaged file, so that a new one can be begun and somebody may still look into the old one.
pub(in crate::publish) fn put_aside(directory: &Path) -> Result<(), StoreError> {
    let renamed = std::fs::rename(directory.join(FILE), directory.join(DAMAGED));
    renamed.map_err(|error| explain(StorageError::Io(error)))
}

fn check(key: u64, topic: &str, body: &str) -> u64 {
    let digest =
        Sha256::new().chain_update(key.to_le_bytes()).chain_update(topic).chain_update(body).finalize();
    u64::from_le_bytes(digest[..8].try_into().expect("a SHA-256 has 32 bytes"))
}

fn create(path: &Path) -> Result<Database, StoreError> {
    // Who was there when is nobody else's business.
    let file: std::io::Result<File> =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path);
    let file = file.map_err(|error| explain(StorageError::Io(error)))?;
    let backend = FileBackend::new(file).map_err(explain)?;
    Builder::new().set_cache_size(CACHE).create_with_backend(backend).map_err(explain)
}

fn contained<T>(work: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    contain(work).unwrap_or_else(|panic| Err(StoreError::Damaged(panic)))
}

/// Tells a damaged file from a disk that does not do what it should.
fn explain(error: impl Into<redb::Error>) -> StoreError {
    use redb::Error;
    let error = error.into();
    match &error {
        Error::Corrupted(_)
        | Error::UpgradeRequired(_)
        | Error::TableTypeMismatch { .. }
        | Error::TableIsMultimap(_)
        | Error::TypeDefinitionChanged { .. } => StoreError::Damaged(error.to_string()),
        Error::Io(io) => match io.kind() {
            // What redb calls a file that is none of its own, or shorter than it says.
            ErrorKind::InvalidData | ErrorKind::UnexpectedEof => StoreError::Damaged(io.to_string()),
            _ => StoreError::Unavailable(io.to_string()),
        },
        Error::DatabaseAlreadyOpen => StoreError::Unavailable(
            "another process has it open; give each emotiond a state directory of its own".into(),
        ),
        _ => StoreError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests;
