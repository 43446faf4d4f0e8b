//! Libraries that are loaded before the daemon's own (see `preload.c` and `inside.c`).

use std::path::{Path, PathBuf};
use std::process::Command;

/// Builds the library that makes calls hang or lie into `folder` and gives its path.
pub fn build(folder: &Path) -> PathBuf {
    build_of("preload.c", folder)
}

/// The same of another source file beside this one.
pub fn build_of(source: &str, folder: &Path) -> PathBuf {
    let library = folder.join(source).with_extension("so");
    let source = format!("{}/tests/support/{source}", env!("CARGO_MANIFEST_DIR"));
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", "-O1", &source, "-o"]).arg(&library);
    assert!(compiler.status().unwrap().success(), "{source} cannot be compiled");
    library
}
