//! The invariants of ARCHITECTURE.md that a reader of the source can check. `contents`, `source` and `graph` read the
//! source as the compiler does, what only tests compile apart; here stand the rules.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod contents;
mod graph;
mod publics;
mod reader_tests;
mod rule;
mod source;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::LazyLock;

use graph::{Edge, Target, parent, within};
use rule::check;
use source::Workspace;

/// The rooms of `src` and the crate of what decides, from the bottom up. A room imports from those below it only;
/// rooms on one line do not know each other.
const LAYERS: [&[&str]; 11] = [
    &["emotiond_core"],
    &["host", "exit"],
    &["capture"],
    &["inference"],
    &["vision"],
    &["publish"],
    &["config"],
    &["sandbox"],
    &["runtime"],
    &["command"],
    &["main"],
];

/// Rooms that a room may not import although they lie below it.
const FORBIDDEN: [(&str, &[&str]); 1] = [("publish", &["capture", "inference", "vision"])];

/// The modules that may name an outside library.
const HOMES: [(&str, &[&str]); 15] = [
    ("prometheus_client", &["emotiond::publish::metrics"]),
    ("tflitec", &["emotiond::inference"]),
    ("v4l", &["emotiond::capture::v4l2"]),
    ("mozjpeg", &["emotiond::capture::frame::decode::jpeg"]),
    ("mozjpeg_sys", &["emotiond::capture::frame::decode::jpeg"]),
    ("image", &["emotiond::capture", "emotiond::vision", "emotiond::inference", "emotiond::command"]),
    ("rumqttc", &["emotiond::publish"]),
    ("tokio", &["emotiond::publish::embedded"]),
    ("rustls", &["emotiond::publish"]),
    ("crc32fast", &["emotiond::publish::queue::segment"]),
    ("sd_notify", &["emotiond::runtime::systemd"]),
    ("landlock", &["emotiond::sandbox"]),
    ("seccompiler", &["emotiond::sandbox"]),
    ("clap", &["emotiond::command", "main"]),
    ("ratatui", &["emotiond::command"]),
];

/// Who may make a picture file: the command that draws on a copy of the user's own picture, and the one that times the
/// decoder on a JPEG in memory. The daemon is neither.
const ENCODERS: [&str; 2] = ["emotiond::command::analyze::draw", "emotiond::command::bench"];

/// How `image` and its codecs make files and bytes of a picture: methods, and names in paths.
const ENCODES: [&str; 6] =
    ["save", "save_with_format", "write_to", "write_with_encoder", "write_image", "encode_image"];
const CODECS: [&str; 5] =
    ["ImageEncoder", "PngEncoder", "JpegEncoder", "save_buffer", "save_buffer_with_format"];

/// What writes or sends.
const SENDERS: [&str; 5] = [
    "emotiond::publish",
    "emotiond_core",
    "emotiond::runtime::status",
    "emotiond::runtime::health",
    "emotiond::runtime::systemd",
];

static SOURCE: LazyLock<Workspace> = LazyLock::new(|| Workspace::read(Path::new(env!("CARGO_MANIFEST_DIR"))));
static EDGES: LazyLock<Vec<Edge>> = LazyLock::new(|| SOURCE.edges());

/// The room of a module: the first level of `src`, `main`, or the other crate. `None`: the root of the library.
fn room(module: &str) -> Option<&str> {
    let mut parts = module.split("::");
    match parts.next() {
        Some("emotiond") => parts.next(),
        other => other,
    }
}

fn rank(room: &str) -> usize {
    LAYERS.iter().position(|layer| layer.contains(&room)).unwrap_or_else(|| {
        panic!("the room {room} stands in no layer: add it to LAYERS in tests/architecture/main.rs")
    })
}

/// The modules a reference touches: the one that defines, and those that pass it on.
fn touched(edge: &Edge) -> impl Iterator<Item = &str> {
    let to = match &edge.to {
        Target::Inside { module, .. } => Some(module.as_str()),
        Target::Outside(_) => None,
    };
    edge.via.iter().map(String::as_str).chain(to)
}

fn described(edge: &Edge) -> String {
    let to = match &edge.to {
        Target::Inside { module, item: Some(item) } => format!("{module}::{item}"),
        Target::Inside { module, item: None } => module.clone(),
        Target::Outside(name) => name.clone(),
    };
    format!("{}: {} names {to}", edge.place, edge.from)
}

/// The references from one room to another that `wrong` says are wrong: `module -> room` and every place.
fn pairs(wrong: impl Fn(&str, &str) -> bool) -> BTreeMap<String, Vec<String>> {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for edge in EDGES.iter() {
        let Some(from) = room(&edge.from) else { continue };
        for to in touched(edge).filter_map(room).filter(|to| *to != from && wrong(from, to)) {
            let places = found.entry(format!("{} -> {to}", edge.from)).or_default();
            if !places.contains(&described(edge)) {
                places.push(described(edge));
            }
        }
    }
    found
}

