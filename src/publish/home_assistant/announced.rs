//! What there is to announce.

use std::collections::BTreeMap;
use std::time::Duration;

use emotiond_core::report::expression::Expression;
use emotiond_core::report::payload::DeviceName;

/// What there is to announce.
#[derive(Clone, Debug)]
pub struct Announced<'a> {
    /// Home Assistant's discovery prefix, `homeassistant` unless changed there.
    pub prefix: &'a str,
    /// The name of this device.
    pub device: &'a DeviceName,
    /// The part of every id that tells this device from others, usually its name.
    pub id: &'a DeviceName,
    /// The length of a window: its entities become unavailable when the next one is overdue.
    pub window: Duration,
    /// The interval of health reports: likewise.
    pub health_interval: Duration,
    /// The expressions in summaries; empty if the site forbids them or the model has none.
    pub expressions: &'a [Expression],
    /// Whether summaries have valence and arousal.
    pub valence_arousal: bool,
    /// The action units in summaries.
    pub action_units: &'a [String],
    /// The labels of each network that reads sequences, by its name in summaries.
    pub sequences: &'a BTreeMap<String, Vec<String>>,
    /// Whether summaries have the share of faces turned to the camera.
    pub facing: bool,
    /// Whether summaries say who looked and for how long.
    pub watchers: bool,
    /// Whether this machine tells its temperature.
    pub temperature: bool,
    /// The names of the triggers.
    pub triggers: &'a [String],
    /// Whether commands are listened to: pause is a switch then, and a mere indicator otherwise.
    pub commands: bool,
    /// The address of the device's page, for those who are not at the device.
    pub page: Option<String>,
}

/// A name as a person would write it: `living_room` is "Living room".
pub(super) fn in_words(name: &str) -> String {
    let words = name.replace(['_', '-', '.'], " ");
    let words = words.trim();
    let mut letters = words.chars();
    letters.next().map_or_else(|| name.to_owned(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_like_one() {
        for (name, words) in
            [("hall", "Hall"), ("living_room", "Living room"), ("pi-2.hall", "Pi 2 hall"), ("_", "_")]
        {
            assert_eq!(in_words(name), words);
        }
    }
}
