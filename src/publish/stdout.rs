//! Summaries as JSON lines, for pipes and for looking at.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context;

use crate::publish::{Counters, Publisher};
use emotiond_core::report::payload::{Message, Topic};

/// The reader of our output has gone: not a failure, but the end of the run.
#[derive(Debug, thiserror::Error)]
#[error("the reader of standard output has gone")]
pub struct ReaderGone;

/// Writes summaries, and only those, one to a line: a reader (`jq`, a script) can rely on every line being
/// one. Everything else is left to MQTT and to the log on standard error.
#[derive(Debug)]
pub struct LinePublisher<W> {
    out: W,
    written: u64,
    gone: bool,
}

impl LinePublisher<io::Stdout> {
    /// Writes to standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(io::stdout())
    }
}

impl<W: Write> LinePublisher<W> {
    /// Writes to `out`.
    pub fn new(out: W) -> Self {
        Self { out, written: 0, gone: false }
    }

    fn line(&mut self, body: &str) -> io::Result<()> {
        debug_assert!(!body.contains('\n'), "a summary is one line");
        self.out.write_all(body.as_bytes())?;
        self.out.write_all(b"\n")?;
        // Each window at once: the reader at the other end of a pipe waits for this one.
        self.out.flush()
    }
}

impl<W: Write + Send> Publisher for LinePublisher<W> {
    /// # Errors
    /// [`ReaderGone`] once the pipe is closed; any other error of the output as it is.
    fn publish(&mut self, message: Message) -> anyhow::Result<()> {
        if message.topic != Topic::Summary {
            return Ok(());
        }
        if self.gone {
            return Err(ReaderGone.into());
        }
        match self.line(&message.body) {
            Ok(()) => {
                self.written += 1;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.gone = true;
                Err(ReaderGone.into())
            }
            Err(error) => Err(error).context("failed to write a summary to standard output"),
        }
    }

    fn flush(&mut self, _within: Duration) -> anyhow::Result<usize> {
        Ok(0)
    }

    fn counters(&self) -> Counters {
        Counters { delivered: self.written, connected: !self.gone, connections: 1, ..Counters::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(body: &str) -> Message {
        Message { topic: Topic::Summary, body: body.into() }
    }

    #[test]
    fn writes_summaries_only_one_to_a_line() {
        let mut publisher = LinePublisher::new(Vec::new());
        publisher.publish(Message { topic: Topic::Info, body: "{}".into() }).unwrap();
        publisher.publish(summary(r#"{"sequence":1}"#)).unwrap();
        publisher.publish(Message { topic: Topic::Event("smile".into()), body: "{}".into() }).unwrap();
        publisher.publish(summary(r#"{"sequence":2}"#)).unwrap();
        assert_eq!(publisher.close(Duration::ZERO).unwrap(), 0);
        assert_eq!(publisher.counters().delivered, 2);
        assert_eq!(publisher.out, b"{\"sequence\":1}\n{\"sequence\":2}\n");
    }

    #[test]
    fn a_line_is_out_as_soon_as_it_is_published() {
        let (mut reader, writer) = std::io::pipe().unwrap();
        let mut publisher = LinePublisher::new(io::BufWriter::new(writer));
        publisher.publish(summary("{}")).unwrap();
        let mut line = [0; 3];
        io::Read::read_exact(&mut reader, &mut line).unwrap();
        assert_eq!(&line, b"{}\n");
    }

    #[test]
    fn a_closed_pipe_is_not_taken_for_a_failure() {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut publisher = LinePublisher::new(writer);
        for _ in 0..2 {
            let error = publisher.publish(summary("{}")).unwrap_err();
            assert!(error.is::<ReaderGone>(), "{error:#}");
        }
        assert!(!publisher.counters().connected);

        let mut publisher =
            LinePublisher::new(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
        let error = publisher.publish(summary("{}")).unwrap_err();
        assert!(!error.is::<ReaderGone>(), "{error:#}");
    }
}
