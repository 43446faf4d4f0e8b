//! The files themselves, on a real disk.

use proptest::prelude::*;

use super::super::segment;
use super::files::DAMAGED;
use super::*;

fn stored(key: u64) -> Stored {
    Stored { key, topic: "emotiond/hall/summary".into(), body: format!("{{\"sequence\":{key}}}") }
}

fn put(keys: Range<u64>) -> StoreChange {
    StoreChange { put: keys.map(stored).collect(), ..StoreChange::default() }
}

/// Summaries of the size of a real one: some 225 fill a segment.
fn large(keys: Range<u64>) -> StoreChange {
    let mut change = put(keys);
    change.put.iter_mut().for_each(|stored| stored.body = "x".repeat(1100));
    change
}

fn remove(keys: impl IntoIterator<Item = u64>) -> StoreChange {
    StoreChange { remove: keys.into_iter().collect(), ..StoreChange::default() }
}

/// The segment files, oldest first.
fn files(directory: &Path) -> Vec<PathBuf> {
    let folder = directory.join(FOLDER);
    numbers(&folder).unwrap().into_iter().map(|number| path(&folder, number)).collect()
}

fn summaries(store: &mut Store) -> Vec<Stored> {
    store.load(0..u64::MAX, usize::MAX).unwrap().summaries
}

fn count(directory: &Path) -> u64 {
    Store::open(directory).unwrap().1.count
}

#[test]
fn what_is_written_is_there_again_after_opening() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, content) = Store::open(folder.path()).unwrap();
    assert_eq!(content, StoreContent::default());
    assert_eq!(store.load(0..100, 10).unwrap(), Loaded::default());
    store.change(&put(5..25)).unwrap();
    let change = StoreChange { trim: Some((8..25, 3)), ..remove([7, 99]) };
    assert_eq!(store.change(&change).unwrap(), 3);
    drop(store);
    let (mut store, content) = Store::open(folder.path()).unwrap();
    assert_eq!(content, StoreContent { first: 5, next: 25, count: 16, damage: None });
    assert_eq!(store.load(0..25, 4).unwrap().summaries, [5, 6, 11, 12].map(stored));
    assert_eq!(store.load(24..99, 4).unwrap().summaries, [stored(24)]);
}

#[test]
fn nobody_else_may_read_it() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let _store = Store::open(folder.path()).unwrap();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&files(folder.path())[0]), 0o600);
    assert_eq!(mode(&folder.path().join(FOLDER)), 0o700);
}

#[test]
fn two_cannot_share_it() {
    let folder = tempfile::tempdir().unwrap();
    let (mut first, _) = Store::open(folder.path()).unwrap();
    let error = Store::open(folder.path()).unwrap_err();
    assert!(
        matches!(&error, StoreError::Unavailable(reason) if reason.contains("another process")),
        "{error:?}"
    );
    first.change(&put(0..1)).unwrap();
    drop(first);
    assert_eq!(count(folder.path()), 1);
}

#[test]
fn a_directory_that_is_not_there_is_no_damage() {
    let error = Store::open(Path::new("/nonexistent/emotiond")).unwrap_err();
    assert!(
        matches!(&error, StoreError::Unavailable(reason) if reason.contains("No such file")),
        "{error:?}"
    );
}

#[test]
fn a_segment_is_deleted_once_nothing_in_it_is_needed() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    for key in 0..1000 {
        store.change(&large(key..key + 1)).unwrap();
    }
    assert_eq!(files(folder.path()).len(), 5);
    // From the third on: what is older still stands before it.
    store.change(&remove(1..1000)).unwrap();
    assert_eq!(files(folder.path()).len(), 5);
    store.change(&remove([0])).unwrap();
    assert_eq!(files(folder.path()).len(), 1);
    assert_eq!(summaries(&mut store), []);
    store.change(&put(1000..1001)).unwrap();
    drop(store);
    let (mut store, content) = Store::open(folder.path()).unwrap();
    assert_eq!((content.next, content.count), (1001, 1));
    assert_eq!(summaries(&mut store), [stored(1000)]);
}

