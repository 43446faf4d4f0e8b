//! The reader against small sources, so that what it must see is written down.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::graph::{Target, cycles};
use crate::publics;
use crate::source::Workspace;

fn workspace(files: &[(&str, &str)]) -> Workspace {
    let files = files.iter().map(|(file, text)| (PathBuf::from(file), (*text).to_owned())).collect();
    Workspace::of(files, ["std", "image", "serde", "log"].map(str::to_owned).into())
}

/// What `module` refers to, as `module::item` or the outside crate, without doubles.
fn named(workspace: &Workspace, module: &str) -> Vec<String> {
    let mut named: Vec<_> = workspace
        .edges_of(module)
        .into_iter()
        .map(|edge| match edge.to {
            Target::Inside { module, item } => {
                [Some(module), item].into_iter().flatten().collect::<Vec<_>>().join("::")
            }
            Target::Outside(name) => name,
        })
        .collect();
    named.sort();
    named.dedup();
    named
}

/// A library with a room `low` (a file and a module re-exported from it), and `text` as the module `high`.
fn high(text: &str) -> Vec<String> {
    let workspace = workspace(&[
        ("src/lib.rs", "pub mod low;\npub mod high;"),
        ("src/low/mod.rs", "pub mod frame;\nmod source;\npub use source::Lost;\npub use image::RgbImage;"),
        ("src/low/frame.rs", "pub struct Frame;\npub fn decode() {}"),
        ("src/low/source.rs", "pub struct Lost;"),
        ("src/high.rs", text),
        ("crates/core/src/lib.rs", "pub mod moment;\npub use moment::Moment;"),
        ("crates/core/src/moment.rs", "pub struct Moment;"),
    ]);
    named(&workspace, "emotiond::high")
}

const FRAME: &str = "emotiond::low::frame::Frame";
const DECODE: &str = "emotiond::low::frame::decode";
const LOST: &str = "emotiond::low::source::Lost";

#[test]
fn reads_groups_and_self() {
    assert_eq!(
        high("use crate::{low::{frame::{self, Frame}, Lost}};"),
        ["emotiond::low::frame", FRAME, LOST]
    );
}

#[test]
fn reads_super() {
    assert_eq!(high("use super::low::frame::Frame;"), [FRAME]);
    assert_eq!(high("fn f() { super::low::frame::decode() }"), [DECODE]);
}

#[test]
fn reads_nested_modules() {
    let text = "mod inner { use super::super::low::Lost; pub fn f() {} }\nfn g() { inner::f() }";
    let workspace = workspace(&[
        ("src/lib.rs", "mod low;\nmod high;"),
        ("src/low.rs", "pub struct Lost;"),
        ("src/high.rs", text),
    ]);
    assert_eq!(named(&workspace, "emotiond::high::inner"), ["emotiond::low::Lost"]);
    assert_eq!(named(&workspace, "emotiond::high"), ["emotiond::high::inner::f"]);
}

#[test]
fn reads_renamed_imports() {
    assert_eq!(
        high("use crate::low as basement; fn f(_: basement::frame::Frame) {}"),
        ["emotiond::low", FRAME]
    );
}

#[test]
fn reads_globs() {
    assert_eq!(high("use crate::low::frame::*; fn f(_: Frame) {}"), ["emotiond::low::frame", FRAME]);
}

#[test]
fn reads_inline_paths_in_code_types_macros_and_attributes() {
    assert_eq!(high("fn f() -> Vec<crate::low::Lost> { vec![] }"), [LOST]);
    assert_eq!(high("fn f() { log::info!(\"{:?}\", crate::low::frame::decode()) }"), [DECODE, "log"]);
    assert_eq!(high("struct S { #[serde(with = \"crate::low::frame\")] a: u8 }"), ["emotiond::low::frame"]);
    assert_eq!(high("#[derive(serde::Serialize)] struct S;"), ["serde"]);
    assert_eq!(high("pub(in crate::low) fn f() {}"), Vec::<String>::new());
}

