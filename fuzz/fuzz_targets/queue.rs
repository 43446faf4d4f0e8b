//! The queue's folder, damaged: it opens, and holds the same after it has been opened again.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // In memory where there is such a folder: each input makes files of 256 KiB.
    let shared = Path::new("/dev/shm");
    let folder = if shared.is_dir() { tempfile::tempdir_in(shared) } else { tempfile::tempdir() };
    let folder = folder.expect("a temporary folder");
    emotiond::publish::fuzz::queue_folder(folder.path(), data);
});
