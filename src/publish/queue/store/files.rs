//! The files of the queue: their names, how they are made, cleared and set aside.

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::super::segment::{self, HEADER, LARGEST};
use crate::host::file;

/// The extension of a file that cannot be read.
pub(super) const DAMAGED: &str = "damaged";
/// Zeros are written in pieces of a page. One large write would make the kernel keep the segment in large units, which
/// some file systems write back whole for each record.
const PAGE: usize = 4096;

pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:020}.log"))
}

/// The numbers of the segments in the folder, oldest first.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".log")?.parse::<u64>().ok());
        // What is called otherwise is not ours, nor is a number after which none can follow.
        numbers.extend(number.filter(|number| {
            *number <= u64::MAX >> 1 && path(folder, *number).file_name() == Some(name.as_os_str())
        }));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Who was there when is nobody else's business: files are the daemon's user's alone.
pub(super) fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// The bytes of a segment file; none if something else lies there under its name: a folder, a link, a device, or a file
/// that no segment is as large as.
pub(super) fn content(path: &Path) -> io::Result<Option<Vec<u8>>> {
    if std::fs::symlink_metadata(path)?.is_symlink() {
        return Ok(None);
    }
    match file::read(path, LARGEST) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::FileTooLarge) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Makes a segment with room for a record of `record` bytes, and returns it with its size.
pub(super) fn create(folder: &Path, number: u64, record: usize) -> io::Result<(File, usize)> {
    let path = path(folder, number);
    let size = segment::SIZE.max((HEADER.len() + record).next_multiple_of(PAGE));
    let fill = || {
        let mut file = open(&path)?;
        file.set_len(0)?;
        let mut page = [0; PAGE];
        page[..HEADER.len()].copy_from_slice(HEADER);
        for _ in 0..size / PAGE {
            file.write_all(&page)?;
            page = [0; PAGE];
        }
        file.sync_all()?;
        File::open(folder)?.sync_all()?;
        Ok(file)
    };
    fill().map(|file| (file, size)).inspect_err(|_| {
        // In part it is of no use, and takes what is left of a full disk.
        let _absent = std::fs::remove_file(&path);
    })
}

/// Overwrites a part of a file with zeros.
pub(super) fn blank(file: &File, from: usize, to: usize) -> io::Result<()> {
    file.write_all_at(&vec![0; to.saturating_sub(from)], from as u64)?;
    file.sync_data()
}

/// Renames what is not a segment, so that somebody may still look into it, and returns what to say about it. An older
/// file of that kind is deleted, so that there is one at most; a folder, which is not ours, stays.
pub(super) fn set_aside(path: &Path, bytes: Option<&[u8]>) -> io::Result<Option<String>> {
    if bytes.is_some_and(|bytes| bytes.iter().all(|byte| *byte == 0)) {
        // The power failed while it was being made.
        return std::fs::remove_file(path).map(|()| None);
    }
    let kind = std::fs::symlink_metadata(path)?.file_type();
    if !kind.is_file() && !kind.is_dir() {
        // A link, a pipe or a device has nothing in it to look into, and Landlock leaves no right to move one.
        std::fs::remove_file(path)?;
        return Ok(Some(format!(
            "{} is not a queue file of this version, nor any file: it has been deleted",
            path.display()
        )));
    }
    let aside = path.with_extension(DAMAGED);
    for old in std::fs::read_dir(path.parent().unwrap_or(Path::new(".")))? {
        let old = old?;
        let damaged = old.path().extension().is_some_and(|extension| extension == DAMAGED);
        if damaged && !old.file_type()?.is_dir() {
            std::fs::remove_file(old.path())?;
        }
    }
    std::fs::rename(path, &aside)?;
    let (path, aside) = (path.display(), aside.display());
    Ok(Some(format!("{path} is not a queue file of this version: it is now {aside}")))
}
