//! What the files hold when they are opened: every record is read once.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::super::segment::{self, Record, Records};
use super::Segment;
use super::files::{blank, content, open, path, set_aside};

/// What the files held.
#[derive(Default)]
pub(super) struct Found {
    pub segments: VecDeque<Segment>,
    /// The last segment, where its records end, and its size.
    pub tail: Option<(File, usize, usize)>,
    pub live: BTreeSet<u64>,
    pub next: u64,
    pub last_number: u64,
    pub damage: Option<String>,
}

impl Found {
    /// Reads one file; they come oldest first.
    pub fn read(&mut self, folder: &Path, number: u64) -> io::Result<()> {
        let path = path(folder, number);
        self.last_number = number;
        let bytes = content(&path)?;
        let Some(mut records) = bytes.as_deref().and_then(Records::of) else {
            let reason = set_aside(&path, bytes.as_deref())?;
            self.damage = reason.or(self.damage.take());
            return Ok(());
        };
        let first = self.next;
        let mut copies = Vec::new();
        while let Some(record) = records.next() {
            match record {
                Record::Summary { key, .. } if key >= self.next => {
                    self.live.insert(key);
                    self.next = key + 1;
                }
                // A file that was copied back: its summaries have been read.
                Record::Summary { topic, body, .. } => {
                    let nothing = segment::nothing(topic, body);
                    copies.push((records.end - nothing.len(), nothing));
                }
                Record::Removal(ranges) => {
                    for range in ranges {
                        let gone: Vec<u64> =
                            self.live.range(range.start..range.end.max(range.start)).copied().collect();
                        gone.iter().for_each(|key| {
                            self.live.remove(key);
                        });
                    }
                }
            }
        }
        if records.damaged > 0 {
            self.damage = Some(format!("{} is damaged at {} places", path.display(), records.damaged));
        }
        let file = open(&path)?;
        // A copy would be taken for a summary as soon as the file that it has been read from is deleted, so it goes before
        // any can be: in its place, for which a full disk has room.
        for (at, nothing) in &copies {
            file.write_all_at(nothing, *at as u64)?;
        }
        if !copies.is_empty() {
            file.sync_data()?;
        }
        // The rest of a write that was cut off must not stand behind the next record.
        if let Some(last) = records.rest().iter().rposition(|byte| *byte != 0) {
            blank(&file, records.end, records.end + last + 1)?;
        }
        self.segments.push_back(Segment { number, first, next: self.next });
        self.tail = Some((file, records.end, bytes.as_ref().map_or(0, Vec::len).max(segment::SIZE)));
        Ok(())
    }
}
