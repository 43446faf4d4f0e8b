//! Reading the files that a configuration or a command line names: regular ones only, of a bounded size.
//!
//! A name may be wrong, or chosen by somebody else. `/dev/zero` never ends, a named pipe that nobody writes to never
//! begins, and to open some devices is to start something (`/dev/watchdog`). So what a name leads to is looked at before it
//! is opened and again once it is open, it is opened without waiting, and no more is read than the caller allows.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{Error, ErrorKind, Read as _, Result};
use std::os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _};
use std::path::Path;

/// Opens a regular file for reading, links followed.
///
/// # Errors
/// What the system says, or what the path leads to if that is no regular file. The path is for the caller to name.
pub fn open(path: &Path) -> Result<File> {
    regular(&std::fs::metadata(path)?)?;
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    // It may be another one than a moment ago.
    regular(&file.metadata()?)?;
    Ok(file)
}

/// Reads a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open`]; and if the file is larger, with its size and `most`.
pub fn read(path: &Path, most: u64) -> Result<Vec<u8>> {
    let file = open(path)?;
    let size = file.metadata()?.len();
    if size > most {
        return Err(too_large(size, most));
    }
    // One byte for what follows: files of /proc say that they have none, and others grow. All of it at once, so that no
    // growth leaves a part of a password behind in freed memory.
    let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0) + 1);
    let read = file.take(most + 1).read_to_end(&mut bytes)?;
    if read as u64 > most {
        return Err(too_large(read as u64, most));
    }
    Ok(bytes)
}

/// Reads a regular file of UTF-8 text of at most `most` bytes.
///
/// # Errors
/// As [`read`]; and if it is no UTF-8.
pub fn read_text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(read(path, most)?)
        .map_err(|_| Error::new(ErrorKind::InvalidData, "it is no text in UTF-8"))
}

fn too_large(size: u64, most: u64) -> Error {
    let message = format!("it has {size} bytes or more, and may have {most}: is it the right file?");
    Error::new(ErrorKind::FileTooLarge, message)
}

fn regular(metadata: &Metadata) -> Result<()> {
    let kind = metadata.file_type();
    let what = if kind.is_file() {
        return Ok(());
    } else if kind.is_dir() {
        "a folder"
    } else if kind.is_fifo() {
        "a named pipe"
    } else if kind.is_socket() {
        "a socket"
    } else if kind.is_char_device() || kind.is_block_device() {
        "a device"
    } else {
        "nothing that can be read"
    };
    let message = format!("it is {what}, and a regular file is needed: copy what it holds into one");
    Err(Error::new(ErrorKind::InvalidInput, message))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn refusal(path: &Path) -> String {
        read(path, 100).unwrap_err().to_string()
    }

    #[test]
    fn regular_files_are_read_up_to_the_bound() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, [b'x'; 100]).unwrap();
        assert_eq!(read(&path, 100).unwrap().len(), 100);
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert_eq!(read_text(&link, 100).unwrap(), "x".repeat(100), "a systemd credential may be a link");
        let error = read(&path, 99).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::FileTooLarge);
        assert!(error.to_string().contains("100 bytes or more, and may have 99"), "{error}");
        std::fs::write(&path, [0xff]).unwrap();
        assert!(read_text(&path, 100).unwrap_err().to_string().contains("UTF-8"));
        let absent = read(Path::new("/nonexistent"), 100).unwrap_err();
        assert_eq!(absent.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn a_file_that_hides_its_size_is_bounded_too() {
        assert!(refusal(Path::new("/proc/self/status")).contains("101 bytes or more"));
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once_and_named() {
        let folder = tempfile::tempdir().unwrap();
        let (pipe, socket) = (folder.path().join("pipe"), folder.path().join("socket"));
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let begin = Instant::now();
        assert!(refusal(Path::new("/dev/zero")).contains("it is a device"));
        assert!(refusal(&pipe).contains("it is a named pipe"));
        assert!(refusal(&socket).contains("it is a socket"));
        assert!(refusal(folder.path()).contains("it is a folder"));
        assert!(begin.elapsed() < Duration::from_secs(5));
    }
}