#[test]
fn a_change_may_be_larger_than_a_segment_and_so_may_a_summary() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let mut change = large(0..600);
    change.put[300].body = "y".repeat(3 * segment::SIZE);
    store.change(&change).unwrap();
    assert_eq!(summaries(&mut store), change.put);
    drop(store);
    let (mut store, content) = Store::open(folder.path()).unwrap();
    assert_eq!((content.count, content.damage), (600, None));
    assert_eq!(summaries(&mut store), change.put);
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
    if !run("mount", &["-t", "tmpfs", "-o", "size=600k", "tmpfs"]) {
        // Not `eprintln`, which the test harness would keep to itself.
        use std::io::Write as _;
        std::io::stderr().write_all(b"skipped: no small disk can be mounted here (it needs root)\n").unwrap();
        return;
    }
    let (mut store, _) = Store::open(&disk).unwrap();
    let mut written = 0;
    let error = loop {
        match store.change(&large(written..written + 1)) {
            Ok(_) => written += 1,
            Err(error) => break error,
        }
    };
    assert!(
        matches!(&error, StoreError::Unavailable(reason) if reason.contains("No space left")),
        "{error:?}"
    );
    drop(store);
    let (mut store, content) = Store::open(&disk).unwrap();
    assert!(content.damage.is_none() && written > 400, "{content:?}, {written} written");
    assert_eq!(content.count, written);
    let loaded = store.load(0..written, 1000).unwrap().summaries;
    assert!(loaded == large(0..written).put);
    // A segment that is deleted makes room for the next.
    store.change(&remove(0..written / 2)).unwrap();
    store.change(&large(written..written + 1)).unwrap();
    store.change(&remove(0..=written)).unwrap();
    assert_eq!(summaries(&mut store), []);
    store.change(&put(written + 1..written + 2)).unwrap();
    drop(store);
    assert_eq!(count(&disk), 1);
    assert!(run("umount", &["--lazy"]));
}

#[test]
fn a_full_segment_on_a_full_disk_is_cleared_in_place() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    let mut key = 0;
    while store.size - store.at >= 32 {
        let mut change = put(key..key + 1);
        change.put[0].body = "x".repeat((store.size - store.at).saturating_sub(64).min(1100));
        store.change(&change).unwrap();
        key += 1;
    }
    store.change(&remove(0..key)).unwrap();
    assert_eq!((files(folder.path()).len(), store.at), (1, HEADER.len()));
    store.change(&put(key..key + 2)).unwrap();
    drop(store);
    assert_eq!(count(folder.path()), 2);
}

#[test]
fn files_that_are_deleted_or_replaced_are_noticed_before_the_next_write() {
    for replace in [false, true] {
        let folder = tempfile::tempdir().unwrap();
        let (mut store, _) = Store::open(folder.path()).unwrap();
        store.change(&put(0..3)).unwrap();
        let file = files(folder.path()).remove(0);
        let bytes = std::fs::read(&file).unwrap();
        std::fs::remove_dir_all(folder.path().join(FOLDER)).unwrap();
        if replace {
            std::fs::create_dir(folder.path().join(FOLDER)).unwrap();
            std::fs::write(&file, bytes).unwrap();
        }
        for error in
            [store.change(&put(3..4)).map(|_| ()).unwrap_err(), store.load(0..3, 3).map(|_| ()).unwrap_err()]
        {
            assert!(matches!(error, StoreError::Lost(_)), "{error}");
        }
        drop(store);
        let (mut store, content) = Store::open(folder.path()).unwrap();
        assert_eq!(content.count, if replace { 3 } else { 0 });
        store.change(&put(3..4)).unwrap();
    }
}

