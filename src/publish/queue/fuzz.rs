//! Files of the queue that something else has written to.

use std::path::Path;

use super::segment::{HEADER, Records, repair};
use super::store::{FOLDER, Store, StoreChange, Stored};

/// A segment file of these bytes, with check sums put right if the first byte is odd: what is read is what would be
/// written again, and reading goes forward.
///
/// # Panics
/// If that is broken.
pub fn segment_file(data: &[u8]) {
    let Some(bytes) = file(data) else { return };
    let Some(mut records) = Records::of(&bytes) else { return };
    let mut end = records.end;
    while let Some(record) = records.next() {
        assert!(records.end > end && records.end % 8 == 0 && records.end < bytes.len() + 8);
        end = records.end;
        let mut written = HEADER.to_vec();
        record.encode(&mut written);
        let mut again = Records::of(&written).expect("it has the header");
        assert_eq!(again.next(), Some(record));
        assert_eq!((again.next(), again.damaged, again.end), (None, 0, written.len()));
    }
    assert!(records.damaged <= bytes.len() / 8);
    assert!(records.rest().len() <= bytes.len() - HEADER.len());
}

fn file(data: &[u8]) -> Option<Vec<u8>> {
    let (&mode, content) = data.split_first()?;
    let mut bytes = if mode & 2 == 0 { HEADER.to_vec() } else { Vec::new() };
    bytes.extend_from_slice(content);
    if mode & 1 == 1 {
        repair(&mut bytes);
    }
    Some(bytes)
}

/// A queue of up to three files with these bytes, in the empty folder `directory`: it opens, says what it holds, takes
/// summaries in, and holds them after it has been opened again.
///
/// # Panics
/// If that is broken, or if the folder cannot be written to.
pub fn queue_folder(directory: &Path, data: &[u8]) {
    let folder = directory.join(FOLDER);
    std::fs::create_dir(&folder).expect("the folder is empty");
    for (number, part) in (1..).zip(data.chunks(data.len().div_ceil(3).max(1))) {
        let bytes = file(part).unwrap_or_default();
        std::fs::write(folder.join(format!("{number:020}.log")), bytes)
            .expect("the folder can be written to");
    }
    let (mut store, content) = Store::open(directory).expect("what is damaged is set aside");
    assert!(content.first <= content.next && content.count <= content.next - content.first);
    let loaded = store.load(0..u64::MAX, usize::MAX).expect("the files can be read");
    assert_eq!(loaded.summaries.len() as u64, content.count, "{:?}", loaded.damaged);
    assert!(loaded.summaries.is_sorted_by(|a, b| a.key < b.key));
    let put: Vec<_> = [content.next, content.next + 1]
        .map(|key| Stored { key, topic: "emotiond/hall/summary".into(), body: "{}".into() })
        .into();
    let remove: Vec<_> = loaded.summaries.iter().map(|stored| stored.key).take(1).collect();
    let expected: Vec<_> = loaded.summaries.iter().skip(1).chain(&put).cloned().collect();
    store.change(&StoreChange { put, remove, trim: None }).expect("there is room");
    drop(store);
    let (mut store, content) = Store::open(directory).expect("it has just been written");
    let loaded = store.load(0..u64::MAX, usize::MAX).expect("the files can be read");
    assert_eq!((loaded.summaries.len() as u64, loaded.damaged.len()), (content.count, 0));
    // Nothing is lost, and nothing that was removed comes back.
    assert_eq!(loaded.summaries, expected);
}
