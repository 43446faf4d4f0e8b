//! The embedded broker against hostile clients, and with the clients of Mosquitto.
//!
//! `cargo test --test embedded -- --ignored` attacks for ten minutes (or as many seconds as `EMOTIOND_ATTACK_SECONDS`
//! says); `scripts/attack` does so with the release build.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "support/mod.rs"]
mod support;

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::daemon::Daemon;
use support::hostile::{Hostile, connect, malformed, publish, subscribe};
use support::mosquitto::free_port;
use support::subscriber::Subscriber;

/// What the whole daemon may take, whatever clients do. MiB.
const MOST_MEMORY: u64 = 80;

/// A daemon with an embedded broker and a summary a second: that the camera is lost, which costs no work.
struct Victim {
    daemon: Daemon,
    port: u16,
    folder: tempfile::TempDir,
}

impl Victim {
    fn start(mqtt: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("emotiond.toml");
        let port = free_port();
        let text = format!(
            "site = \"home\"\ndevice = \"hall\"\n[camera]\nsource = \"v4l2:/dev/emotiond-none\"\n[summary]\nwindow = \"1s\"\n\
             [mqtt]\nlisten = \"127.0.0.1:{port}\"\n{mqtt}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut command = Daemon::command(&config);
        // The released log level, and a program of another build if one is given.
        command.env("RUST_LOG", "info");
        let daemon = Daemon::start(&mut match std::env::var_os("EMOTIOND_ATTACKED") {
            None => command,
            Some(program) => {
                let mut other = Command::new(program);
                other.args(command.get_args()).env("RUST_LOG", "info").stdin(Stdio::null());
                other
            }
        });
        daemon.wait_line(&["the embedded broker listens on"]);
        let victim = Self { daemon, port, folder };
        victim.served(&Subscriber::new(port, "emotiond/hall/#"));
        victim
    }

    /// Resident memory now and at its highest, MiB.
    fn memory(&self) -> (u64, u64) {
        let path = format!("/proc/{}/status", self.daemon.child.id());
        let status = std::fs::read_to_string(Path::new(&path)).unwrap();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap() / 1024
        };
        (field("VmRSS:"), field("VmHWM:"))
    }

    fn holds_its_memory(&self, under: &str) {
        let (now, highest) = self.memory();
        // Not `eprintln`, which the test harness would keep to itself.
        let line = format!("{under}: {now} MiB resident, {highest} at most\n");
        std::io::stderr().write_all(line.as_bytes()).unwrap();
        assert!(highest <= MOST_MEMORY, "{line}{}", self.daemon.log());
    }

    /// The next summaries arrive.
    fn served(&self, subscriber: &Subscriber) {
        subscriber.take();
        subscriber.message("emotiond/hall/summary", |_| true);
    }

    /// A client that comes now is let in and served.
    fn serves_newcomers(&self) {
        let newcomer = Subscriber::new(self.port, "emotiond/hall/#");
        assert!(newcomer.message("emotiond/hall/status", |body| body == "online").retained);
        newcomer.message("emotiond/hall/summary", |_| true);
    }

    fn end(mut self) {
        assert!(self.daemon.child.try_wait().unwrap().is_none(), "{}", self.daemon.log());
        // That there is no camera is all it may complain of.
        let log = self.daemon.log();
        let error = log.lines().find(|line| line.contains("ERROR") && !line.contains("emotiond-none"));
        assert_eq!(error, None);
        self.daemon.signal("TERM");
        assert!(self.daemon.ended().success(), "{}", self.daemon.log());
    }
}

/// One client fills topic after topic with retained messages of `bytes`; gives whether it was disconnected.
fn fill(port: u16, topics: usize, bytes: usize) -> bool {
    let mut client = Hostile::client(port, "filler");
    client.stream.set_write_timeout(Some(Duration::from_secs(5))).unwrap();
    let payload = vec![b'x'; bytes];
    for number in 0..topics {
        if !client.send(&publish(&format!("t/{number}"), true, &payload)) {
            return client.closed();
        }
    }
    client.closed()
}

