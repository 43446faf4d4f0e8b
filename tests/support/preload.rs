//! The library that makes calls of the daemon hang or lie (see `preload.c`).

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the library into `folder` and gives its path.
pub fn build(folder: &Path) -> PathBuf {
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/preload.c");
    let library = folder.join("preload.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-O1", source, "-o"]).arg(&library);
    assert!(compiler.status().unwrap().success(), "{source} cannot be compiled");
    library
}
