//! Parts that several test programs share.

#![allow(dead_code, reason = "every test program uses some of it")]

pub mod certificates;
pub mod daemon;
pub mod gate;
pub mod hostile;
pub mod log;
pub mod mosquitto;
pub mod namespace;
pub mod page;
pub mod preload;
pub mod subscriber;
pub mod windows;

use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

use emotiond::publish::mqtt::inbox::{CommandSink, RemoteCommand, refused};

/// The longest a test waits for something that has to happen: far beyond what it takes, because a loaded machine must
/// not fail a test.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// As the daemon's loop takes commands, with room for so many.
pub fn command_sink(room: usize) -> (CommandSink, Receiver<RemoteCommand>) {
    let (sender, commands) = sync_channel(room);
    (Box::new(move |command| sender.try_send(command).map_err(refused)), commands)
}
