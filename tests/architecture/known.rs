//! The violations that are known today, and the check that tells new ones from them.

use std::collections::BTreeMap;

/// Violations that are known and wait to be mended: the rule and what breaks it. The aim is an empty list; an entry
/// that no longer happens fails its test, so that it is taken out.
const KNOWN: &[(&str, &str)] = &[
    ("type name", "Failure"),
    ("type name", "Held"),
    ("type name", "Outcome"),
    ("type name", "Signed"),
    ("type name", "State"),
];

/// Fails if something breaks `rule` that is not known, or if something known does so no more. `found`: what breaks it,
/// and the places.
pub fn check(rule: &str, mut found: BTreeMap<String, Vec<String>>, remedy: &str) {
    let known = KNOWN.iter().filter(|(of, _)| *of == rule);
    let mended: Vec<_> = known.filter(|(_, what)| found.remove(*what).is_none()).collect();
    let text: Vec<_> =
        found.iter().map(|(what, places)| format!("{what}\n    {}", places.join("\n    "))).collect();
    assert!(found.is_empty(), "{rule}:\n{}\nremedy: {remedy}", text.join("\n"));
    assert!(
        mended.is_empty(),
        "{rule}: mended, take it out of KNOWN in tests/architecture/known.rs: {mended:?}"
    );
}
