//! What others may ask of the daemon over MQTT: bounded in size and rate, validated, refused with a reason.

use std::sync::mpsc::TrySendError;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use emotiond_core::report::payload::{DeviceName, Message, Topic};

/// A command that came over MQTT and is valid.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum RemoteCommand {
    /// `pause/set`: `true` closes the camera, `false` opens it again. The answer is `pause/state`.
    Pause(bool),
    /// `request/<name>`: to be answered with [`Request::answer`] or [`Request::refusal`].
    Request(Request),
}

/// What can be asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Asked {
    /// The content of `info`.
    Info,
    /// A health report made now.
    Health,
    /// The window that is open, or the last one.
    Summary,
}

impl Asked {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Info, Self::Health, Self::Summary];

    /// The last level of the topic.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Health => "health",
            Self::Summary => "summary",
        }
    }
}

/// A request and the id by which its sender recognizes the answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Request {
    /// What is asked for.
    pub asked: Asked,
    /// Chosen by the sender, 1 to 64 printable ASCII characters.
    pub transaction: String,
}

#[derive(Serialize)]
struct Response<'a, T> {
    transaction: Option<&'a str>,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
}

fn response<T: Serialize>(
    name: &str,
    transaction: Option<&str>,
    outcome: Result<&T, &str>,
) -> serde_json::Result<Message> {
    let response = Response { transaction, ok: outcome.is_ok(), result: outcome.ok(), reason: outcome.err() };
    Ok(Message { topic: Topic::Response(name.to_owned()), body: serde_json::to_string(&response)? })
}

fn refusal(name: &str, transaction: Option<&str>, reason: &str) -> Message {
    response::<()>(name, transaction, Err(reason)).expect("strings can always be written as JSON")
}

impl Request {
    /// The response that carries what was asked for: `{"transaction": …, "ok": true, "result": …}`.
    ///
    /// # Errors
    /// If `result` cannot be written as JSON.
    pub fn answer<T: Serialize>(&self, result: &T) -> serde_json::Result<Message> {
        response(self.asked.name(), Some(&self.transaction), Ok(result))
    }

    /// The response that says why not: `{"transaction": …, "ok": false, "reason": …}`.
    #[must_use]
    pub fn refusal(&self, reason: &str) -> Message {
        refusal(self.asked.name(), Some(&self.transaction), reason)
    }
}

/// The body of a request. Unknown keys are refused, so that a later version can give them a meaning.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    transaction: String,
}

/// Lets through `burst` commands at once and one more every `interval`.
#[derive(Debug)]
struct Limiter {
    burst: u32,
    interval: Duration,
    tokens: u32,
    refilled: Instant,
    /// Whether a refusal has been sent since the last command that was let through.
    refused: bool,
}

impl Limiter {
    fn new(burst: u32, interval: Duration, now: Instant) -> Self {
        Self { burst, interval, tokens: burst, refilled: now, refused: false }
    }

    fn admit(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.refilled);
        let earned = u32::try_from(passed.as_nanos() / self.interval.as_nanos()).unwrap_or(u32::MAX);
        if earned > 0 {
            self.tokens = self.tokens.saturating_add(earned).min(self.burst);
            self.refilled =
                if self.tokens == self.burst { now } else { self.refilled + self.interval * earned };
        }
        if self.tokens == 0 {
            return false;
        }
        self.tokens -= 1;
        self.refused = false;
        true
    }
}

/// Takes a command for the daemon; never waits.
pub type CommandSink = Box<dyn Fn(RemoteCommand) -> Result<(), TrySendError<()>> + Send>;

/// Why a channel did not take a command, as a [`CommandSink`] says it: without the command.
#[expect(clippy::needless_pass_by_value, reason = "as `map_err` calls it")]
#[must_use]
pub fn refused<T>(error: TrySendError<T>) -> TrySendError<()> {
    match error {
        TrySendError::Full(_) => TrySendError::Full(()),
        TrySendError::Disconnected(_) => TrySendError::Disconnected(()),
    }
}

/// Takes what arrives on the command topics, hands on what is valid.
pub struct Inbox {
    pause_topic: String,
    request_prefix: String,
    limiter: Limiter,
    daemon: CommandSink,
}

impl Inbox {
    /// The largest command body in bytes.
    pub const LARGEST: usize = 1024;
    const BURST: u32 = 10;
    const INTERVAL: Duration = Duration::from_secs(1);

    /// An inbox for a device's topics that hands valid commands to `daemon`.
    #[must_use]
    pub fn new(device: &DeviceName, daemon: CommandSink, now: Instant) -> Self {
        Self {
            pause_topic: pause_topic(device),
            request_prefix: request_prefix(device),
            limiter: Limiter::new(Self::BURST, Self::INTERVAL, now),
            daemon,
        }
    }

