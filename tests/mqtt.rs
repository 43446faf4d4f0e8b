//! The MQTT publisher against a real Mosquitto, and the embedded broker against real clients.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::collections::BTreeSet;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use emotiond::publish::Publisher;
use emotiond::publish::home_assistant::{Announced, discovery};
use emotiond::publish::mqtt::inbox::{Asked, RemoteCommand};
use emotiond::publish::mqtt::{Announcement, MqttPublisher};
use emotiond::publish::settings::{Broker, Credentials, MqttSettings, Password};
use emotiond_core::report::expression::Expression;
use emotiond_core::report::payload::{Message, Topic};
use rumqttc::QoS;
use serde_json::{Value, json};

use support::PATIENCE;
use support::gate::Gate;
use support::log;
use support::mosquitto::{Mosquitto, Options, free_port};
use support::subscriber::{Received, Subscriber};

/// Settings for a broker with short waits between attempts to connect.
fn settings(url: &str) -> MqttSettings {
    let mut settings = MqttSettings::new(url.parse().unwrap(), "hall".parse().unwrap());
    settings.retry = (Duration::from_millis(50), Duration::from_millis(200));
    settings
}

fn start(settings: MqttSettings) -> (MqttPublisher, Receiver<RemoteCommand>) {
    announcing(settings, Announcement { status: true, ..Announcement::default() })
}

fn announcing(
    settings: MqttSettings,
    announcement: Announcement,
) -> (MqttPublisher, Receiver<RemoteCommand>) {
    let (sink, commands) = support::command_sink(16);
    (MqttPublisher::start(settings, announcement, sink).unwrap(), commands)
}

#[expect(clippy::needless_pass_by_value, reason = "numbers and literals read best by value")]
fn message(topic: Topic, body: impl ToString) -> Message {
    Message { topic, body: body.to_string() }
}

/// The bodies received as summaries, in order.
fn summaries(received: &[Received]) -> Vec<u32> {
    received.iter().filter(|m| m.topic == "emotiond/hall/summary").map(|m| m.body.parse().unwrap()).collect()
}

/// The same without what was sent again after a broken connection.
fn first_of_each(numbers: &[u32]) -> Vec<u32> {
    let mut seen = BTreeSet::new();
    numbers.iter().copied().filter(|number| seen.insert(*number)).collect()
}

