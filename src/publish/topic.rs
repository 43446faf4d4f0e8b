//! Topics as paths on the broker.

use crate::payload::Topic;
use crate::publish::settings::DeviceName;

impl Topic {
    /// The full topic, `emotiond/<device>/…`.
    #[must_use]
    pub fn path(&self, device: &DeviceName) -> String {
        let rest = match self {
            Self::Status => "status",
            Self::Info => "info",
            Self::Summary => "summary",
            Self::Event(name) => return format!("emotiond/{device}/event/{name}"),
            Self::Health => "health",
            Self::PauseState => "pause/state",
            Self::Response(name) => return format!("emotiond/{device}/response/{name}"),
        };
        format!("emotiond/{device}/{rest}")
    }

    /// Whether the broker keeps the last message for those who subscribe later. True for states only: a summary or an
    /// event that is repeated to a late subscriber would look like news.
    #[must_use]
    pub fn retained(&self) -> bool {
        matches!(self, Self::Status | Self::Info | Self::PauseState)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_are_retained_and_happenings_are_not() {
        let device: DeviceName = "hall".parse().unwrap();
        let cases = [
            (Topic::Status, "emotiond/hall/status", true),
            (Topic::Info, "emotiond/hall/info", true),
            (Topic::PauseState, "emotiond/hall/pause/state", true),
            (Topic::Summary, "emotiond/hall/summary", false),
            (Topic::Health, "emotiond/hall/health", false),
            (Topic::Event("smile".into()), "emotiond/hall/event/smile", false),
            (Topic::Response("info".into()), "emotiond/hall/response/info", false),
        ];
        for (topic, path, retained) in cases {
            assert_eq!(topic.path(&device), path);
            assert_eq!(topic.retained(), retained, "{path}");
        }
    }
}