#[test]
fn what_is_no_file_of_ours_is_set_aside_unread() {
    use std::os::unix::fs::symlink;

    let folder = tempfile::tempdir().unwrap();
    let aside = |name: &str| {
        let content = Store::open(folder.path()).unwrap().1;
        let damage = content.damage.unwrap_or_else(|| panic!("{name} was taken for a segment"));
        assert!(damage.contains("is not a queue file of this version"), "{name}: {damage}");
        // A new file has its place.
        let found = files(folder.path());
        assert!(found.iter().all(|file| file.metadata().unwrap().is_file()), "{name}: {found:?}");
    };
    drop(Store::open(folder.path()).unwrap());
    let place = |number| path(&folder.path().join(FOLDER), number);
    // Read whole, it would take all memory.
    symlink("/dev/zero", place(2)).unwrap();
    aside("a link to a device");
    std::fs::create_dir(place(3)).unwrap();
    std::fs::write(place(3).join("another's"), "").unwrap();
    aside("a folder");
    assert!(place(3).with_extension(DAMAGED).join("another's").exists(), "it is not ours to delete");
    std::fs::File::create(place(4)).unwrap().set_len(1 << 40).unwrap();
    aside("a file of a terabyte");
    symlink(place(1), place(5)).unwrap();
    aside("a link to another segment");
    let mut fifo = std::process::Command::new("mkfifo");
    assert!(fifo.arg(place(6)).status().unwrap().success());
    aside("a named pipe");
}

/// The only segment with a hundred summaries in it, and its bytes.
fn written(directory: &Path) -> (PathBuf, Vec<u8>) {
    let (mut store, _) = Store::open(directory).unwrap();
    store.change(&put(0..100)).unwrap();
    drop(store);
    let file = files(directory).remove(0);
    let bytes = std::fs::read(&file).unwrap();
    (file, bytes)
}

/// Whatever is wrong with the file: what can be read is as it was, and there is a place for what comes next. Returns
/// whether the damage was reported, and how many of the hundred are left.
fn survives(file: &Path, bytes: &[u8], what: &str) -> (bool, usize) {
    let directory = file.parent().unwrap().parent().unwrap();
    for old in files(directory) {
        std::fs::remove_file(old).unwrap();
    }
    std::fs::write(file, bytes).unwrap();
    let (mut store, content) = Store::open(directory).unwrap_or_else(|error| panic!("{what}: {error}"));
    store.change(&put(1000..1001)).unwrap_or_else(|error| panic!("{what}: {error}"));
    drop(store);
    let (mut store, _) = Store::open(directory).unwrap();
    let summaries = summaries(&mut store);
    for summary in &summaries {
        assert_eq!(*summary, stored(summary.key), "{what}");
    }
    assert_eq!(summaries.last(), Some(&stored(1000)), "{what}");
    (content.damage.is_some(), summaries.len() - 1)
}

#[test]
fn a_damaged_file_costs_what_was_damaged() {
    let folder = tempfile::tempdir().unwrap();
    let (file, whole) = written(folder.path());
    let aside = file.with_extension(DAMAGED);
    for (bytes, what) in [(b"not a segment".as_slice(), "a text"), (&[0xa5; 100_000], "noise")] {
        assert_eq!(survives(&file, bytes, what), (true, 0));
        assert_eq!(std::fs::read(&aside).unwrap(), bytes, "{what}");
    }
    for bytes in [[].as_slice(), &[0; 5000]] {
        assert_eq!(survives(&file, bytes, "what a power failure may leave of a new file"), (false, 0));
    }
    let end = whole.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    for part in 1..20 {
        let (damage, left) = survives(&file, &whole[..end * part / 20], &format!("{part} twentieths"));
        assert!(!damage && left <= part * 5 && left + 1 >= part * 5 - 1, "{part} twentieths: {left}");
    }
    // A byte here and there, in heads and bodies alike.
    for at in (HEADER.len()..end).step_by(end / 97) {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x55;
        let (damage, left) = survives(&file, &bytes, &format!("byte {at}"));
        // Of the last record nobody can tell a damaged one from one that was cut off; padding carries nothing.
        assert!(left == 100 || left == 99 && (damage || at > end - 100), "byte {at}: {left}, {damage}");
    }
}