    /// The topics to subscribe to.
    #[must_use]
    pub fn filters(&self) -> [String; 2] {
        [self.pause_topic.clone(), format!("{}+", self.request_prefix)]
    }

    /// The topics that the inbox of a device subscribes to.
    #[must_use]
    pub(super) fn filters_of(device: &DeviceName) -> [String; 2] {
        [pause_topic(device), format!("{}+", request_prefix(device))]
    }

    /// Handles one message and returns the refusal to send if it is refused. Messages on other topics are ignored.
    pub fn receive(&mut self, topic: &str, body: &[u8], retained: bool, now: Instant) -> Option<Message> {
        let name = if topic == self.pause_topic {
            "pause"
        } else {
            let name = topic.strip_prefix(&self.request_prefix)?;
            // Only names of ours go into a topic of ours.
            Asked::ALL.into_iter().map(Asked::name).find(|known| *known == name).unwrap_or("unknown")
        };
        if !self.limiter.admit(now) {
            // One refusal is enough; an answer to each would double a flood.
            let first = !std::mem::replace(&mut self.limiter.refused, true);
            return first
                .then(|| refusal(name, None, "too many commands: at most 10 at once and one a second"));
        }
        if retained {
            return Some(refusal(
                name,
                None,
                "the command was retained by the broker and may be of any age: send it without the retain flag",
            ));
        }
        if body.len() > Self::LARGEST {
            return Some(refusal(name, None, "the command is too large: at most 1024 bytes"));
        }
        let command = if name == "pause" { parse_pause(body) } else { parse_request(name, body) };
        let command = match command {
            Ok(command) => command,
            Err(reason) => return Some(refusal(name, None, &reason)),
        };
        let transaction = match &command {
            RemoteCommand::Request(request) => Some(request.transaction.clone()),
            RemoteCommand::Pause(_) => None,
        };
        match (self.daemon)(command) {
            Ok(()) => None,
            Err(TrySendError::Full(_)) => {
                Some(refusal(name, transaction.as_deref(), "busy with earlier commands: try again later"))
            }
            Err(TrySendError::Disconnected(_)) => {
                Some(refusal(name, transaction.as_deref(), "shutting down"))
            }
        }
    }
}

fn pause_topic(device: &DeviceName) -> String {
    format!("emotiond/{device}/pause/set")
}

fn request_prefix(device: &DeviceName) -> String {
    format!("emotiond/{device}/request/")
}

fn parse_pause(body: &[u8]) -> Result<RemoteCommand, String> {
    match body {
        b"ON" => Ok(RemoteCommand::Pause(true)),
        b"OFF" => Ok(RemoteCommand::Pause(false)),
        _ => Err("the body must be ON or OFF".into()),
    }
}

