//! Messages on the command topics: each is handed on or refused once, in JSON, on a topic of ours, and at a bounded rate.
#![no_main]

use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use emotiond_core::report::payload::Topic;
use emotiond::publish::mqtt::inbox::{Inbox, refused};
use libfuzzer_sys::{arbitrary, fuzz_target};

#[derive(arbitrary::Arbitrary, Debug)]
struct Incoming<'a> {
    topic: &'a str,
    /// Whether the topic is one of the device's own.
    ours: bool,
    body: &'a [u8],
    retained: bool,
    after_ms: u16,
}

fuzz_target!(|messages: Vec<Incoming>| {
    let (daemon, commands) = sync_channel(4);
    let begun = Instant::now();
    let mut now = begun;
    let sink = Box::new(move |command| daemon.try_send(command).map_err(refused));
    let mut inbox = Inbox::new(&"hall".parse().expect("a device name"), sink, now);
    let mut admitted = 0;
    for message in messages {
        now += Duration::from_millis(message.after_ms.into());
        let topic =
            if message.ours { format!("emotiond/hall/{}", message.topic) } else { message.topic.to_owned() };
        if let Some(refusal) = inbox.receive(&topic, message.body, message.retained, now) {
            let Topic::Response(name) = &refusal.topic else { panic!("refused on {:?}", refusal.topic) };
            assert!(["pause", "info", "health", "summary", "unknown"].contains(&name.as_str()));
            let answer: serde_json::Value = serde_json::from_str(&refusal.body).expect("a refusal in JSON");
            assert_eq!(answer["ok"], false);
            assert!(refusal.body.len() < 4096);
        }
        admitted += commands.try_iter().count() as u64;
    }
    assert!(admitted <= 10 + (now - begun).as_secs(), "{admitted} commands in {:?}", now - begun);
});
