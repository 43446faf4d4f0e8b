//! The README's commands and topics against the program.

use clap::CommandFactory as _;
use emotiond::command::cli::Cli;

use crate::markdown::{code_spans, files, first_column, read, split_code};

/// The commands in code, each from `emotiond` to the end of the command.
fn commands(text: &str) -> Vec<String> {
    let (prose, code) = split_code(text);
    let spans = code_spans(&prose).into_iter().chain(code);
    spans
        .flat_map(|span| {
            let command = span.split('#').next().unwrap_or_default();
            command.split(['|', '>', ';', '&']).map(str::to_owned).collect::<Vec<_>>()
        })
        .filter_map(|part| {
            let words: Vec<&str> = part.split_whitespace().collect();
            let start = words.iter().rposition(|word| *word == "emotiond" || word.ends_with("/emotiond"))?;
            // `systemctl … emotiond` and `journalctl -u emotiond -f` name the unit.
            let unit = words.iter().any(|word| ["systemctl", "journalctl"].contains(word));
            let next = words.get(start + 1)?;
            let named = next.chars().all(|c| c.is_ascii_lowercase()) && !unit;
            named.then(|| words[start + 1..].join(" "))
        })
        .collect()
}

#[test]
fn every_command_and_option_in_the_documents_exists() {
    let cli = Cli::command();
    let mut readme = 0;
    for path in files() {
        if path.ends_with("CHANGELOG.md") {
            continue; // speaks of the past
        }
        for line in commands(&read(&path)) {
            let mut words = line.split_whitespace();
            let name = words.next().unwrap();
            let Some(command) = cli.find_subcommand(name) else {
                panic!("{}: there is no `emotiond {name}`", path.display());
            };
            for option in words.filter_map(|word| word.strip_prefix("--")) {
                let option = option.split('=').next().unwrap();
                let known = command.get_arguments().any(|argument| argument.get_long() == Some(option));
                assert!(known, "{}: `emotiond {name}` has no --{option}", path.display());
            }
            readme += usize::from(path.ends_with("README.md"));
        }
    }
    assert!(readme > 5, "only {readme} commands found: is this test looking at the right thing?");
}

#[test]
fn every_subcommand_is_in_the_readme() {
    let text = read("README.md");
    for command in Cli::command().get_subcommands() {
        let name = command.get_name();
        assert!(text.contains(&format!("emotiond {name}")), "README.md does not show `emotiond {name}`");
    }
}

#[test]
fn every_topic_in_the_readme_exists() {
    let topics = first_column(&read("docs/mqtt.md"), "Topics", "topic");
    let text = read("README.md");
    let mut found = 0;
    for head in ["emotiond/<device>/", "emotiond/demo/"] {
        for rest in text.split(head).skip(1) {
            let end = rest.find(|c: char| c.is_whitespace() || c == '`').unwrap_or(rest.len());
            let topic = format!("emotiond/<device>/{}", &rest[..end]);
            assert!(topics.contains(&topic), "README.md names {topic}");
            found += 1;
        }
    }
    assert!(found > 0, "no topic found: is this test looking at the right thing?");
}