#[test]
fn the_reader_sees_the_source() {
    assert!(SOURCE.modules.len() > 90, "only {} modules found", SOURCE.modules.len());
    assert!(EDGES.len() > 500, "only {} references found", EDGES.len());
    assert!(SOURCE.tests.len() > 5, "only {} files of tests found", SOURCE.tests.len());
    let read = |file: &Path| {
        SOURCE.tests.contains_key(file) || SOURCE.modules.values().any(|module| module.file == file)
    };
    for file in SOURCE.files.keys().filter(|f| f.starts_with("src") || f.starts_with("crates/core/src")) {
        assert!(read(file), "{} is declared by no module: declare it or remove it", file.display());
    }
}

#[test]
fn rooms_are_layers() {
    SOURCE.modules.keys().filter_map(|module| room(module)).for_each(|room| {
        rank(room);
    });
    check(
        "upward import",
        pairs(|from, to| rank(to) >= rank(from)),
        "a room imports only from rooms below it: move what is shared down, or hand it over as an argument",
    );
}

#[test]
fn forbidden_imports_stay_out() {
    let forbidden = |from: &str, to: &str| FORBIDDEN.iter().any(|(a, b)| *a == from && b.contains(&to));
    check(
        "forbidden import",
        pairs(forbidden),
        "these rooms share plain data of emotiond_core only: move the type there, or let a room above both translate",
    );
}

/// Modules of a room do not import each other in a cycle. Two kinds of reference do not count. A parent that declares
/// a child or passes its names on (`mod`, `pub use`) is a table of contents. And a child may name the types, traits and
/// constants that its direct parent defines: they are what a folder of children has in common (`use super::Frame`). A
/// child that calls its parent's functions back does count, as does anything further up.
#[test]
fn no_cycle_within_a_room() {
    let mut edges = Vec::new();
    for edge in EDGES.iter() {
        let Target::Inside { module: to, item } = &edge.to else { continue };
        let passed_on = edge.reexport && within(to, &edge.from);
        let called = item.as_ref().is_some_and(|item| SOURCE.modules[to].contents.functions.contains(item));
        let shared = parent(&edge.from) == Some(to) && !called;
        if room(&edge.from).is_some() && room(&edge.from) == room(to) && !passed_on && !shared {
            edges.push((edge.from.clone(), to.clone(), edge.place.clone()));
        }
    }
    let found = graph::cycles(&edges).into_iter().map(|(group, places)| {
        let lines = places.iter().map(|((from, to), place)| format!("{place}: {from} -> {to}")).collect();
        (group.into_iter().collect::<Vec<_>>().join(" <-> "), lines)
    });
    check(
        "cycle",
        found.collect(),
        "move what both need into a file of its own, below both; or hand one of them what it asks for",
    );
}

#[test]
fn no_type_name_is_defined_twice() {
    let mut found = BTreeMap::<String, Vec<String>>::new();
    for module in SOURCE.modules.values() {
        for (name, line) in &module.contents.types {
            found.entry(name.clone()).or_default().push(format!("{}:{line}", module.file.display()));
        }
    }
    found.retain(|_, places| places.len() > 1);
    check(
        "type name",
        found,
        "name each for what it is, so that a reader who meets the word knows which is meant",
    );
}

#[test]
fn each_outside_library_has_one_home() {
    for (library, homes) in HOMES.iter().filter(|(library, _)| SOURCE.outside.contains(*library)) {
        let named = EDGES.iter().filter(|edge| edge.to == Target::Outside((*library).to_owned()));
        let (inside, strays): (Vec<_>, Vec<_>) =
            named.partition(|edge| homes.iter().any(|home| within(&edge.from, home)));
        assert!(
            !inside.is_empty(),
            "{library} is named nowhere in {homes:?}: does this test look at the right thing?"
        );
        let strays =
            strays.into_iter().map(|edge| (format!("{library} in {}", edge.from), vec![described(edge)]));
        check(
            &format!("home of {library}"),
            strays.collect(),
            "let its home offer what you need in our own types",
        );
    }
}

#[test]
fn nothing_that_writes_or_sends_knows_pictures() {
    let pictures = |edge: &&Edge| {
        edge.to == Target::Outside("image".to_owned())
            || touched(edge)
                .any(|to| within(to, "emotiond::capture::frame") || within(to, "emotiond::inference"))
    };
    let from = |edge: &&Edge| SENDERS.iter().any(|sender| within(&edge.from, sender));
    for sender in SENDERS {
        assert!(SOURCE.modules.contains_key(sender), "{sender} is gone: name what writes or sends today");
    }
    let found = EDGES.iter().filter(from).filter(pictures).map(|e| (e.place.clone(), vec![described(e)]));
    check("pictures", found.collect(), "hand it numbers: what can send must not be able to hold a picture");
}

