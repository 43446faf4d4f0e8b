//! What the files hold when they are opened: every record is read once.

use std::collections::{BTreeSet, VecDeque};
use std::fs::File;
use std::io;
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
        for record in records.by_ref() {
            match record {
                Record::Summary { key, .. } if key >= self.next => {
                    self.live.insert(key);
                    self.next = key.saturating_add(1);
                }
                // A file that was copied back: its summaries have been read.
                Record::Summary { .. } => {}
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
        // The rest of a write that was cut off must not stand behind the next record.
        if let Some(last) = records.rest().iter().rposition(|byte| *byte != 0) {
            blank(&file, records.end, records.end + last + 1)?;
        }
        self.segments.push_back(Segment { number, first, next: self.next });
        self.tail = Some((file, records.end, bytes.as_ref().map_or(0, Vec::len).max(segment::SIZE)));
        Ok(())
    }
}
