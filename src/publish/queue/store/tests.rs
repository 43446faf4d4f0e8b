//! The file itself, on a real disk.

use super::*;

fn stored(key: u64) -> Stored {
    Stored { key, topic: "emotiond/hall/summary".into(), body: format!("{{\"sequence\":{key}}}") }
}

fn put(keys: Range<u64>) -> Change {
    Change { put: keys.map(stored).collect(), ..Change::default() }
}

#[test]
fn what_is_written_is_there_again_after_opening() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, content) = Store::open(folder.path()).unwrap();
    assert_eq!(content, Content::default());
    assert_eq!(store.load(0..100, 10).unwrap(), []);
    store.change(&put(5..25)).unwrap();
    let change = Change { remove: vec![7, 99], trim: Some((8..25, 3)), ..Change::default() };
    assert_eq!(store.change(&change).unwrap(), 3);
    drop(store);
    let (store, content) = Store::open(folder.path()).unwrap();
    assert_eq!(content, Content { first: 5, next: 25, count: 16, damage: None });
    assert_eq!(store.load(0..25, 4).unwrap(), [5, 6, 11, 12].map(stored));
    assert_eq!(store.load(24..99, 4).unwrap(), [stored(24)]);
}

#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let _store = Store::open(folder.path()).unwrap();
    let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn two_cannot_share_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, _) = Store::open(folder.path()).unwrap();
    let error = Store::open(folder.path()).err().unwrap();
    assert!(
        matches!(&error, StoreError::Unavailable(reason) if reason.contains("another process")),
        "{error:?}"
    );
    first.change(&put(0..1)).unwrap();
    drop(first);
    assert_eq!(Store::open(folder.path()).unwrap().1.count, 1);
}

#[test]
fn a_directory_that_is_not_there_is_no_damage() {
    let error = Store::open(Path::new("/nonexistent/emotiond")).err().unwrap();
    assert!(
        matches!(&error, StoreError::Unavailable(reason) if reason.contains("No such file")),
        "{error:?}"
    );
}

#[test]
fn a_large_file_that_has_been_emptied_is_begun_anew() {
    let folder = tempfile::tempdir().unwrap();
    let size = || std::fs::metadata(folder.path().join(FILE)).unwrap().len();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let mut change = put(0..2000);
    for stored in &mut change.put {
        stored.body = "x".repeat(4000);
    }
    store.change(&change).unwrap();
    assert!(size() > LARGE, "{}", size());
    store.change(&Change { remove: (0..1999).collect(), ..Change::default() }).unwrap();
    assert!(size() > LARGE, "one is left");
    store.change(&Change { remove: vec![1999], empties: true, ..Change::default() }).unwrap();
    assert!(size() < LARGE, "{}", size());
    store.change(&put(2000..2001)).unwrap();
    drop(store);
    assert_eq!(Store::open(folder.path()).unwrap().1.count, 1);
}

#[test]
fn a_full_disk_can_still_be_read_and_emptied() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let run = |program: &str, arguments: &[&str]| {
        std::process::Command::new(program)
            .args(arguments)
            .arg(&disk)
            .output()
            .is_ok_and(|o| o.status.success())
    };
    if !run("mount", &["-t", "tmpfs", "-o", "size=400k", "tmpfs"]) {
        // Not `eprintln`, which the test harness would keep to itself.
        use std::io::Write as _;
        std::io::stderr().write_all(b"skipped: no small disk can be mounted here (it needs root)\n").unwrap();
        return;
    }
    let (mut store, _) = Store::open(&disk).unwrap();
    let mut count = 0;
    let body = "x".repeat(1100);
    let error = loop {
        let mut change = put(count..count + 1);
        change.put[0].body.clone_from(&body);
        match store.change(&change) {
            Ok(_) => count += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, StoreError::Unavailable(reason) if reason.contains("No space left")),
        "{error:?}"
    );
    drop(store);
    let (mut store, content) = Store::open(&disk).unwrap();
    assert!(content.damage.is_none() && count > 50, "{content:?}, {count} written");
    assert_eq!(content.count, count);
    let loaded = store.load(0..count, 1000).unwrap();
    assert!(loaded.len() as u64 == count && loaded.iter().all(|stored| stored.body == body));
    store.change(&Change { remove: (0..count).collect(), empties: true, ..Change::default() }).unwrap();
    assert_eq!(store.load(0..count, 1000).unwrap(), []);
    store.change(&put(count..count + 1)).unwrap();
    drop(store);
    assert_eq!(Store::open(&disk).unwrap().1.count, 1);
    assert!(run("umount", &["--lazy"]));
}

