//! What has been refused, in the log: each reason at once, and then once a minute with the number of times.

use std::time::{Duration, Instant};

/// How often the log repeats a reason.
const INTERVAL: Duration = Duration::from_secs(60);
/// The most characters of a client's text that are shown.
const SHOWN: usize = 64;

/// Why a client, or something that it sent, has been refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reason {
    Full,
    Pending,
    Credentials,
    ClientId,
    Packet,
    Topic,
    Subscriptions,
    Retained,
    Slow,
    Stalled,
    MadeRoom,
}

#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// When each reason was logged last, and how often it came since.
    logged: Vec<(Reason, Instant, u64)>,
}

impl Refusals {
    /// Logs a refusal, or counts it. `what` is made only for the log.
    pub fn refuse(&mut self, reason: Reason, now: Instant, what: impl FnOnce() -> String) {
        match self.logged.iter_mut().find(|(known, ..)| *known == reason) {
            None => {
                self.logged.push((reason, now, 0));
                let what = what();
                log::warn!("embedded broker: {what}");
            }
            Some((_, at, count)) if now.duration_since(*at) >= INTERVAL => {
                let before = std::mem::take(count);
                *at = now;
                let more = if before > 0 {
                    format!("; {before} more like it since the last such line")
                } else {
                    String::new()
                };
                let what = what();
                log::warn!("embedded broker: {what}{more}");
            }
            Some((_, _, count)) => *count += 1,
        }
    }
}

/// A client's text, quoted, without control characters and not too long.
pub(super) fn shown(text: &str) -> String {
    let mut cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    format!("{cut:?}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_logged_once_a_minute() {
        let mut refusals = Refusals::default();
        let begin = Instant::now();
        let mut lines = 0;
        for second in 0..130 {
            for _ in 0..1000 {
                refusals.refuse(Reason::Topic, begin + Duration::from_secs(second), || {
                    lines += 1;
                    String::new()
                });
            }
        }
        assert_eq!(lines, 3);
    }

    #[test]
    fn what_clients_sent_is_shown_harmless() {
        assert_eq!(shown("a\u{1b}[2Jb"), "\"a\\u{1b}[2Jb\"");
        assert!(shown(&"é".repeat(5000)).len() < 150);
    }
}
