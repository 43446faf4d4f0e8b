//! What a broker, or somebody on it, does not let us listen to.

use rumqttc::{ConnectionError, StateError};

use super::diagnosis::ConnectFailure;

/// What a session does not subscribe to, because the one before ended over it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Refused {
    /// Home Assistant's topics.
    pub home_assistant: bool,
    /// Commands.
    pub commands: bool,
}

impl Refused {
    /// What the next session does without, after one that ended like this; `answered` says whether the broker had answered
    /// all subscriptions. One that closes the connection instead, for want of rights, is taken for one that does so again,
    /// and a message that is too large to be read may be retained and come again.
    pub fn after(self, failure: &ConnectFailure, established: bool, answered: bool) -> Self {
        let ConnectFailure::Connection { error, .. } = failure else { return self };
        let too_large = matches!(
            &**error,
            ConnectionError::MqttState(StateError::Deserialization(
                rumqttc::Error::PayloadSizeLimitExceeded(_)
            ))
        );
        if !established {
            return self; // Nothing has been learned.
        }
        match (too_large, answered) {
            (true, _) => Self { home_assistant: true, commands: self.home_assistant },
            (false, false) => Self { home_assistant: !self.home_assistant, ..self },
            (false, true) => Self::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ended(error: ConnectionError) -> ConnectFailure {
        ConnectFailure::Connection { error: error.into(), established: true }
    }

    #[test]
    fn what_ends_a_session_is_not_asked_for_in_the_next() {
        let none = Refused::default();
        let closed = ended(ConnectionError::MqttState(StateError::ConnectionAborted));
        let giant = ended(ConnectionError::MqttState(StateError::Deserialization(
            rumqttc::Error::PayloadSizeLimitExceeded(3 << 20),
        )));
        // A broker that is restarted is no broker that refuses.
        assert_eq!(none.after(&closed, true, true), none);
        assert_eq!(none.after(&closed, false, false), none);
        let without = Refused { home_assistant: true, commands: false };
        assert_eq!(none.after(&closed, true, false), without);
        assert_eq!(without.after(&closed, false, true), without);
        assert_eq!(without.after(&closed, true, true), none);
        assert_eq!(none.after(&giant, true, true), without);
        assert_eq!(without.after(&giant, true, true), Refused { home_assistant: true, commands: true });
    }
}
