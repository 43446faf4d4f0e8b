//! Where messages go: an MQTT broker or standard output.

use crate::payload::Message;

/// A destination of messages.
pub trait Publisher: Send {
    /// Hands a message over. Never blocks on the network: what cannot be sent now is queued within a bound, and what
    /// the bound drops is counted.
    ///
    /// # Errors
    /// If the destination is closed for good (standard output's reader has gone).
    fn publish(&mut self, message: Message) -> anyhow::Result<()>;

    /// Waits until everything handed over has been delivered, or until `within` has passed. Gives the number of
    /// messages left undelivered.
    ///
    /// # Errors
    /// If the destination is closed for good.
    fn flush(&mut self, within: std::time::Duration) -> anyhow::Result<usize>;
}
