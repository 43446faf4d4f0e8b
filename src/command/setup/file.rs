//! The configuration file: written whole or not at all, and nothing that somebody wrote is lost.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::config::EXAMPLE;
use crate::host::file;

/// What is read of a configuration to see whether somebody has changed it.
const LARGEST: u64 = 1 << 20;
/// The most copies of earlier configurations.
const MOST_COPIES: usize = 100;

/// What is there already.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// The configuration as it was shipped.
    Shipped,
    /// One that somebody has written.
    Own,
}

/// Looks at what is there.
///
/// # Errors
/// If it cannot be read.
pub fn before(path: &Path) -> anyhow::Result<Before> {
    match file::read(path, LARGEST) {
        Ok(bytes) if bytes == EXAMPLE.as_bytes() => Ok(Before::Shipped),
        Ok(_) => Ok(Before::Own),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Before::Nothing),
        Err(error) if error.kind() == io::ErrorKind::FileTooLarge => Ok(Before::Own),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
    }
}

/// Puts a configuration in place; one that somebody wrote is kept beside it as `NAME.bak`, whose path is returned.
///
/// # Errors
/// If a file cannot be written. What was there is then still there.
pub fn write(path: &Path, text: &str, before: Before) -> anyhow::Result<Option<PathBuf>> {
    let shown = path.display();
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let kept = if before == Before::Own { Some(keep(path)?) } else { None };
    // The owner and the mode of what is replaced are its own; a new one may be read by the daemon's user.
    let mode = fs::metadata(path).map_or(0o644, |metadata| metadata.permissions().mode() & 0o777);
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let new = folder.join(format!(".{name}.{}", std::process::id()));
    let outcome = write_new(&new, text, mode).and_then(|()| fs::rename(&new, path));
    if outcome.is_err() {
        let _not_made = fs::remove_file(&new);
    }
    outcome.with_context(|| {
        format!("cannot write {shown}; try it with sudo, or name another file with --config")
    })?;
    // The name itself reaches the disk with its folder.
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .with_context(|| format!("cannot write {shown}"))?;
    Ok(kept)
}

fn write_new(path: &Path, text: &str, mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.write_all(text.as_bytes())?;
    // Whatever the umask.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Copies a file beside itself, under a name that is free.
fn keep(path: &Path) -> anyhow::Result<PathBuf> {
    for number in 0..MOST_COPIES {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 0 { ".bak".to_owned() } else { format!(".bak{number}") });
        let copy = PathBuf::from(name);
        // A link does not replace what is there, and holds the same bytes with the same owner.
        match fs::hard_link(path, &copy) {
            Ok(()) => return Ok(copy),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => {
                return Err(error)
                    .with_context(|| format!("cannot keep {} as {}", path.display(), copy.display()));
            }
        }
    }
    bail!("{} has {MOST_COPIES} copies (.bak) already: remove some", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_somebody_wrote_is_kept_and_what_was_shipped_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("etc/emotiond.toml");
        assert_eq!(before(&path).unwrap(), Before::Nothing);
        assert_eq!(write(&path, EXAMPLE, Before::Nothing).unwrap(), None);
        assert_eq!(before(&path).unwrap(), Before::Shipped);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(write(&path, "first", Before::Shipped).unwrap(), None);
        assert_eq!(before(&path).unwrap(), Before::Own);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        for (text, old, copy) in
            [("second", "first", "emotiond.toml.bak"), ("third", "second", "emotiond.toml.bak1")]
        {
            let kept = write(&path, text, Before::Own).unwrap().unwrap();
            assert_eq!(kept.file_name().unwrap(), copy);
            assert_eq!(
                (fs::read_to_string(&kept).unwrap(), fs::read_to_string(&path).unwrap()),
                (old.into(), text.into())
            );
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 3, "nothing is left over");
    }

    #[test]
    fn a_folder_that_is_none_is_named() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("file"), "").unwrap();
        let error =
            format!("{:#}", write(&folder.path().join("file/x.toml"), "", Before::Nothing).unwrap_err());
        assert!(error.contains("file"), "{error}");
    }
}
