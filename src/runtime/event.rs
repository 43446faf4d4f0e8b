//! Everything that the daemon's loop is told.

use emotiond_core::Moment;

use crate::capture::SourceError;
use crate::publish::mqtt::inbox::RemoteCommand;
use crate::vision::Outcome;

/// Everything that the daemon's loop is told.
#[derive(Debug)]
pub enum Event {
    /// Vision has something to publish.
    Outcome(Outcome),
    /// The source is over, for good or for bad; its last window has been sent before this.
    SourceEnded(Result<(), SourceError>),
    /// Vision has stopped on request, its last window ended then and has been sent before this.
    Stopped(Moment),
    /// A network could not be run.
    InferenceFailed(anyhow::Error),
    /// Somebody asks for something over MQTT.
    Command(RemoteCommand),
    /// A signal of the operating system.
    Signal(i32),
}
