//! Who may publish on which topic. Everybody who is let in may read everything.

use crate::publish::embedded::topic;
use emotiond_core::report::payload::DeviceName;

/// What clients other than the daemon may publish.
#[derive(Clone, Debug)]
pub(super) struct Rights {
    /// `emotiond/<device>/`: nobody but the daemon speaks for the device.
    own: String,
    /// Whether commands are obeyed at all.
    commands: bool,
    /// Where Home Assistant says that it has started.
    birth_topic: Option<String>,
    /// Filters of further topics.
    topics: Vec<String>,
}

/// What becomes of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Right {
    /// It goes to subscribers, and is kept for later ones if it asks for that.
    Publish,
    /// It goes to subscribers and is never kept: a command is meant for now.
    Command,
}

impl Rights {
    pub fn new(
        device: &DeviceName,
        commands: bool,
        birth_topic: Option<String>,
        topics: Vec<String>,
    ) -> Self {
        Self { own: format!("emotiond/{device}/"), commands, birth_topic, topics }
    }

    /// What a client may do on `topic`; `None` if nothing.
    pub fn of_client(&self, topic: &str) -> Option<Right> {
        if let Some(own) = topic.strip_prefix(&self.own) {
            let request = own.strip_prefix("request/").is_some_and(|name| !name.contains('/'));
            return (self.commands && (own == "pause/set" || request)).then_some(Right::Command);
        }
        let allowed = self.birth_topic.as_deref() == Some(topic)
            || self.topics.iter().any(|filter| topic::matches(filter, topic));
        allowed.then_some(Right::Publish)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn others_send_commands_and_what_is_configured() {
        let device = "hall".parse().unwrap();
        let birth = Some("homeassistant/status".to_owned());
        let rights = Rights::new(&device, true, birth, vec!["emotiond/kitchen/#".into()]);
        for (topic, right) in [
            ("emotiond/hall/pause/set", Some(Right::Command)),
            ("emotiond/hall/request/info", Some(Right::Command)),
            ("homeassistant/status", Some(Right::Publish)),
            ("emotiond/kitchen/status", Some(Right::Publish)),
            ("emotiond/hall/request/a/b", None),
            ("emotiond/hall/status", None),
            ("emotiond/hall/summary", None),
            ("emotiond/garden/pause/set", None),
            ("homeassistant/device/emotiond_hall/config", None),
            ("t/0", None),
        ] {
            assert_eq!(rights.of_client(topic), right, "{topic}");
        }
        let silent = Rights::new(&device, false, None, vec!["#".into()]);
        assert_eq!(silent.of_client("emotiond/hall/pause/set"), None);
        assert_eq!(silent.of_client("emotiond/hall/summary"), None, "even where everything is allowed");
        assert_eq!(silent.of_client("t/0"), Some(Right::Publish));
    }
}