fn parse_request(name: &str, body: &[u8]) -> Result<RemoteCommand, String> {
    let Some(asked) = Asked::ALL.into_iter().find(|asked| asked.name() == name) else {
        let names: Vec<_> = Asked::ALL.iter().map(|asked| asked.name()).collect();
        return Err(format!("unknown request; there are {}", names.join(", ")));
    };
    let body: RequestBody = serde_json::from_slice(body)
        .map_err(|error| format!("the body must be like {{\"transaction\": \"1\"}}: {error}"))?;
    let transaction = body.transaction;
    if !(1..=64).contains(&transaction.len()) || !transaction.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err("the transaction must be 1 to 64 printable ASCII characters".into());
    }
    Ok(RemoteCommand::Request(Request { asked, transaction }))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, sync_channel};

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    /// As the daemon's loop takes commands, with room for `bound`.
    fn sink(bound: usize) -> (CommandSink, Receiver<RemoteCommand>) {
        let (sender, commands) = sync_channel(bound);
        (Box::new(move |command| sender.try_send(command).map_err(refused)), commands)
    }

    fn inbox() -> (Inbox, Receiver<RemoteCommand>, Instant) {
        let (daemon, commands) = sink(16);
        let now = Instant::now();
        (Inbox::new(&"hall".parse().unwrap(), daemon, now), commands, now)
    }

    /// What comes back on which response topic.
    fn response_of(message: Option<Message>) -> (String, Value) {
        let message = message.expect("a refusal");
        let Topic::Response(name) = message.topic else { panic!("{message:?}") };
        (name, serde_json::from_str(&message.body).unwrap())
    }

    #[test]
    fn valid_commands_reach_the_daemon() {
        let (mut inbox, commands, now) = inbox();
        assert_eq!(inbox.filters(), ["emotiond/hall/pause/set", "emotiond/hall/request/+"]);
        assert_eq!(inbox.receive("emotiond/hall/pause/set", b"ON", false, now), None);
        assert_eq!(inbox.receive("emotiond/hall/pause/set", b"OFF", false, now), None);
        assert_eq!(
            inbox.receive("emotiond/hall/request/health", br#"{"transaction":"7"}"#, false, now),
            None
        );
        let request = Request { asked: Asked::Health, transaction: "7".into() };
        let expected = [
            RemoteCommand::Pause(true),
            RemoteCommand::Pause(false),
            RemoteCommand::Request(request.clone()),
        ];
        assert_eq!(commands.try_iter().collect::<Vec<_>>(), expected);

        let answer = request.answer(&json!({"temperature": 51.2})).unwrap();
        let expected = json!({"transaction": "7", "ok": true, "result": {"temperature": 51.2}});
        assert_eq!(response_of(Some(answer)), ("health".into(), expected));
        let expected = json!({"transaction": "7", "ok": false, "reason": "not yet"});
        assert_eq!(response_of(Some(request.refusal("not yet"))), ("health".into(), expected));
    }

    #[test]
    fn invalid_commands_are_refused_with_a_reason() {
        let (mut inbox, commands, now) = inbox();
        let long = format!(r#"{{"transaction":"{}"}}"#, "x".repeat(65));
        let large = vec![b' '; Inbox::LARGEST + 1];
        for (topic, body, name, reason) in [
            ("pause/set", b"on".as_slice(), "pause", "ON or OFF"),
            ("request/info", b"", "info", "transaction"),
            ("request/info", b"{}", "info", "missing field"),
            ("request/info", br#"{"transaction":"a","x":1}"#, "info", "unknown field"),
            ("request/info", br#"{"transaction":""}"#, "info", "1 to 64"),
            ("request/info", br#"{"transaction":"a\u0000"}"#, "info", "1 to 64"),
            ("request/info", long.as_bytes(), "info", "1 to 64"),
            ("request/info", &large, "info", "too large"),
            ("request/picture", br#"{"transaction":"a"}"#, "unknown", "info, health, summary"),
        ] {
            let now = now + Duration::from_secs(60);
            inbox.limiter = Limiter::new(1, Duration::from_secs(1), now);
            let (at, response) =
                response_of(inbox.receive(&format!("emotiond/hall/{topic}"), body, false, now));
            assert_eq!(at, name);
            assert_eq!(response["ok"], false);
            assert!(response["reason"].as_str().unwrap().contains(reason), "{topic}: {response}");
        }
        assert_eq!(inbox.receive("emotiond/kitchen/pause/set", b"ON", false, now), None);
        assert!(commands.try_recv().is_err());
    }

    #[test]
    fn a_retained_command_is_refused() {
        let (mut inbox, commands, now) = inbox();
        let (_, response) = response_of(inbox.receive("emotiond/hall/pause/set", b"ON", true, now));
        assert!(response["reason"].as_str().unwrap().contains("retain"));
        assert!(commands.try_recv().is_err());
    }

    #[test]
    fn a_flood_is_cut_and_answered_once() {
        let (mut inbox, commands, now) = inbox();
        let answers =
            (0..1000).filter_map(|_| inbox.receive("emotiond/hall/pause/set", b"ON", false, now)).count();
        assert_eq!(answers, 1);
        assert_eq!(commands.try_iter().count(), 10);
        let later = now + Duration::from_millis(2500);
        let answers =
            (0..10).filter_map(|_| inbox.receive("emotiond/hall/pause/set", b"ON", false, later)).count();
        assert_eq!((answers, commands.try_iter().count()), (1, 2));
    }

    #[test]
    fn a_busy_daemon_is_not_waited_for() {
        let (daemon, commands) = sink(1);
        let now = Instant::now();
        let mut inbox = Inbox::new(&"hall".parse().unwrap(), daemon, now);
        let request = br#"{"transaction":"7"}"#;
        assert_eq!(inbox.receive("emotiond/hall/request/info", request, false, now), None);
        let (_, response) = response_of(inbox.receive("emotiond/hall/request/info", request, false, now));
        assert_eq!((&response["transaction"], response["ok"].as_bool()), (&json!("7"), Some(false)));
        drop(commands);
        let (_, response) = response_of(inbox.receive("emotiond/hall/request/info", request, false, now));
        assert_eq!(response["reason"], "shutting down");
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_every_refusal_is_json(
            topic in "emotiond/hall/(pause/set|request/[a-z+#/]{0,8})",
            body in prop::collection::vec(any::<u8>(), 0..2000),
            retained: bool,
        ) {
            let (mut inbox, _commands, now) = inbox();
            if let Some(message) = inbox.receive(&topic, &body, retained, now) {
                let response: Value = serde_json::from_str(&message.body).unwrap();
                prop_assert_eq!(&response["ok"], &json!(false));
                prop_assert!(response["reason"].is_string());
            }
        }
    }
}