fn two_hundred(port: u16) -> Vec<Hostile> {
    (0..200)
        .map(|number| {
            let mut client = Hostile::client(port, &format!("many-{number}"));
            client.send(&subscribe("#"));
            client
        })
        .collect()
}

/// Clients that subscribe to everything and never read.
fn stalled(port: u16, count: usize) -> Vec<Hostile> {
    (0..count)
        .map(|number| {
            let mut client = Hostile::client(port, &format!("stalled-{number}"));
            for _ in 0..20 {
                client.send(&subscribe("#"));
            }
            client
        })
        .collect()
}

fn garbage(port: u16) {
    for bytes in malformed(147) {
        // Instead of CONNECT, and after it.
        Hostile::silent(port).send(&bytes);
        Hostile::client(port, "garbage").send(&bytes);
    }
    let long = "x".repeat(60_000);
    for client_id in ["a#b", "a+b", "/", "", "ä\u{202e}", "$SYS", "\u{1}", &long, "emotiond-hall"] {
        for _ in 0..2 {
            Hostile::client(port, client_id).send(b"\xc0\x00");
        }
    }
}

#[test]
fn a_client_cannot_fill_it() {
    let victim = Victim::start("");
    let honest = Subscriber::new(victim.port, "emotiond/hall/#");
    let refused = fill(victim.port, 1000, 200_000);
    victim.holds_its_memory("200 KB retained to t/0, t/1, …");
    assert!(refused);
    victim.daemon.wait_line(&["WARN", "filler", "a packet of 200"]);
    // Smaller ones are not too large, but not allowed either.
    fill(victim.port, 300, 1000);
    victim.daemon.wait_line(&["WARN", "filler", "may not publish on \"t/0\"", "mqtt.embedded_topics"]);
    victim.served(&honest);
    let nobody = Subscriber::new(victim.port, "t/#");
    victim.served(&honest);
    assert_eq!(nobody.take(), []);
    victim.end();
}

#[test]
fn a_client_that_may_publish_everything_cannot_fill_it_either() {
    let victim = Victim::start("embedded_topics = [\"#\"]");
    let honest = Subscriber::new(victim.port, "emotiond/hall/#");
    assert!(fill(victim.port, 1000, 200_000));
    // As fast as it is let: three clients at once share the work.
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| fill(victim.port, 500, 30_000));
        }
    });
    victim.daemon.wait_line(&["WARN", "a retained message on", "is not kept"]);
    victim.holds_its_memory("30 KB retained to t/0, t/1, … as far as there is room");
    let stalled = stalled(victim.port, 20);
    fill(victim.port, 500, 30_000);
    victim.holds_its_memory("the same with 20 stalled subscribers");
    victim.served(&honest);
    drop(stalled);
    // Nobody speaks for the device.
    let mut forger = Hostile::client(victim.port, "forger");
    forger.send(&publish("emotiond/hall/status", true, b"forged"));
    forger.send(&publish("emotiond/hall/summary", false, b"forged"));
    victim.daemon.wait_line(&["WARN", "may not publish on \"emotiond/hall/"]);
    assert!(honest.take().iter().all(|message| message.body != "forged"));
    victim.end();
}

#[test]
fn idle_connections_keep_nobody_out() {
    let victim = Victim::start("");
    let honest = Subscriber::new(victim.port, "emotiond/hall/#");
    let silent: Vec<_> = (0..63).map(|_| Hostile::silent(victim.port)).collect();
    victim.serves_newcomers();
    let clients: Vec<_> =
        (0..63).map(|number| Hostile::client(victim.port, &format!("idle-{number}"))).collect();
    victim.serves_newcomers();
    victim.served(&honest);
    drop((silent, clients));
    let many = two_hundred(victim.port);
    victim.served(&honest);
    victim.holds_its_memory("200 clients");
    drop(many);
    victim.serves_newcomers();
    victim.end();
}

