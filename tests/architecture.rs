//! The invariants of ARCHITECTURE.md that a reader of the source can check.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::{Path, PathBuf};

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
}

/// Every source file by its path below `src`, without comment lines.
fn code() -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    assert!(paths.len() > 20, "only {} source files found", paths.len());
    let read = |path: &PathBuf| {
        let text = std::fs::read_to_string(path).unwrap();
        let code = text.lines().filter(|line| !line.trim_start().starts_with("//"));
        (path.strip_prefix(&root).unwrap().display().to_string(), code.collect::<Vec<_>>().join("\n"))
    };
    paths.iter().map(read).collect()
}

/// Whether `file` is module `name` or lies in its folder.
fn within(file: &str, name: &str) -> bool {
    file == format!("{name}.rs") || file.starts_with(&format!("{name}/"))
}

/// Files outside `homes` that contain `word` as a path or crate name.
fn strays(word: &str, homes: &[&str]) -> Vec<String> {
    let names = |text: &str| text.contains(&format!("{word}::")) || text.contains(&format!("use {word};"));
    let strays =
        code().into_iter().filter(|(file, text)| names(text) && !homes.iter().any(|h| within(file, h)));
    strays.map(|(file, _)| file).collect()
}

#[test]
fn each_outside_library_has_one_home() {
    for (word, homes) in [
        ("tflitec", &["model"][..]),
        ("v4l", &["source"]),
        ("rumqttc", &["publish"]),
        ("rumqttd", &["publish"]),
        ("redb", &["publish/store"]),
        ("sd_notify", &["systemd"]),
    ] {
        assert_eq!(strays(word, homes), Vec::<String>::new(), "{word} is named outside {homes:?}");
        assert!(
            !strays(word, &[]).is_empty(),
            "{word} is named nowhere: is this test looking at the right thing?"
        );
    }
}

#[test]
fn nothing_that_writes_or_sends_knows_pictures() {
    for (file, text) in code() {
        if ["payload", "publish", "summary", "trigger", "observation", "health", "systemd", "logging"]
            .iter()
            .any(|module| within(&file, module))
        {
            for word in
                ["crate::capture::frame", "image::", "RgbImage", "crate::capture::", "crate::inference"]
            {
                assert!(!text.contains(word), "{file} can write or send and names {word}");
            }
        }
    }
}

#[test]
fn pure_modules_touch_nothing() {
    for (file, text) in code() {
        if ["tracking", "smoothing", "summary", "trigger", "payload", "observation", "geometry"]
            .iter()
            .any(|module| within(&file, module))
        {
            let text =
                if file.ends_with("tests.rs") { "" } else { text.split("#[cfg(test)]").next().unwrap() };
            for word in ["std::thread", "std::fs", "std::net", "Instant::now", "SystemTime::now", "std::env"]
            {
                assert!(!text.contains(word), "{file} is pure and names {word}");
            }
        }
    }
}

#[test]
fn a_frame_cannot_be_serialized() {
    for (file, text) in code() {
        if within(&file, "frame") {
            assert!(!text.contains("serde") && !text.contains("Serialize"), "{file} knows serialization");
        }
    }
}

#[test]
fn files_stay_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut paths = Vec::new();
    for folder in ["src", "tests", "benches"] {
        sources(&root.join(folder), &mut paths);
    }
    for path in paths {
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 500, "{} has {lines} lines", path.display());
    }
    let main = std::fs::read_to_string(root.join("src/main.rs")).unwrap();
    assert!(main.lines().count() < 100, "main.rs is a table of contents");
}
