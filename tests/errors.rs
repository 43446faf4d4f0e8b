//! What errors look like in a log line: the message and all that lies behind it, nothing twice.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::io;
use std::path::Path;

use emotiond::capture::SourceError;
use emotiond::config::{Overrides, Settings};
use emotiond::exit::{Code, Failure};
use emotiond::inference::manifest::Manifest;
use emotiond::publish::settings::{Broker, Password};

/// One error of each kind that wraps another, as the daemon meets it.
fn errors() -> Vec<anyhow::Error> {
    let absent = Path::new("/nonexistent/file");
    let configuration = |mqtt: &str| {
        let text = format!("site = \"home\"\n[mqtt]\n{mqtt}");
        Settings::parse(&text, Path::new("emotiond.toml"), &Overrides::default()).unwrap_err()
    };
    let unreadable = SourceError::Io { what: "/dev/video0".into(), error: io::ErrorKind::Unsupported.into() };
    vec![
        unreadable.into(),
        Manifest::read(absent).unwrap_err().into(),
        Settings::load(Some(absent), &Overrides::default()).unwrap_err().into(),
        configuration("url = \"mqtt://broker.lan:99999\"").into(),
        configuration("username = \"a\"\npassword_file = \"/nonexistent/file\"").into(),
        configuration("url = \"embedded\"\nlisten = \"nowhere\"").into(),
        "mqtt://broker.lan:99999".parse::<Broker>().unwrap_err().into(),
        Password::read(absent).unwrap_err(),
        Failure { code: Code::Config, error: Password::read(absent).unwrap_err() }.into(),
    ]
}

#[test]
fn no_message_repeats_its_cause() {
    for error in errors() {
        let whole = format!("{error:#}");
        for cause in error.chain().skip(1).map(ToString::to_string) {
            assert_eq!(whole.matches(&cause).count(), 1, "{cause:?} is printed more than once in {whole:?}");
        }
        let system = "No such file or directory";
        assert!(whole.matches(system).count() <= 1, "{whole}");
    }
}
