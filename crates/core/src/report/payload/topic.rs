//! Topics as paths on the broker.

use alloc::borrow::{Cow, ToOwned as _};
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::str::FromStr;

use super::Topic;

/// The name of a device: 1 to 64 letters, digits, `_`, `-` and `.`, so that it can stand in a topic and in a client id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DeviceName(String);

/// A text that cannot name a device.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidDeviceName(String);

impl fmt::Display for InvalidDeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:?} cannot be the name of a device: use 1 to 64 letters, digits, \"_\", \"-\" and \".\", because the name \
             is part of every topic",
            self.0
        )
    }
}

impl core::error::Error for InvalidDeviceName {}

impl FromStr for DeviceName {
    type Err = InvalidDeviceName;

    fn from_str(name: &str) -> Result<Self, InvalidDeviceName> {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        if (1..=64).contains(&name.len()) && name.chars().all(good) {
            Ok(Self(name.to_owned()))
        } else {
            Err(InvalidDeviceName(name.to_owned()))
        }
    }
}

impl fmt::Display for DeviceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Topic {
    /// The full topic, `emotiond/<device>/…`.
    #[must_use]
    pub fn path(&self, device: &DeviceName) -> String {
        format!("emotiond/{device}/{}", self.name())
    }

    /// The topic below `emotiond/<device>/`.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        let name = match self {
            Self::Status => "status",
            Self::Info => "info",
            Self::Summary => "summary",
            Self::Event(name) => return format!("event/{name}").into(),
            Self::Health => "health",
            Self::PauseState => "pause/state",
            Self::CameraState => "camera/state",
            Self::TriggerState(name) => return format!("trigger/{name}/state").into(),
            Self::Response(name) => return format!("response/{name}").into(),
        };
        name.into()
    }

    /// Whether the broker keeps the last message for those who subscribe later. True for states only: a summary or an
    /// event that is repeated to a late subscriber would look new.
    #[must_use]
    pub fn retained(&self) -> bool {
        matches!(
            self,
            Self::Status | Self::Info | Self::PauseState | Self::CameraState | Self::TriggerState(_)
        )
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
            (Topic::CameraState, "emotiond/hall/camera/state", true),
            (Topic::TriggerState("smile".into()), "emotiond/hall/trigger/smile/state", true),
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