#[test]
fn malformed_packets_and_client_ids_disturb_nobody() {
    let victim = Victim::start("");
    let honest = Subscriber::new(victim.port, "emotiond/hall/#");
    garbage(victim.port);
    let stalled = stalled(victim.port, 20);
    victim.served(&honest);
    victim.serves_newcomers();
    drop(stalled);
    // Each reason once, however often it came.
    let warnings = victim.daemon.log().lines().filter(|line| line.contains("WARN")).count();
    assert!((2..12).contains(&warnings), "{warnings} warnings:\n{}", victim.daemon.log());
    honest.say("emotiond/hall/pause/set", false, "ON");
    honest.message("emotiond/hall/pause/state", |body| body == "ON");
    victim.holds_its_memory("147 malformed packets, twice, and bad client ids");
    victim.end();
}

#[test]
fn a_reload_goes_on_listening_and_listens_nowhere_else() {
    let victim = Victim::start("");
    let honest = Subscriber::new(victim.port, "emotiond/hall/#");
    victim.daemon.signal("HUP");
    victim.daemon.wait_line(&["configuration reloaded"]);
    victim.served(&honest);
    // Its socket has been there all the time: nobody is refused, and nobody could have taken the port.
    victim.serves_newcomers();
    let config = victim.folder.path().join("emotiond.toml");
    let text = std::fs::read_to_string(&config).unwrap();
    let other = free_port();
    std::fs::write(&config, text.replace(&victim.port.to_string(), &other.to_string())).unwrap();
    victim.daemon.signal("HUP");
    victim.daemon.wait_line(&["ERROR", "stays in force", "listen on 127.0.0.1", "restart emotiond"]);
    assert!(std::net::TcpStream::connect(("127.0.0.1", other)).is_err());
    victim.serves_newcomers();
    // That refusal was to be expected.
    assert_eq!(victim.daemon.log().matches("ERROR the old configuration").count(), 1);
}

#[test]
#[ignore = "takes ten minutes"]
fn it_holds_for_ten_minutes() {
    let seconds = std::env::var("EMOTIOND_ATTACK_SECONDS").map_or(600, |text| text.parse().unwrap());
    for mqtt in ["", "embedded_topics = [\"#\"]"] {
        let victim = Victim::start(mqtt);
        let port = victim.port;
        let honest: Vec<_> = (0..3).map(|_| Subscriber::new(port, "emotiond/hall/#")).collect();
        let end = Instant::now() + Duration::from_secs(seconds / 2);
        let mut rounds = 0;
        std::thread::scope(|scope| {
            let attack = |what: fn(u16)| {
                scope.spawn(move || {
                    while Instant::now() < end {
                        what(port);
                    }
                })
            };
            attack(|port| {
                fill(port, 1000, 200_000);
            });
            attack(|port| {
                fill(port, 50_000, 10);
            });
            attack(|port| {
                fill(port, 1000, 30_000);
            });
            attack(garbage);
            attack(|port| {
                let held = (stalled(port, 20), two_hundred(port));
                std::thread::sleep(Duration::from_secs(2));
                drop(held);
            });
            attack(|port| {
                let held: Vec<_> = (0..63).map(|_| Hostile::silent(port)).collect();
                std::thread::sleep(Duration::from_secs(3));
                drop(held);
            });
            while Instant::now() < end {
                honest.iter().for_each(|subscriber| victim.served(subscriber));
                rounds += 1;
                assert!(
                    victim.memory().1 <= MOST_MEMORY,
                    "{:?} MiB\n{}",
                    victim.memory(),
                    victim.daemon.log()
                );
            }
        });
        victim.serves_newcomers();
        victim.holds_its_memory(&format!("{} s of everything, {rounds} summaries to each of 3", seconds / 2));
        victim.end();
    }
}

