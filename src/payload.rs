//! The wire format: topics and versioned JSON.

/// A topic below `emotiond/<device>/`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Topic {
    /// `status`, retained, `online` or `offline`.
    Status,
    /// `info`, retained.
    Info,
    /// `summary`.
    Summary,
    /// `event/<trigger>`.
    Event(String),
    /// `health`.
    Health,
    /// `pause/state`, retained, `ON` or `OFF`.
    PauseState,
    /// `response/<request>`.
    Response(String),
}

/// A message ready to be sent: numbers and names only, by construction of the types that make it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Message {
    /// Where it goes.
    pub topic: Topic,
    /// What it says: JSON, or a bare word for `status` and `pause/state`.
    pub body: String,
}