#[test]
fn what_was_copied_back_is_not_there_again_once_the_original_is_gone() {
    let folder = tempfile::tempdir().unwrap();
    let (_, bytes) = written(folder.path());
    for number in [2, 3] {
        std::fs::write(path(&folder.path().join(FOLDER), number), &bytes).unwrap();
    }
    let (mut store, content) = Store::open(folder.path()).unwrap();
    assert_eq!((content.count, content.damage), (100, None));
    // The first file is deleted, whose summaries are the copies' too.
    store.change(&remove(0..100)).unwrap();
    store.change(&put(100..103)).unwrap();
    assert!(!files(folder.path()).iter().any(|file| file.ends_with("00000000000000000001.log")));
    drop(store);
    let (mut store, content) = Store::open(folder.path()).unwrap();
    assert_eq!(content, StoreContent { first: 100, next: 103, count: 3, damage: None });
    assert_eq!(summaries(&mut store), put(100..103).put);
}

#[test]
fn a_copy_whose_original_was_removed_stays_removed() {
    let folder = tempfile::tempdir().unwrap();
    let (file, bytes) = written(folder.path());
    let (mut store, _) = Store::open(folder.path()).unwrap();
    store.change(&remove(0..99)).unwrap();
    drop(store);
    std::fs::write(path(&folder.path().join(FOLDER), 2), &bytes).unwrap();
    let (mut store, content) = Store::open(folder.path()).unwrap();
    assert_eq!(content.count, 1);
    store.change(&remove([99])).unwrap();
    assert!(!file.exists());
    drop(store);
    assert_eq!(count(folder.path()), 0);
}

#[test]
fn a_key_after_which_none_can_follow_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(Store::open(folder.path()).unwrap());
    let mut bytes = HEADER.to_vec();
    for key in [u64::MAX - 1, u64::MAX, 7] {
        Record::Summary { key, topic: "emotiond/hall/summary", body: "{}" }.encode(&mut bytes);
    }
    std::fs::write(&files(folder.path())[0], bytes).unwrap();
    let (mut store, content) = Store::open(folder.path()).unwrap();
    assert_eq!((content.first, content.next, content.count), (7, 8, 1));
    assert!(content.damage.is_some());
    store.change(&put(8..10)).unwrap();
    drop(store);
    assert_eq!(count(folder.path()), 3);
}

#[test]
fn files_with_names_that_are_not_ours_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(written(folder.path()));
    for name in ["5.log", "+0000000000000000009.log", "18446744073709551615.log", "notes.log"] {
        std::fs::write(folder.path().join(FOLDER).join(name), name).unwrap();
    }
    let (mut store, content) = Store::open(folder.path()).unwrap();
    assert_eq!((content.count, content.damage), (100, None));
    store.change(&put(100..101)).unwrap();
    assert_eq!(std::fs::read(folder.path().join(FOLDER).join("5.log")).unwrap(), b"5.log");
}

#[test]
fn a_summary_that_decays_while_it_is_waiting_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    store.change(&put(0..10)).unwrap();
    let file = open(&files(folder.path())[0]).unwrap();
    let at = HEADER.len() as u64 + 3 * (store.at - HEADER.len()) as u64 / 10 + 30;
    file.write_all_at(b"#", at).unwrap();
    let loaded = store.load(0..10, 10).unwrap();
    assert_eq!((loaded.summaries.len(), loaded.damaged), (9, vec![3]));
    assert_eq!(store.load(0..10, 10).unwrap().damaged, Vec::<u64>::new());
}

#[derive(Clone, Debug)]
enum StoreStep {
    Put(u64),
    Remove(Vec<u64>),
    Trim(u64),
    /// The process is killed; the next write may have been cut off after this share of it.
    Reopen(Option<prop::sample::Index>),
}