#[test]
fn only_analyze_makes_a_picture_file() {
    for encoder in ENCODERS {
        assert!(SOURCE.modules.contains_key(encoder), "{encoder} is gone: who makes a picture file today?");
    }
    let mut found = BTreeMap::<String, Vec<String>>::new();
    let mut known = 0;
    for (name, module) in &SOURCE.modules {
        let methods = module.contents.methods.iter().filter(|(method, _)| ENCODES.contains(&method.as_str()));
        let paths = module.contents.references.iter().filter_map(|reference| {
            let word = reference.path.iter().find(|part| CODECS.contains(&part.as_str()))?;
            Some((word.clone(), reference.line))
        });
        for (word, line) in methods.cloned().chain(paths) {
            if ENCODERS.iter().any(|encoder| within(name, encoder)) {
                known += 1;
            } else {
                found
                    .entry(name.clone())
                    .or_default()
                    .push(format!("{}:{line}: {word}", module.file.display()));
            }
        }
    }
    assert!(
        known >= 4,
        "only {known} places found where a picture is made: does this test look at the right thing?"
    );
    check("picture files", found, "no other part of the program makes a file or bytes of a picture");
    // Nor does anything of the daemon call those that may.
    let called = |from: &str, to: &str| from != "command" && from != "main" && to == "command";
    check("commands", pairs(called), "a command is called by the command line alone");
}

#[test]
fn a_frame_cannot_be_serialized() {
    let frame = "emotiond::capture::frame";
    assert!(SOURCE.modules.contains_key(frame), "{frame} is gone: where is Frame defined today?");
    let knows = |edge: &&Edge| {
        within(&edge.from, frame) && matches!(&edge.to, Target::Outside(name) if name.starts_with("serde"))
    };
    let mut found: BTreeMap<_, _> =
        EDGES.iter().filter(knows).map(|edge| (edge.place.clone(), vec![described(edge)])).collect();
    for module in SOURCE.modules.values() {
        for (of, to, line) in &module.contents.impls {
            if to == "Frame" && of == "Serialize" {
                let place = format!("{}:{line}", module.file.display());
                found.insert(place.clone(), vec![format!("{place}: impl Serialize for Frame")]);
            }
        }
    }
    check(
        "serialized frame",
        found,
        "keep serde out of src/capture/frame: serialize numbers made from a frame",
    );
}

#[test]
fn the_core_is_no_std() {
    let root = "crates/core/src/lib.rs";
    let parsed = syn::parse_file(&SOURCE.files[Path::new(root)]).unwrap();
    let no_std = parsed.attrs.iter().any(|attribute| match &attribute.meta {
        syn::Meta::Path(path) => path.is_ident("no_std"),
        syn::Meta::List(list) => {
            list.path.is_ident("cfg_attr") && list.tokens.to_string().replace(' ', "") == "not(test),no_std"
        }
        syn::Meta::NameValue(_) => false,
    });
    let mut found = BTreeMap::new();
    if !no_std {
        let line = format!("{root}:1: neither #![no_std] nor #![cfg_attr(not(test), no_std)]");
        found.insert("attribute".to_owned(), vec![line]);
    }
    let mut std = BTreeMap::<String, Vec<String>>::new();
    for edge in EDGES.iter().filter(|edge| within(&edge.from, "emotiond_core")) {
        if edge.to == Target::Outside("std".to_owned()) {
            std.entry(edge.from.clone()).or_insert_with(|| vec![described(edge)]);
        }
    }
    for (name, line) in &SOURCE.modules["emotiond_core"].contents.extern_crates {
        if name == "std" {
            std.insert("extern crate std".to_owned(), vec![format!("{root}:{line}")]);
        }
    }
    found.extend((!std.is_empty()).then(|| ("std".to_owned(), std.into_values().flatten().collect())));
    check(
        "core",
        found,
        "what decides needs core and alloc only: use those, and take time and files as arguments",
    );
}

#[test]
fn what_is_pub_is_used_elsewhere() {
    let found = publics::unused(&SOURCE).into_iter().map(|item| {
        let name = item.split_once(' ').map_or(item.clone(), |(place, name)| {
            format!("{name} in {}", place.split(':').next().unwrap_or_default())
        });
        (name, vec![item])
    });
    check("pub", found.collect(), "no other file names it: make it private, or remove it");
}

#[test]
fn files_stay_small() {
    for (file, text) in &SOURCE.files {
        let lines = text.lines().count();
        assert!(lines <= 500, "{} has {lines} lines, 500 at most: split it", file.display());
    }
    let lines = SOURCE.files[Path::new("src/main.rs")].lines().count();
    assert!(lines < 100, "src/main.rs has {lines} lines, less than 100 wanted: it is a table of contents");
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let entries = std::fs::read_dir(root).unwrap().count();
    assert!(entries <= 12, "src has {entries} entries, twelve at most: put the new one into a room");
}