/// A file with a hundred summaries, and its bytes.
fn written(folder: &Path) -> Vec<u8> {
    let (mut store, _) = Store::open(folder).unwrap();
    store.change(&put(0..100)).unwrap();
    drop(store);
    std::fs::read(folder.join(FILE)).unwrap()
}

/// Whatever is wrong with the file: what can be read is as it was, or the file is put aside and a new one serves.
fn survives(folder: &Path, bytes: &[u8], what: &str) -> bool {
    std::fs::write(folder.join(FILE), bytes).unwrap();
    let (mut store, content) = Store::open(folder).unwrap_or_else(|error| panic!("{what}: {error}"));
    if content.damage.is_some() {
        assert_eq!(std::fs::read(folder.join(DAMAGED)).unwrap().len(), bytes.len(), "{what}");
    }
    for key in store.load(0..100, 1000).unwrap_or_default() {
        assert_eq!(key, stored(key.key), "{what}");
    }
    // A damage that shows only now costs this file too, and nothing else.
    if store.change(&put(100..101)).is_err() {
        drop(store);
        put_aside(folder).unwrap();
        let (mut store, _) = Store::open(folder).unwrap();
        store.change(&put(100..101)).unwrap();
    }
    content.damage.is_some()
}

#[test]
fn a_damaged_file_is_put_aside_and_costs_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let whole = written(folder.path());
    assert!(survives(folder.path(), b"this is no database", "a text"));
    assert!(survives(folder.path(), &[0xa5; 100_000], "noise"));
    assert!(!survives(folder.path(), b"", "an empty file, as a power cut may leave it"));
    for part in [1, 2, 3, 5, 9, 17] {
        survives(folder.path(), &whole[..whole.len() * part / 20], &format!("{part} twentieths"));
    }
    // A byte here and there, in header, trees and values alike.
    for at in (0..whole.len()).step_by(whole.len() / 97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        survives(folder.path(), &bytes, &format!("byte {at} of {}", whole.len()));
    }
}

/// Bytes that this process has had written to disk.
fn bytes_written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
}

/// What an outage writes, each window in a transaction of its own as it closes; then the end of it.
#[test]
#[ignore = "a measurement: cargo test --lib wear_of_an_outage -- --ignored --nocapture"]
fn wear_of_an_outage() {
    let folder = tempfile::tempdir_in(".").unwrap(); // /tmp may be in memory
    let start = bytes_written();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    eprintln!("opening a new file: {} bytes", bytes_written() - start);
    let windows = std::env::var("WINDOWS").map_or(8640, |windows| windows.parse().unwrap());
    let body = "x".repeat(1100);
    let begun = std::time::Instant::now();
    let mut before = bytes_written();
    let mut change = Change::default();
    // One window a transaction is what an outage does; more fill a file faster.
    let batch: u64 = std::env::var("BATCH").map_or(1, |batch| batch.parse().unwrap());
    for key in 0..windows {
        change.put.push(Stored { key, topic: "emotiond/hall/summary".into(), body: body.clone() });
        if change.put.len() as u64 == batch || key + 1 == windows {
            store.change(&change).unwrap();
            change.put.clear();
        }
        if [10, 100, 1000].contains(&(key + 1)) || key + 1 == windows {
            let each = (bytes_written() - before) / (key + 1);
            eprintln!("{} windows: {each} bytes each, {:?}", key + 1, begun.elapsed() / (key as u32 + 1));
        }
    }
    let size = std::fs::metadata(folder.path().join(FILE)).unwrap().len();
    // As a kill leaves it: redb checks the whole file then.
    let killed = tempfile::tempdir_in(".").unwrap();
    std::fs::copy(folder.path().join(FILE), killed.path().join(FILE)).unwrap();
    let opening = std::time::Instant::now();
    assert_eq!(Store::open(killed.path()).unwrap().1.count, windows);
    eprintln!("the file: {size} bytes; opening it after a kill: {:?}", opening.elapsed());
    before = bytes_written();
    for first in (0..windows).step_by(256) {
        let remove = (first..windows.min(first + 256)).collect();
        store.change(&Change { remove, ..Change::default() }).unwrap();
    }
    eprintln!("removing them, 256 at a time: {} bytes each", (bytes_written() - before) / windows);
    before = bytes_written();
    drop(store);
    let _store = Store::open(folder.path()).unwrap();
    eprintln!("a restart: {} bytes", bytes_written() - before);
}
