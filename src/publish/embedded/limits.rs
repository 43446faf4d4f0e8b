//! What bounds the broker's memory, whatever its clients do.
//!
//! All of it together is less than 20 MiB: 64 sessions with 128 KiB of messages, 32 KiB of a packet being read, 24 KiB of
//! output and 16 KiB of filters each; 2 MiB of retained messages; 32 connections that have not said who they are, with
//! 8 KiB each. What the daemon itself publishes comes on top: a few retained messages of about 10 KiB.

use std::time::Duration;

/// Clients besides the daemon.
pub(super) const SESSIONS: usize = 64;
/// Of these from one address (IPv6: from one network of 64 bits).
pub(super) const SESSIONS_OF_ONE_ADDRESS: usize = 48;
/// Connections that have not been accepted as a client yet. One more closes the oldest of the address that has most.
pub(super) const PENDING: usize = 32;
/// How long a connection may take to say who it is.
pub(super) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// The answer to a wrong password is held back for so long, during which it is one of [`PENDING`].
pub(super) const WRONG_PASSWORD_DELAY: Duration = Duration::from_millis(500);

/// The largest CONNECT in bytes, its last will included.
pub(super) const LARGEST_CONNECT: usize = 8 * 1024;
/// The largest other packet of a client. The daemon reads no message beyond 1 MiB.
pub(super) const LARGEST_PACKET: usize = 32 * 1024;
/// The largest packet of the daemon.
pub(super) const LARGEST_OWN_PACKET: usize = 257 * 1024 + super::topic::LONGEST;
/// The longest client id in bytes.
pub(super) const LONGEST_CLIENT_ID: usize = 128;

/// Packets that a client may send at once, and after that in a second. Beyond it, the broker reads more slowly.
pub(super) const PACKETS_AT_ONCE: u32 = 400;
pub(super) const PACKETS_A_SECOND: u32 = 100;

/// Subscriptions of one client, and the bytes of their filters.
pub(super) const SUBSCRIPTIONS: usize = 256;
pub(super) const SUBSCRIPTION_BYTES: usize = 16 * 1024;
/// What is kept for a client that reads slowly, in messages and in bytes; the oldest go. One message always has room.
pub(super) const QUEUE: usize = 512;
pub(super) const QUEUE_BYTES: usize = 128 * 1024;
/// Messages at QoS 1 that a client has not acknowledged; before it does, it gets no more.
pub(super) const INFLIGHT: usize = 32;
/// Output beyond this size is filled up only when some of it has been written, and no packet is read meanwhile.
pub(super) const OUTPUT: usize = 8 * 1024;
/// A client for which something waits, and which takes nothing of it for so long, is disconnected.
pub(super) const STALLED: Duration = Duration::from_secs(30);
/// A client that has sent no packet for so long is disconnected, whatever keep-alive it asks for.
pub(super) const LONGEST_SILENCE: Duration = Duration::from_secs(30 * 60);

/// Retained messages of clients, and their bytes. Those of the daemon are not counted.
pub(super) const RETAINED: usize = 1000;
pub(super) const RETAINED_BYTES: usize = 2 * 1024 * 1024;
/// What a kept message takes besides its topic and its payload, roughly.
pub(super) const MESSAGE_OVERHEAD: usize = 128;
