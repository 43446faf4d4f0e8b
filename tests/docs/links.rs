//! What the documents point at exists: files, headings, tests.

use std::path::{Path, PathBuf};

use crate::markdown::{code_spans, files, read, root, split_code};

/// The targets of a text's links.
fn links(text: &str) -> Vec<String> {
    let (prose, _) = split_code(text);
    let target = |part: &str| part.split_once(')').map(|(target, _)| target.to_owned());
    prose.split("](").skip(1).filter_map(target).collect()
}

/// The anchors of a text's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let (prose, _) = split_code(text);
    let headings =
        prose.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
    headings
        .map(|heading| {
            let kept = heading.trim().to_lowercase();
            let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut count = 0;
    for path in files() {
        for link in links(&read(&path)) {
            if link.contains("://") || link.starts_with("mailto:") {
                continue;
            }
            count += 1;
            let (target, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match target {
                "" => path.clone(),
                target => path.parent().unwrap_or(Path::new("")).join(target),
            };
            assert!(root().join(&target).exists(), "{} links to {link}", path.display());
            if !anchor.is_empty() {
                let anchors = anchors(&read(&target));
                assert!(anchors.iter().any(|a| a == anchor), "{}: {link}: only {anchors:?}", path.display());
            }
        }
    }
    assert!(count > 30, "only {count} links found: is this test looking at the right thing?");
}

#[test]
fn every_path_in_code_exists() {
    let folders = ["src/", "crates/", "tests/", "scripts/", "docs/", "systemd/", "benches/", "fuzz/"];
    let mut count = 0;
    for path in files() {
        if path.ends_with("CHANGELOG.md") {
            continue; // speaks of the past
        }
        let (prose, _) = split_code(&read(&path));
        for span in code_spans(&prose) {
            let named = span.split_whitespace().next().unwrap_or_default();
            if !folders.iter().any(|folder| named.starts_with(folder)) || named.contains(['*', '…', '<']) {
                continue;
            }
            count += 1;
            let named = named.trim_end_matches(['.', ',', ':']);
            // From the root, or from the document.
            let beside = path.parent().unwrap_or(Path::new(""));
            let there = [Path::new(""), beside].iter().any(|folder| root().join(folder).join(named).exists());
            assert!(there, "{} names {named}", path.display());
        }
    }
    assert!(count > 60, "only {count} paths found: is this test looking at the right thing?");
}

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

#[test]
fn every_test_that_is_named_as_proof_exists() {
    let mut paths = Vec::new();
    for folder in ["src", "crates", "tests"] {
        sources(&root().join(folder), &mut paths);
    }
    let code: String = paths.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    let mut count = 0;
    for path in [Path::new("SECURITY.md"), Path::new("docs/reliability.md")] {
        for span in code_spans(&read(path)) {
            let name = |c: char| c.is_ascii_lowercase() || c == '_';
            if span.matches('_').count() >= 3 && span.chars().all(name) {
                count += 1;
                assert!(code.contains(&format!("fn {span}()")), "{}: no test {span}", path.display());
            }
        }
    }
    assert!(count > 5, "only {count} tests found: is this test looking at the right thing?");
}

#[test]
fn prose_keeps_to_the_width_of_the_code() {
    let narrow = |path: &Path| {
        path.starts_with("docs")
            || ["README.md", "CONTRIBUTING.md", "SECURITY.md"].map(Path::new).contains(&path)
    };
    for path in files().iter().filter(|path| narrow(path)) {
        let (prose, _) = split_code(&read(path));
        // A table's row cannot be broken.
        for line in prose.lines().filter(|line| !line.starts_with('|')) {
            let width = line.chars().count();
            assert!(width <= 120, "{}: a line of {width} columns: {line}", path.display());
        }
    }
}
