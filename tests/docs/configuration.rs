//! docs/configuration.md against the parser, its defaults, its ranges, and the printed default configuration.

use std::collections::BTreeMap;
use std::path::Path;

use emotiond::config::{EXAMPLE, Overrides, Settings};

use crate::markdown::{code_spans, read, rows};

/// What a trigger needs besides the key under test.
const TRIGGER: &str = "name = \"a\"\nsignal = \"faces\"\nabove = 1.0\n";

/// A documented key: its type, its default and its range as they are written.
struct Key {
    table: String,
    name: String,
    kind: String,
    default: String,
    range: String,
}

impl Key {
    /// The default, if it is a value and not a description.
    fn value(&self) -> Option<&str> {
        self.default.strip_prefix('`')?.strip_suffix('`').filter(|value| !value.contains('`'))
    }

    /// A configuration with this key alone.
    fn configuration(&self, value: &str) -> String {
        let line = format!("{} = {value}\n", self.name);
        match self.table.as_str() {
            "Top level" => format!("site = \"home\"\n{line}"),
            "[[trigger]]" => format!("site = \"home\"\n[[trigger]]\n{TRIGGER}{line}"),
            table => format!("site = \"home\"\n{table}\n{line}"),
        }
    }
}

fn documented() -> Vec<Key> {
    let rows = rows(&read("docs/configuration.md"), "key");
    let key = |(table, cells): (String, Vec<String>)| {
        let [name, kind, default, range, _meaning] =
            <[String; 5]>::try_from(cells).unwrap_or_else(|cells| panic!("not five columns: {cells:?}"));
        Key { table, name: name.replace('`', ""), kind, default, range }
    };
    rows.into_iter().map(key).collect()
}

fn parse(text: &str) -> Result<Settings, String> {
    Settings::parse(text, Path::new("test.toml"), &Overrides::default()).map_err(|error| error.to_string())
}

/// The names that the parser says it would have taken in a table.
fn known(table: &str) -> Vec<String> {
    let head = if table == "Top level" { "" } else { table };
    let message = parse(&format!("{head}\nno-such-key = 1\n")).unwrap_err();
    let (_, expected) = message.split_once("unknown field `no-such-key`, expected").expect(&message);
    code_spans(expected)
}

#[test]
fn every_key_of_the_parser_is_documented_and_no_other() {
    let mut tables: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for key in documented() {
        tables.entry(key.table).or_default().push(key.name);
    }
    // The parser's tables are keys of the top level.
    for table in tables.keys().filter(|table| *table != "Top level").cloned().collect::<Vec<_>>() {
        tables.get_mut("Top level").unwrap().push(table.trim_matches(['[', ']']).to_owned());
    }
    for (table, mut names) in tables {
        let mut known = known(&table);
        names.sort();
        known.sort();
        assert_eq!(names, known, "docs/configuration.md (left) and the parser (right), table {table}");
    }
}

#[test]
fn documented_defaults_are_the_defaults() {
    let mut count = 0;
    for key in documented() {
        let Some(value) = key.value() else { continue };
        count += 1;
        let with = parse(&key.configuration(value)).unwrap_or_else(|error| panic!("{}: {error}", key.name));
        let bare = if key.table == "[[trigger]]" {
            parse(&format!("site = \"home\"\n[[trigger]]\n{TRIGGER}"))
        } else {
            parse("site = \"home\"\n")
        };
        assert_eq!(format!("{with:#?}"), format!("{:#?}", bare.unwrap()), "the default of {}", key.name);
    }
    assert!(count > 15, "only {count} defaults are documented as values");
    // With the embedded broker nothing is kept on disk, and this default would not be seen.
    let remote = "site = \"home\"\n[mqtt]\nurl = \"mqtt://broker\"\nstate_directory = \"/var/lib/x\"\n";
    let keep = documented().into_iter().find(|key| key.name == "keep").unwrap();
    let with = parse(&format!("{remote}keep = {}\n", keep.value().unwrap())).unwrap();
    assert_eq!(with.mqtt.durable, parse(remote).unwrap().mqtt.durable);
}

#[test]
fn what_is_documented_as_required_is_required() {
    assert!(parse("device = \"a\"\n").unwrap_err().contains("`site` is missing"));
    for key in documented().iter().filter(|key| key.table == "[[trigger]]" && key.default == "required") {
        let rest: String = TRIGGER
            .lines()
            .filter(|line| !line.starts_with(&key.name))
            .fold(String::new(), |text, line| text + line + "\n");
        let message = parse(&format!("site = \"home\"\n[[trigger]]\n{rest}")).unwrap_err();
        assert!(message.contains(&key.name), "{}: {message}", key.name);
    }
}

#[test]
fn documented_ranges_are_those_that_the_parser_names() {
    let mut count = 0;
    for key in documented() {
        // Others are described in words.
        let [least, most] = code_spans(&key.range).try_into().unwrap_or_default();
        if key.range != format!("`{least}` to `{most}`") {
            continue;
        }
        count += 1;
        let far = match key.kind.as_str() {
            "integer" => "4000000000",
            "number" => "1e9",
            "duration" => "\"1000years\"",
            kind => panic!("{}: a range of {kind}", key.name),
        };
        let message = parse(&key.configuration(far)).unwrap_err();
        let said = format!("it may be {least} to {most}");
        assert!(message.contains(&said), "{}: {message}; documented: {said}", key.name);
    }
    assert!(count > 8, "only {count} ranges are documented as values");
}

#[test]
fn the_printed_configuration_shows_every_documented_key_with_its_default() {
    let mut shown: BTreeMap<(String, String), String> = BTreeMap::new();
    let mut table = "Top level".to_owned();
    for line in EXAMPLE.lines() {
        let line = line.strip_prefix('#').unwrap_or(line);
        if line.starts_with('[') {
            line.clone_into(&mut table);
        } else if let Some((name, value)) = line.split_once(" = ")
            && name.chars().all(|c| c.is_ascii_lowercase() || c == '_')
        {
            shown.insert((table.clone(), name.to_owned()), value.to_owned());
        }
    }
    for key in documented() {
        let found = shown.remove(&(key.table.clone(), key.name.clone()));
        // The counterpart of `above` would make the example trigger invalid.
        if key.name == "below" {
            continue;
        }
        let found = found.unwrap_or_else(|| panic!("{} {} is not printed", key.table, key.name));
        // The values of the example trigger are an example.
        if let Some(default) = key.value().filter(|_| key.table != "[[trigger]]") {
            assert_eq!(found, default, "{} as printed and as documented", key.name);
        }
    }
    assert!(shown.is_empty(), "printed and not documented: {shown:?}");
}

#[test]
fn configurations_of_the_guides_are_valid() {
    for (guide, site) in [("kiosk", "retail"), ("classroom", "education")] {
        let text = read(format!("docs/guides/{guide}.md"));
        let block = text.split("```toml\n").nth(1).unwrap().split("```").next().unwrap();
        let settings = parse(block).unwrap();
        assert_eq!(settings.privacy.site.name(), site, "{guide}");
        assert!(settings.page.is_some() && !settings.triggers.is_empty(), "{guide}");
    }
}
