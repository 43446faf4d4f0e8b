//! The module tree of the workspace: from each crate's root along `mod` declarations, as the compiler reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::contents::{Contents, Declared, contents};

/// The crates, by the name their paths start with, and where they begin. The binary's modules start with `main`.
pub const CRATES: [(&str, &str); 3] =
    [("emotiond", "src/lib.rs"), ("main", "src/main.rs"), ("emotiond_core", "crates/core/src/lib.rs")];

/// One module.
pub struct Module {
    /// From the root of the repository.
    pub file: PathBuf,
    /// What it contains.
    pub contents: Contents,
}

/// The modules of the workspace.
#[derive(Default)]
pub struct Workspace {
    /// By path: `emotiond::capture::frame`.
    pub modules: BTreeMap<String, Module>,
    /// The text of every file, by its path from the root of the repository.
    pub files: BTreeMap<PathBuf, String>,
    /// Files that only tests compile, and the module that they test.
    pub tests: BTreeMap<PathBuf, String>,
    /// The names of the outside crates that `Cargo.toml` lists, as code spells them.
    pub outside: BTreeSet<String>,
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() && path.file_name().is_some_and(|name| name != "target") {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

impl Workspace {
    /// Reads the repository.
    pub fn read(root: &Path) -> Self {
        let mut paths = Vec::new();
        for folder in ["src", "crates", "tests", "benches", "fuzz", "examples"] {
            rust_files(&root.join(folder), &mut paths);
        }
        let read = |path: &Path| {
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
        };
        let text = |path: PathBuf| (path.strip_prefix(root).unwrap().to_owned(), read(&path));
        let manifests = ["Cargo.toml", "crates/core/Cargo.toml"]
            .map(|manifest| read(&root.join(manifest)).parse::<toml::Table>().unwrap());
        let outside = manifests
            .iter()
            .filter_map(|m| m.get("dependencies")?.as_table())
            .flat_map(|table| table.keys().map(|name| name.replace('-', "_")))
            .filter(|name| name != "emotiond_core")
            .chain(["std".to_owned()])
            .collect();
        Self::of(paths.into_iter().map(text).collect(), outside)
    }

    /// Follows the `mod` declarations through `files`; `outside` names the other crates.
    pub fn of(files: BTreeMap<PathBuf, String>, outside: BTreeSet<String>) -> Self {
        let mut workspace = Self { files, outside, ..Self::default() };
        for (name, root) in CRATES {
            if workspace.files.contains_key(Path::new(root)) {
                workspace.load(name, Path::new(root), false);
            }
        }
        workspace
    }

    fn load(&mut self, module: &str, file: &Path, test: bool) {
        let text = &self.files[file];
        let parsed =
            syn::parse_file(text).unwrap_or_else(|error| panic!("{} is not Rust: {error}", file.display()));
        let own = ["lib.rs", "main.rs", "mod.rs"].iter().any(|name| file.ends_with(name));
        let folder = if own { file.parent().unwrap().to_owned() } else { file.with_extension("") };
        self.add(module, file, &folder, contents(&parsed.items), test);
    }

    fn add(&mut self, module: &str, file: &Path, folder: &Path, mut contents: Contents, test: bool) {
        if test {
            self.tests.insert(file.to_owned(), module.to_owned());
        }
        let declared = std::mem::take(&mut contents.modules);
        if !test {
            self.modules.insert(module.to_owned(), Module { file: file.to_owned(), contents });
        }
        for Declared { name, test: only, path, inline } in declared {
            let test = test || only;
            // What tests a module counts as part of it.
            let child = if test { module.to_owned() } else { format!("{module}::{name}") };
            match (inline, path) {
                (Some(_), _) if test => {}
                (Some(contents), _) => self.add(&child, file, &folder.join(&name), contents, false),
                (None, Some(path)) => self.load(&child, &file.parent().unwrap().join(path), test),
                (None, None) => {
                    let flat = folder.join(format!("{name}.rs"));
                    let nested = folder.join(&name).join("mod.rs");
                    let found = if self.files.contains_key(&flat) { flat } else { nested };
                    assert!(self.files.contains_key(&found), "{}: no file for mod {name}", file.display());
                    self.load(&child, &found, test);
                }
            }
        }
    }
}
