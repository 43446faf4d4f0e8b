//! The network between daemon and broker fails: real packets, real kernel, a namespace made by the test.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use support::daemon::{Daemon, configure};
use support::mosquitto::{Mosquitto, Options};
use support::namespace::Namespace;
use support::subscriber::Subscriber;
use support::windows::{runs, windows};

struct Site {
    namespace: Namespace,
    subscriber: Subscriber,
    daemon: Daemon,
    _broker: Mosquitto,
    _folder: tempfile::TempDir,
}

impl Site {
    /// A daemon inside a namespace and a broker outside; `None` where namespaces are not allowed.
    fn new() -> Option<Self> {
        let namespace = Namespace::new()?;
        let near = namespace.near_address();
        let broker = Mosquitto::start_with(&Options { also_on: Some(near), ..Options::default() });
        let folder = tempfile::tempdir().unwrap();
        let url = format!("mqtt://{near}:{}", broker.port());
        let mqtt = format!("keep_alive = \"5s\"\nstate_directory = {:?}", folder.path());
        let config = configure(folder.path(), &url, &mqtt);
        let subscriber = Subscriber::new(broker.port(), "emotiond/hall/#").patient(2 * support::PATIENCE);
        let daemon = Daemon::start(&mut namespace.inside(&Daemon::command(&config)));
        subscriber.message("emotiond/hall/summary", |_| true);
        Some(Self { namespace, subscriber, daemon, _broker: broker, _folder: folder })
    }

    /// Waits for a summary that was closed after this call; all before it have to be there, in order.
    fn nothing_is_lost(&self) {
        let received = |received: &[_]| {
            let runs = runs(&windows(received));
            assert!(runs.len() < 2, "{runs:?}");
            runs.first().map_or(0, |(_, numbers)| numbers.len())
        };
        let before = self.subscriber.until("what is there", |all| Some(received(all)));
        self.subscriber
            .until("more summaries, without gaps", |all| (received(all) > before + 2).then_some(()));
    }
}

#[test]
fn a_cable_that_is_pulled_and_plugged_loses_nothing() {
    let Some(site) = Site::new() else { return };
    site.namespace.plug(false);
    site.subscriber.message("emotiond/hall/status", |body| body == "offline");
    site.daemon.wait_line(&["ERROR", "no connection to"]);
    site.daemon.wait_line(&["summaries written to disk"]);
    site.namespace.plug(true);
    site.daemon.wait_line(&["connected to", "again after"]);
    site.nothing_is_lost();
}

#[test]
fn a_connection_whose_packets_vanish_is_noticed_by_its_silence() {
    let Some(site) = Site::new() else { return };
    site.namespace.swallow(true);
    // Nobody tells: no reset, no unreachable. What is not acknowledged goes to disk even before it is noticed.
    let log = site.daemon.wait_log("the silence", |log| log.contains("the broker has stopped answering"));
    assert!(log.contains("check the network between here and there"), "{log}");
    assert!(log.contains("summaries written to disk"), "{log}");
    site.namespace.swallow(false);
    site.daemon.wait_line(&["connected to", "again after"]);
    site.nothing_is_lost();
}