fn store_step() -> impl Strategy<Value = StoreStep> {
    prop_oneof![
        4 => (1..120_u64).prop_map(StoreStep::Put),
        3 => prop::collection::vec(0..700_u64, 0..200).prop_map(StoreStep::Remove),
        1 => (1..50_u64).prop_map(StoreStep::Trim),
        1 => any::<Option<prop::sample::Index>>().prop_map(StoreStep::Reopen),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// After every change and every kill, even in the middle of a write, the store holds what a map would.
    #[test]
    fn it_holds_what_a_map_would(steps in prop::collection::vec(store_step(), 1..20)) {
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let (mut store, _) = Store::open(folder.path()).unwrap();
        let (mut expected, mut next) = (BTreeSet::new(), 0);
        for step in steps {
            match step {
                StoreStep::Put(count) => {
                    store.change(&large(next..next + count)).unwrap();
                    expected.extend(next..next + count);
                    next += count;
                }
                StoreStep::Remove(keys) => {
                    keys.iter().for_each(|key| { expected.remove(key); });
                    store.change(&remove(keys)).unwrap();
                }
                StoreStep::Trim(count) => {
                    let oldest: Vec<u64> = expected.iter().take(count as usize).copied().collect();
                    oldest.iter().for_each(|key| { expected.remove(key); });
                    let change = StoreChange { trim: Some((0..next, count)), ..StoreChange::default() };
                    prop_assert_eq!(store.change(&change).unwrap(), oldest.len() as u64);
                }
                StoreStep::Reopen(cut) => {
                    let at = store.at as u64;
                    drop(store);
                    if let Some(cut) = cut {
                        let record = encoded(&Record::Summary { key: next, topic: "t", body: &"x".repeat(1000) });
                        let tail = open(files(folder.path()).last().unwrap()).unwrap();
                        tail.write_all_at(&record[..cut.index(record.len() - 8)], at).unwrap();
                    }
                    let (opened, content) = Store::open(folder.path()).unwrap();
                    store = opened;
                    prop_assert_eq!(content.count, expected.len() as u64);
                    prop_assert_eq!(&content.damage, &None);
                }
            }
            let keys: Vec<u64> = summaries(&mut store).iter().map(|stored| stored.key).collect();
            prop_assert_eq!(keys, expected.iter().copied().collect::<Vec<_>>());
            // No more files than what is needed takes, but for the oldest and the one that is written to.
            let needed = expected.first().map_or(0, |first| next - first) / 200;
            prop_assert!(files(folder.path()).len() as u64 <= needed + 3);
        }
    }
}

/// Bytes that this process has had written to disk.
fn bytes_written() -> u64 {
    let io = std::fs::read_to_string("/proc/self/io").unwrap();
    io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap()
}

/// What an outage writes, each window as it closes; then the end of it.
#[test]
#[ignore = "a measurement: cargo test --lib wear_of_an_outage -- --ignored --nocapture"]
fn wear_of_an_outage() {
    let folder = tempfile::tempdir_in(".").unwrap(); // /tmp may be in memory
    let start = bytes_written();
    let (mut store, _) = Store::open(folder.path()).unwrap();
    eprintln!("the first start: {} bytes", bytes_written() - start);
    let windows = std::env::var("WINDOWS").map_or(8640, |windows| windows.parse().unwrap());
    let begun = std::time::Instant::now();
    let mut before = bytes_written();
    // One window at a time is what an outage does; more fill the disk faster.
    let batch: u64 = std::env::var("BATCH").map_or(1, |batch| batch.parse().unwrap());
    for key in (0..windows).step_by(batch as usize) {
        let end = windows.min(key + batch);
        store.change(&large(key..end)).unwrap();
        if [10, 100, 1000].contains(&end) || end == windows {
            let each = (bytes_written() - before) / end;
            eprintln!("{end} windows: {each} bytes each, {:?}", begun.elapsed() / end as u32);
        }
    }
    drop(store);
    let size: u64 = files(folder.path()).iter().map(|file| std::fs::metadata(file).unwrap().len()).sum();
    let opening = std::time::Instant::now();
    let (mut store, content) = Store::open(folder.path()).unwrap();
    assert_eq!(content.count, windows);
    eprintln!("the files: {size} bytes; opening them: {:?}", opening.elapsed());
    before = bytes_written();
    for first in (0..windows).step_by(256) {
        store.change(&remove(first..windows.min(first + 256))).unwrap();
    }
    eprintln!("removing them, 256 at a time: {} bytes each", (bytes_written() - before) / windows);
    before = bytes_written();
    drop(store);
    let _store = Store::open(folder.path()).unwrap();
    eprintln!("a restart: {} bytes", bytes_written() - before);
}
