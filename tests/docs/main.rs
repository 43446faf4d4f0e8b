//! The documentation says what the program does: its tables are compared with the types, its links are followed.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod commands;
mod configuration;
mod links;
mod markdown;
mod messages;
