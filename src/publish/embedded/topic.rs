//! Topics and topic filters of MQTT 3.1.1, section 4.7.

/// The longest topic or filter in bytes. MQTT allows 65,535; ours have less than 200.
pub(super) const LONGEST: usize = 512;

/// Whether something can be published on `topic`. Topics that begin with `$` are a broker's own.
pub(super) fn is_topic(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= LONGEST && !topic.contains(['+', '#']) && !topic.starts_with('$')
}

/// Whether clients of the embedded broker can subscribe to `filter`: 512 bytes at most, `+` alone in its level, `#` alone
/// in the last one.
pub fn is_filter(filter: &str) -> bool {
    let mut levels = filter.split('/').peekable();
    let mut good = !filter.is_empty() && filter.len() <= LONGEST && !filter.contains('\0');
    while let Some(level) = levels.next() {
        good &= match level {
            "+" => true,
            "#" => levels.peek().is_none(),
            other => !other.contains(['+', '#']),
        };
    }
    good
}

/// Whether a filter matches a topic.
pub(super) fn matches(filter: &str, topic: &str) -> bool {
    if topic.starts_with('$') && filter.starts_with(['+', '#']) {
        return false;
    }
    let (mut filter, mut topic) = (filter.split('/'), topic.split('/'));
    loop {
        match (filter.next(), topic.next()) {
            // Also the level above: "a/#" matches "a".
            (Some("#"), _) | (None, None) => return true,
            (Some("+"), Some(_)) => {}
            (Some(wanted), Some(level)) if wanted == level => {}
            _ => return false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_as_the_standard_says() {
        for (filter, topic) in [
            ("a/b", "a/b"),
            ("#", "a/b"),
            ("a/#", "a"),
            ("a/#", "a/b/c"),
            ("+/b", "a/b"),
            ("+/+", "/b"),
            ("/+", "/b"),
            ("a/+/c", "a//c"),
            ("$SYS/#", "$SYS/x"),
        ] {
            assert!(matches(filter, topic), "{filter} {topic}");
        }
        for (filter, topic) in [
            ("a/b", "a/c"),
            ("a", "a/b"),
            ("a/b", "a"),
            ("+", "/b"),
            ("a/+", "a"),
            ("#", "$SYS/x"),
            ("+/x", "$SYS/x"),
        ] {
            assert!(!matches(filter, topic), "{filter} {topic}");
        }
    }

    #[test]
    fn knows_topics_and_filters() {
        for good in ["a", "/", "a//b", "+", "#", "a/#", "+/a/+", "$SYS/#", "ä"] {
            assert!(is_filter(good), "{good}");
        }
        for bad in ["", "a#", "#/a", "a+", "a/b+/c", &"a".repeat(LONGEST + 1)] {
            assert!(!is_filter(bad), "{bad}");
        }
        assert!(
            is_topic("a/b") && !is_topic("a/+") && !is_topic("#") && !is_topic("") && !is_topic("$SYS/a")
        );
    }
}
