//! How a broken rule is reported.

use std::collections::BTreeMap;

#[expect(clippy::needless_pass_by_value, reason = "every caller has just collected it")]
/// Fails if something breaks `rule`. `found`: what breaks it, and the places.
pub fn check(rule: &str, found: BTreeMap<String, Vec<String>>, remedy: &str) {
    let text: Vec<_> =
        found.iter().map(|(what, places)| format!("{what}\n    {}", places.join("\n    "))).collect();
    assert!(found.is_empty(), "{rule}:\n{}\nremedy: {remedy}", text.join("\n"));
}
