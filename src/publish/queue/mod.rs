//! What is kept of undelivered messages: in memory, on disk.

pub(in crate::publish) mod disk_worker;
pub(in crate::publish) mod durable;
pub(in crate::publish) mod outbox;
pub(in crate::publish) mod store;