#[test]
fn states_are_retained_and_the_rest_is_not() {
    let broker = Mosquitto::start();
    let (mut publisher, _commands) = start(settings(&broker.url()));
    publisher.publish(message(Topic::Info, r#"{"version":"1"}"#)).unwrap();
    publisher.publish(message(Topic::PauseState, "OFF")).unwrap();
    publisher.publish(message(Topic::Summary, 1)).unwrap();
    publisher.publish(message(Topic::Event("smile".into()), "{}")).unwrap();
    publisher.publish(message(Topic::Health, "{}")).unwrap();
    assert!(publisher.wait_connected(PATIENCE));
    assert_eq!(publisher.flush(PATIENCE).unwrap(), 0);

    let late = Subscriber::new(broker.port(), "emotiond/#");
    let seen = late.until("three states", |received| (received.len() >= 3).then(|| received.to_vec()));
    let mut states: Vec<_> = seen.iter().map(|m| (&*m.topic, &*m.body, m.retained)).collect();
    states.sort_unstable();
    let expected = [
        ("emotiond/hall/info", r#"{"version":"1"}"#, true),
        ("emotiond/hall/pause/state", "OFF", true),
        ("emotiond/hall/status", "online", true),
    ];
    assert_eq!(states, expected);

    assert_eq!(publisher.close(PATIENCE).unwrap(), 0);
    late.message("emotiond/hall/status", |body| body == "offline");
    assert_eq!(publisher.counters().delivered, 7, "{:?}", publisher.counters());
    assert!(publisher.publish(message(Topic::Summary, 2)).is_err());
    // The broker received DISCONNECT: the `offline` was published, and was not the will.
    broker.wait_log("Received DISCONNECT from emotiond-hall");
}

#[test]
fn a_connection_that_breaks_makes_the_broker_publish_the_will() {
    let broker = Mosquitto::start();
    let watcher = Subscriber::new(broker.port(), "emotiond/#");
    let (publisher, _commands) = start(settings(&broker.url()));
    watcher.message("emotiond/hall/status", |body| body == "online");
    drop(publisher); // without close(): as a killed process leaves it
    watcher.message("emotiond/hall/status", |body| body == "offline");
    let late = Subscriber::new(broker.port(), "emotiond/hall/status");
    assert!(late.message("emotiond/hall/status", |body| body == "offline").retained);
}

#[test]
fn every_summary_survives_a_broker_killed_under_load() {
    log::capture();
    let mut broker = Mosquitto::start();
    // At QoS 0, Mosquitto writes a message to the subscriber's socket before it acknowledges it to the publisher: what
    // was acknowledged, the subscriber gets, however the broker ends.
    let watcher = Subscriber::with(broker.port(), "emotiond/#", QoS::AtMostOnce, |_| {});
    // The broker forgets its subscribers when it is killed: the gate keeps the publisher out until they are back.
    let gate = Gate::new(broker.port());
    let (mut publisher, _commands) = start(settings(&format!("mqtt://127.0.0.1:{}", gate.port())));
    let mut next = 0;
    for round in 0..3 {
        watcher.wait_subscribed(1 + round);
        gate.set_open(true);
        // The kill falls among messages under way, and others follow while there is no broker.
        for _ in 0..200 {
            publisher.publish(message(Topic::Summary, next)).unwrap();
            next += 1;
        }
        let begun = next - 200;
        watcher
            .until("the first of the round", |received| summaries(received).contains(&begun).then_some(()));
        gate.set_open(false);
        broker.kill();
        for _ in 0..200 {
            publisher.publish(message(Topic::Summary, next)).unwrap();
            next += 1;
        }
        broker.restart();
    }
    watcher.wait_subscribed(4);
    watcher.message("emotiond/hall/status", |_| true);
    gate.set_open(true);
    assert_eq!(publisher.flush(PATIENCE).unwrap(), 0);
    let all = watcher.until("the last", |received| {
        let numbers = summaries(received);
        numbers.contains(&(next - 1)).then_some(numbers)
    });
    assert_eq!(first_of_each(&all), (0..next).collect::<Vec<_>>());
    let doubles = all.len() - first_of_each(&all).len();
    assert!(doubles <= 3 * 20, "{doubles} doubles over 3 reconnections with at most 20 messages under way");
    let counters = publisher.counters();
    assert_eq!((counters.waiting, counters.dropped.total(), counters.connections), (0, 0, 4));
    log::line(&["connected to", &gate.port().to_string(), "again"]);
    // Announced again at every connection.
    let online =
        watcher.take().iter().filter(|m| m.topic == "emotiond/hall/status" && m.body == "online").count();
    assert_eq!(online, 4);
}

#[test]
fn says_who_was_refused() {
    log::capture();
    let broker = Mosquitto::start_with(&Options { user: Some(("porter", "right")), ..Options::default() });
    let port = broker.port().to_string();
    let mut wrong = settings(&broker.url());
    wrong.credentials =
        Some(Credentials { username: "porter".into(), password: Password::new("hunter2-wrong".into()) });
    let (publisher, _commands) = start(wrong.clone());
    let line = log::line(&["ERROR", &port]);
    assert!(line.contains("refuses the user name \"porter\"") && line.contains("password_file"), "{line}");
    drop(publisher);

    let mut right = wrong;
    right.credentials =
        Some(Credentials { username: "porter".into(), password: Password::new("right".into()) });
    let (mut publisher, _commands) = start(right);
    assert!(publisher.wait_connected(PATIENCE), "{}", broker.log());
    publisher.close(PATIENCE).unwrap();

    let (_publisher, _commands) = start(settings(&broker.url()));
    log::line(&["ERROR", &port, "asks for a user name", "set username"]);
    // At no level and in no crate has a password been written.
    let leaks: Vec<_> = log::lines().into_iter().filter(|line| line.contains("hunter2")).collect();
    assert_eq!(leaks, [""; 0]);
}

#[test]
fn a_broker_that_is_not_there_is_named_once_and_found_later() {
    log::capture();
    let mut broker = Mosquitto::start();
    let port = broker.port().to_string();
    broker.kill();
    let (mut publisher, _commands) = start(settings(&broker.url()));
    publisher.publish(message(Topic::Summary, 1)).unwrap();
    let line = log::line(&["ERROR", &port]);
    assert!(line.contains("connection refused") && line.contains("check that the broker runs"), "{line}");
    // Several attempts later, it has still been said once.
    log::line(&["DEBUG", &port, "still no connection"]);
    assert_eq!(log::lines().iter().filter(|line| line.contains("ERROR") && line.contains(&port)).count(), 1);
    broker.restart();
    assert!(publisher.wait_connected(PATIENCE));
    assert_eq!(publisher.flush(PATIENCE).unwrap(), 0);
    log::line(&["INFO", &port, "connected to", "after"]);
    assert_eq!(publisher.counters().delivered, 2); // status and the summary
}

#[test]
fn a_host_that_does_not_exist_is_named() {
    log::capture();
    let (mut publisher, _commands) = start(settings("mqtt://no-such-host.invalid:1"));
    let line = log::line(&["ERROR", "no-such-host.invalid"]);
    assert!(line.contains("not found") && line.contains("check the broker's name"), "{line}");
    publisher.publish(message(Topic::Summary, 1)).unwrap();
    assert_eq!(publisher.close(Duration::from_secs(2)).unwrap(), 1);
}

#[test]
fn commands_reach_the_daemon_and_bad_ones_are_answered() {
    let broker = Mosquitto::start();
    let (mut publisher, commands) = start(settings(&broker.url()));
    let user = Subscriber::new(broker.port(), "emotiond/hall/response/#");
    assert!(publisher.wait_connected(PATIENCE));
    assert_eq!(publisher.flush(PATIENCE).unwrap(), 0); // acknowledged after the subscription, which came first
    user.say("emotiond/hall/pause/set", false, "ON");
    assert_eq!(commands.recv_timeout(PATIENCE), Ok(RemoteCommand::Pause(true)));
    user.say("emotiond/hall/request/info", false, r#"{"transaction":"42"}"#);
    let Ok(RemoteCommand::Request(request)) = commands.recv_timeout(PATIENCE) else { panic!("no request") };
    assert_eq!((request.asked, &*request.transaction), (Asked::Info, "42"));
    publisher.publish(request.answer(&json!({"version": "1"})).unwrap()).unwrap();
    let answer = user.message("emotiond/hall/response/info", |_| true);
    assert!(!answer.retained);
    let expected = json!({"transaction": "42", "ok": true, "result": {"version": "1"}});
    assert_eq!(serde_json::from_str::<Value>(&answer.body).unwrap(), expected);

    user.say("emotiond/hall/request/picture", false, r#"{"transaction":"43"}"#);
    user.message("emotiond/hall/response/unknown", |body| body.contains("info, health, summary"));
    user.say("emotiond/hall/pause/set", false, &"x".repeat(2000));
    user.message("emotiond/hall/response/pause", |body| body.contains("too large"));
    user.say("emotiond/hall/pause/set", true, "OFF");
    assert_eq!(commands.recv_timeout(PATIENCE), Ok(RemoteCommand::Pause(false)));
    // A retained command was carried out when it was sent, and is refused when it comes again.
    drop(publisher);
    let (publisher, commands) = start(settings(&broker.url()));
    user.message("emotiond/hall/response/pause", |body| body.contains("retain"));
    assert!(commands.try_recv().is_err());
    drop(publisher);
}

#[test]
fn commands_can_be_turned_off() {
    let broker = Mosquitto::start();
    let (mut publisher, commands) = start(MqttSettings { commands: false, ..settings(&broker.url()) });
    let user = Subscriber::new(broker.port(), "emotiond/#");
    assert!(publisher.wait_connected(PATIENCE));
    publisher.flush(PATIENCE).unwrap();
    user.say("emotiond/hall/pause/set", false, "ON");
    user.message("emotiond/hall/pause/set", |body| body == "ON");
    assert_eq!(publisher.close(PATIENCE).unwrap(), 0);
    assert!(commands.try_recv().is_err());
    assert!(!broker.log().contains("emotiond-hall 1 emotiond/hall/pause/set"), "{}", broker.log());
}

#[test]
fn discovery_is_sent_at_every_connection_and_at_home_assistants_birth() {
    let mut broker = Mosquitto::start();
    let settings = settings(&broker.url());
    let announced = Announced {
        prefix: "homeassistant",
        device: &settings.device,
        id: &settings.device,
        window: Duration::from_secs(10),
        health_interval: Duration::from_secs(60),
        expressions: &Expression::ALL,
        valence_arousal: true,
        action_units: &[],
        sequences: &std::collections::BTreeMap::new(),
        facing: true,
        watchers: true,
        temperature: false,
        triggers: &["smile".into()],
        commands: true,
        page: None,
    };
    let announcement = Announcement {
        discovery: Some(discovery(&announced).unwrap()),
        status: true,
        ..Announcement::default()
    };
    let home = Subscriber::new(broker.port(), "homeassistant/device/#");
    let (mut publisher, _commands) = announcing(settings.clone(), announcement);
    let config = "homeassistant/device/emotiond_hall/config";
    let first = home.message(config, |_| true);
    let body: Value = serde_json::from_str(&first.body).unwrap();
    assert_eq!(body["components"]["pause"]["command_topic"], "emotiond/hall/pause/set");
    publisher.flush(PATIENCE).unwrap();

    home.take();
    home.say("homeassistant/status", false, "offline");
    home.say("homeassistant/status", false, "online");
    assert_eq!(home.message(config, |_| true).body, first.body);
    publisher.flush(PATIENCE).unwrap();
    assert_eq!(home.take().len(), 1);

    broker.kill();
    broker.restart();
    home.wait_subscribed(2);
    home.message(config, |_| true);
}

#[test]
fn a_full_queue_drops_the_oldest_and_counts() {
    let broker = Mosquitto::start();
    let gate = Gate::new(broker.port());
    let watcher = Subscriber::new(broker.port(), "emotiond/hall/+");
    let url = format!("mqtt://127.0.0.1:{}", gate.port());
    let (mut publisher, _commands) = start(MqttSettings { queue: 10, ..settings(&url) });
    for number in 0..25 {
        publisher.publish(message(Topic::Summary, number)).unwrap();
        publisher.publish(message(Topic::Health, "{}")).unwrap();
    }
    let counters = publisher.counters();
    assert_eq!((counters.waiting, counters.dropped.summaries, counters.dropped.others), (10, 15, 25));
    gate.set_open(true);
    watcher.until("the last", |received| summaries(received).contains(&24).then_some(()));
    assert_eq!(summaries(&watcher.take()), (15..25).collect::<Vec<_>>());
}

#[test]
fn the_embedded_broker_serves_others_as_well() {
    log::capture();
    let mut embedded = settings("embedded");
    assert_eq!(embedded.broker, Broker::Embedded);
    embedded.embedded_listen = "127.0.0.1:0".parse().unwrap();
    embedded.embedded_topics = vec!["emotiond/kitchen/#".into()];
    let (mut publisher, commands) = start(embedded);
    let port = publisher.address().port;
    publisher.publish(message(Topic::Info, "{}")).unwrap();
    publisher.publish(message(Topic::PauseState, "OFF")).unwrap();
    assert!(publisher.wait_connected(PATIENCE));
    assert_eq!(publisher.flush(PATIENCE).unwrap(), 0);

    let subscribers = [Subscriber::new(port, "emotiond/#"), Subscriber::new(port, "emotiond/hall/+")];
    for subscriber in &subscribers {
        assert!(subscriber.message("emotiond/hall/status", |body| body == "online").retained);
        assert!(subscriber.message("emotiond/hall/info", |body| body == "{}").retained);
    }
    for number in 0..300 {
        publisher.publish(message(Topic::Summary, number)).unwrap();
    }
    for subscriber in &subscribers {
        subscriber.until("300 summaries", |received| (summaries(received).len() >= 300).then_some(()));
        assert_eq!(summaries(&subscriber.take()), (0..300).collect::<Vec<_>>());
    }
    subscribers[0].say("emotiond/hall/pause/set", false, "ON");
    assert_eq!(commands.recv_timeout(PATIENCE), Ok(RemoteCommand::Pause(true)));

    // The will of another client of this broker, retained like ours.
    let (other, _commands) = start(MqttSettings {
        device: "kitchen".parse().unwrap(),
        ..settings(&format!("mqtt://127.0.0.1:{port}"))
    });
    subscribers[0].message("emotiond/kitchen/status", |body| body == "online");
    drop(other);
    subscribers[0].message("emotiond/kitchen/status", |body| body == "offline");
    let late = Subscriber::new(port, "emotiond/kitchen/status");
    assert!(late.message("emotiond/kitchen/status", |body| body == "offline").retained);

    assert_eq!(publisher.close(PATIENCE).unwrap(), 0);
    for subscriber in &subscribers {
        subscriber.message("emotiond/hall/status", |body| body == "offline");
    }
    assert!(std::net::TcpStream::connect(("127.0.0.1", port)).is_err());
    // With the noisy targets turned off, a person sees our lines only.
    let others = log::lines().into_iter().filter(|line| {
        let (level, target) = line.split_once(' ').unwrap();
        let silenced = emotiond::publish::NOISY_LOG_TARGETS.iter().any(|noisy| target.starts_with(noisy));
        !matches!(level, "DEBUG" | "TRACE") && !target.starts_with("emotiond::") && !silenced
    });
    assert_eq!(others.collect::<Vec<_>>(), [""; 0]);
}

#[test]
fn the_embedded_broker_asks_for_its_password() {
    log::capture();
    let credentials =
        Credentials { username: "hall".into(), password: Password::new("hunter2-right".into()) };
    let mut embedded = settings("embedded");
    embedded.embedded_listen = "127.0.0.1:0".parse().unwrap();
    embedded.credentials = Some(credentials);
    let (publisher, _commands) = start(embedded);
    assert!(publisher.wait_connected(PATIENCE));
    let port = publisher.address().port;
    let known = Subscriber::with(port, "emotiond/#", QoS::AtLeastOnce, |options| {
        options.set_credentials("hall", "hunter2-right");
    });
    known.message("emotiond/hall/status", |body| body == "online");

    let stranger =
        MqttSettings { device: "kitchen".parse().unwrap(), ..settings(&format!("mqtt://127.0.0.1:{port}")) };
    let (stranger, _commands) = start(stranger);
    log::line(&[
        "ERROR",
        &format!("mqtt://127.0.0.1:{port}"),
        "the broker asks for a user name and password",
        "password_file",
    ]);
    assert_eq!(stranger.counters().connections, 0);
    let leaks: Vec<_> = log::lines().into_iter().filter(|line| line.contains("hunter2-right")).collect();
    assert_eq!(leaks, [""; 0]);
}

#[test]
fn stops_at_once_while_there_is_no_broker() {
    let mut nobody = settings(&format!("mqtt://127.0.0.1:{}", free_port()));
    nobody.retry = (Duration::from_secs(600), Duration::from_secs(600));
    let (mut publisher, _commands) = start(nobody);
    publisher.publish(message(Topic::Summary, 1)).unwrap();
    let begun = std::time::Instant::now();
    assert_eq!(publisher.close(Duration::from_secs(20)).unwrap(), 1);
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
}