#[test]
fn follows_reexports_and_remembers_them() {
    assert_eq!(high("use crate::low::Lost;"), [LOST]);
    assert_eq!(high("use crate::low::RgbImage;"), ["image"]);
    assert_eq!(high("use emotiond_core::Moment;"), ["emotiond_core::moment::Moment"]);
    let workspace = workspace(&[
        ("src/lib.rs", "mod a;\nmod b;\nmod c;"),
        ("src/a.rs", "pub struct A;"),
        ("src/b.rs", "pub use crate::a::A;"),
        ("src/c.rs", "\nuse crate::b::A as Other;"),
    ]);
    let edges = workspace.edges_of("emotiond::c");
    assert!(edges[0].via.contains(&"emotiond::b".to_owned()), "{edges:?}");
    assert_eq!(edges[0].place, "src/c.rs:2");
}

#[test]
fn takes_no_variable_for_a_module() {
    assert_eq!(high("use crate::low::Lost; fn f(image: u8, low: u8) -> u8 { image + low }"), [LOST]);
}

#[test]
fn leaves_tests_out() {
    for text in [
        "#[cfg(test)] mod tests { use crate::low::Lost; }",
        "#[cfg(test)] use crate::low::Lost;",
        "#[cfg(all(test, unix))] fn f() { crate::low::frame::decode() }",
        "struct S; impl S { #[cfg(test)] fn f() { crate::low::frame::decode() } }",
    ] {
        assert_eq!(high(text), Vec::<String>::new(), "{text}");
    }
    assert_eq!(high("#[cfg(not(test))] use crate::low::Lost;"), [LOST]);
    assert_eq!(high("#[cfg(any(test, fuzzing))] use crate::low::Lost;"), [LOST]);
}

#[test]
fn leaves_files_of_tests_out_with_all_they_declare() {
    let workspace = workspace(&[
        ("src/lib.rs", "mod a;\n#[cfg(test)] #[path = \"odd.rs\"] mod tests;"),
        ("src/a.rs", "mod deep { pub mod deeper; }\n#[cfg(test)] mod tests;"),
        ("src/a/deep/deeper.rs", "struct Deep;"),
        ("src/a/tests.rs", "mod more;"),
        ("src/a/tests/more.rs", "use crate::a;"),
        ("src/odd.rs", "struct Odd;"),
    ]);
    let modules: Vec<_> = workspace.modules.keys().collect();
    assert_eq!(modules, ["emotiond", "emotiond::a", "emotiond::a::deep", "emotiond::a::deep::deeper"]);
    assert_eq!(workspace.tests.len(), 3, "{:?}", workspace.tests);
    assert_eq!(workspace.modules["emotiond::a::deep::deeper"].contents.types, [("Deep".to_owned(), 1)]);
}

#[test]
fn finds_cycles_and_only_cycles() {
    let edge = |from: &str, to: &str| (from.to_owned(), to.to_owned(), format!("{from}.rs:1"));
    assert!(cycles(&[edge("a", "b"), edge("b", "c"), edge("a", "c")]).is_empty());
    let found = cycles(&[edge("a", "b"), edge("b", "c"), edge("c", "a"), edge("c", "d"), edge("e", "a")]);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, ["a", "b", "c"].map(str::to_owned).into());
    assert_eq!(found[0].1.len(), 3);
}

#[test]
fn finds_what_is_pub_for_nobody() {
    let workspace = workspace(&[
        ("src/lib.rs", "pub mod a;\npub mod b;\npub use a::{passed, alone};"),
        (
            "src/a.rs",
            "pub fn passed() -> Returned { alone(); Returned }\npub struct Returned;\npub fn alone() {}\nfn own() {}\n#[cfg(test)] mod tests;",
        ),
        ("src/a/tests.rs", "fn f() { super::alone() }"),
        ("src/b.rs", "use crate::a::passed;"),
    ]);
    assert_eq!(publics::unused(&workspace), ["src/a.rs:3 alone"]);
}

#[test]
fn a_failed_check_names_the_remedy() {
    let found = BTreeMap::from([("a -> b".to_owned(), vec!["src/a.rs:1".to_owned()])]);
    let failure = std::panic::catch_unwind(|| super::check("some rule", found, "move it")).unwrap_err();
    let text = failure.downcast_ref::<String>().unwrap();
    assert!(["some rule", "a -> b", "src/a.rs:1", "move it"].iter().all(|w| text.contains(w)), "{text}");
}
