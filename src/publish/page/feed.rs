//! What is sent to a browser: the messages as they were published, and to one that has just come, what it has missed.

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use emotiond_core::report::payload::{Message, Topic};
use serde::Serialize;
use serde_json::Value;

use super::history::{History, PointPayload};
use crate::publish::http::Chunk;

/// Events that are shown to somebody who has just come.
const EVENTS: usize = 20;
/// What a browser waits for before it comes back after a lost connection, milliseconds.
const RETRY: u32 = 3000;

/// What has been said so far.
#[derive(Debug, Default)]
pub(super) struct Feed {
    /// The last message by its topic.
    last: BTreeMap<String, String>,
    events: VecDeque<String>,
    history: History,
}

/// The message `history` of the stream.
#[derive(Debug, Serialize)]
struct HistoryPayload {
    points: Vec<PointPayload>,
    events: Vec<Value>,
}

impl Feed {
    /// Takes a message; gives what streams are sent of it.
    pub fn message(&mut self, message: &Message) -> Option<Chunk> {
        let name = message.topic.name().into_owned();
        match &message.topic {
            Topic::Response(_) | Topic::Status => return None,
            Topic::Event(_) => {
                self.events.push_back(message.body.clone());
                if self.events.len() > EVENTS {
                    self.events.pop_front();
                }
            }
            // A trigger that is one no more.
            Topic::TriggerState(_) if message.body.is_empty() => {
                self.last.remove(&name);
                return None;
            }
            Topic::Summary => {
                let summary = serde_json::from_str(&message.body).unwrap_or_default();
                self.history.add(&summary, Instant::now());
                self.last.insert(name.clone(), message.body.clone());
            }
            Topic::Info | Topic::Health | Topic::PauseState | Topic::CameraState | Topic::TriggerState(_) => {
                self.last.insert(name.clone(), message.body.clone());
            }
        }
        Some(event(&name, &message.body))
    }

    /// Takes whether there is a connection to the broker.
    pub fn broker(&mut self, connected: bool) -> Chunk {
        let body = if connected { "ON" } else { "OFF" };
        self.last.insert("broker/state".to_owned(), body.to_owned());
        event("broker/state", body)
    }

    /// What somebody who has just come is sent: the last message of each topic but events, which would look new, and
    /// the last hour.
    pub fn so_far(&self) -> Vec<Chunk> {
        let first = Chunk::from(format!("retry: {RETRY}\n\n").into_bytes());
        let history = HistoryPayload {
            points: self.history.points(Instant::now()),
            events: self.events.iter().filter_map(|body| serde_json::from_str(body).ok()).collect(),
        };
        let history = serde_json::to_string(&history).expect("it holds strings and finite numbers only");
        let last = self.last.iter().map(|(name, body)| event(name, body));
        std::iter::once(first).chain(last).chain([event("history", &history)]).collect()
    }
}

/// One server-sent event. Both are one line: names of topics hold no line break, and JSON escapes them.
fn event(name: &str, body: &str) -> Chunk {
    format!("event: {name}\ndata: {body}\n\n").into_bytes().into()
}