/// One of Mosquitto's clients.
fn mosquitto(program: &str, port: u16, arguments: &str) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", &port.to_string()]).args(arguments.split_whitespace());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn printed(command: &mut Command) -> String {
    let output = command.output().expect("mosquitto-clients are installed by scripts/setup --tests");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn mosquittos_clients_work_with_it() {
    let victim = Victim::start("embedded_topics = [\"kitchen/#\"]");
    let port = victim.port;
    for qos in 0..3 {
        let say = format!("-i talker -q {qos} -r -t kitchen/{qos} -m message-{qos}");
        printed(&mut mosquitto("mosquitto_pub", port, &say));
        let hear = format!("-W 20 -C 1 -q {qos} -F %r|%q|%t|%p -t kitchen/{qos}");
        let heard = printed(&mut mosquitto("mosquitto_sub", port, &hear));
        assert_eq!(heard.trim(), format!("1|{}|kitchen/{qos}|message-{qos}", qos.min(1)));
    }
    // A persistent session is accepted, and is a new one each time.
    let stored = printed(&mut mosquitto("mosquitto_sub", port, "-W 20 -C 3 -c -i keeper -q 1 -t kitchen/#"));
    assert_eq!(stored.lines().count(), 3);
    printed(&mut mosquitto("mosquitto_pub", port, "-r -n -t kitchen/0"));
    let summary = "-W 20 -C 1 -V mqttv31 -t emotiond/hall/summary";
    assert!(printed(&mut mosquitto("mosquitto_sub", port, summary)).contains("\"faces\""));

    // The will of a client that is killed, retained.
    let listener = Subscriber::new(port, "kitchen/will");
    let will = "-t kitchen/ready --will-topic kitchen/will --will-payload gone --will-retain --will-qos 1";
    printed(&mut mosquitto("mosquitto_pub", port, "-q 1 -r -t kitchen/ready -m yes"));
    let mut dying = mosquitto("mosquitto_sub", port, will).spawn().unwrap();
    let living = Subscriber::new(port, "kitchen/#");
    // Once it prints this retained message, it is connected.
    std::io::BufReader::new(dying.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
    dying.kill().unwrap();
    dying.wait().unwrap();
    assert!(!listener.message("kitchen/will", |body| body == "gone").retained);
    living.message("kitchen/will", |body| body == "gone");
    let late = Subscriber::new(port, "kitchen/will");
    assert!(late.message("kitchen/will", |body| body == "gone").retained);
    assert!(living.take().iter().all(|message| message.topic != "kitchen/0"), "it was removed");

    // Refusals have a reason: MQTT 5, and a will where the client may not publish.
    let newer = mosquitto("mosquitto_sub", port, "-W 5 -C 1 -V mqttv5 -t a").output().unwrap();
    assert!(String::from_utf8_lossy(&newer.stderr).to_lowercase().contains("protocol"), "{newer:?}");
    let will = "-W 5 -C 1 -t a --will-topic emotiond/hall/status --will-payload forged";
    let forger = mosquitto("mosquitto_sub", port, will).output().unwrap();
    assert!(String::from_utf8_lossy(&forger.stderr).to_lowercase().contains("authori"), "{forger:?}");
    victim.daemon.wait_line(&["WARN", "MQTT 5", "3.1.1"]);
    victim.end();
}

#[test]
fn the_daemons_client_id_cannot_be_taken() {
    let victim = Victim::start("");
    let honest = Subscriber::new(victim.port, "emotiond/hall/#");
    let mut impostor = Hostile::silent(victim.port);
    impostor.send(&connect("emotiond-hall"));
    assert!(impostor.closed());
    victim.daemon.wait_line(&["WARN", "\"emotiond-hall\"", "the daemon's"]);
    victim.served(&honest);
    assert!(honest.take().iter().all(|message| message.body != "offline"));
    victim.end();
}
