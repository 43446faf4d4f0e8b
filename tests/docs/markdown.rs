//! As much Markdown as the tests need: files, tables under headings, code.

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The text of a file of the repository.
pub fn read(path: impl AsRef<Path>) -> String {
    let path = root().join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// All Markdown files, by their paths from the root.
pub fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for folder in
        ["", "docs", "docs/decisions", "docs/guides", "examples/fleet", "models", "python", "tests/data"]
    {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found.sort();
    assert!(found.len() > 15, "only {} Markdown files found", found.len());
    found
}

/// The rows of the tables whose header begins with `column`, each with the last heading above it.
pub fn rows(text: &str, column: &str) -> Vec<(String, Vec<String>)> {
    let (mut heading, mut inside, mut found) = (String::new(), false, Vec::new());
    for line in text.lines() {
        if let Some(title) = line.strip_prefix('#') {
            heading = title.trim_start_matches('#').trim().replace('`', "");
        }
        let Some(row) = line.strip_prefix("| ") else {
            inside &= line.starts_with('|');
            continue;
        };
        let cells: Vec<String> =
            row.trim_end_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect();
        if !inside {
            inside = cells[0] == column;
        } else {
            found.push((heading.clone(), cells));
        }
    }
    assert!(!found.is_empty(), "no table with the column {column:?}");
    found
}

/// The first column of the tables under one heading: every code span in it.
pub fn first_column(text: &str, heading: &str, column: &str) -> Vec<String> {
    let of_heading = rows(text, column).into_iter().filter(|(title, _)| title == heading);
    let mut found: Vec<String> = of_heading.flat_map(|(_, cells)| code_spans(&cells[0])).collect();
    assert!(!found.is_empty(), "no table with the column {column:?} under {heading:?}");
    found.sort();
    found
}

/// What stands between backticks.
pub fn code_spans(text: &str) -> Vec<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The text without fenced code blocks, and the shell commands within them.
pub fn split_code(text: &str) -> (String, Vec<String>) {
    let (mut prose, mut code, mut fence) = (String::new(), Vec::new(), None);
    for line in text.lines() {
        if let Some(language) = line.trim_start().strip_prefix("```") {
            fence = if fence.is_some() { None } else { Some(language) };
        } else if let Some(language) = fence {
            match (language, line.strip_prefix("$ ")) {
                ("sh", _) => code.push(line.to_owned()),
                ("console", Some(command)) => code.push(command.to_owned()),
                _ => {}
            }
        } else {
            prose += line;
            prose.push('\n');
        }
    }
    (prose, code)
}
