//! `emotiond check`: what its table says of a real Mosquitto, a photo for a camera, and what does not work.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking, its helpers too")]

mod support;

use std::fs;
use std::net::TcpListener;

use support::certificates::{Authority, Validity};
use support::daemon::{Daemon, emotiond};
use support::mosquitto::{Mosquitto, Options, free_port};
use support::subscriber::Subscriber;
use tempfile::TempDir;

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");

/// What `check` has printed, and its exit code.
struct Table {
    text: String,
    code: Option<i32>,
}

impl Table {
    /// `check` on a configuration whose section `[mqtt]` is given, with a state directory of its own.
    fn of(folder: &TempDir, head: &str, mqtt: &str) -> Self {
        let config = folder.path().join("emotiond.toml");
        let text =
            format!("{head}\n[mqtt]\nstate_directory = \"{}/state\"\n{mqtt}\n", folder.path().display());
        fs::write(&config, text).unwrap();
        let output = emotiond().arg("check").arg("--config").arg(&config).output().unwrap();
        Self { text: String::from_utf8(output.stdout).unwrap(), code: output.status.code() }
    }

    /// The line of a thing, without its remedy: state and detail.
    fn line(&self, thing: &str) -> (&str, &str) {
        let cells = |line| {
            let (state, rest) = str::split_at_checked(line, 9)?;
            let (name, detail) = rest.split_once(' ')?;
            (name == thing).then_some((state.trim(), detail.trim()))
        };
        self.text.lines().find_map(cells).unwrap_or_else(|| panic!("no line {thing} in\n{}", self.text))
    }

    fn words(&self, thing: &str, words: &[&str]) {
        let (_, detail) = self.line(thing);
        for word in words {
            assert!(detail.contains(word), "{word:?} is not in {detail:?}");
        }
    }

    fn expect(&self, thing: &str, state: &str, words: &[&str]) {
        let (found, detail) = self.line(thing);
        assert_eq!(found, state, "{thing} in\n{}", self.text);
        self.words(thing, words);
        if state != "ok" {
            let mut after = self.text.lines().skip_while(|line| !line.contains(detail)).skip(1);
            let remedy = after.next().unwrap_or_default();
            assert!(remedy.trim_start().starts_with("→ "), "no remedy for {thing} in\n{}", self.text);
        }
    }
}

fn home() -> String {
    format!("site = \"home\"\ndevice = \"hall\"\n[camera]\nsource = \"replay:{PHOTO}\"")
}

#[test]
fn everything_that_works_is_measured_and_nothing_is_left_at_the_broker() {
    let (folder, broker) = (tempfile::tempdir().unwrap(), Mosquitto::start());
    let everything = Subscriber::new(broker.port(), "#");
    let table = Table::of(&folder, &home(), &format!("url = \"{}\"", broker.url()));
    assert_eq!(table.code, Some(0), "{}", table.text);
    table.expect("law", "ok", &["site home", "Art. 50(3)"]);
    table.expect("notice", "ok", &["A camera counts faces here"]);
    // How fast is a matter of the machine and the build.
    table.words("models", &["emotiond-face", "emotiond-mtl", "(sha256 ", "ms a frame", "faces a second"]);
    table.expect("camera", "ok", &["astronaut.png", "512×512 after ", "brightness 4", "blur 0.3"]);
    table.expect("broker", "ok", &["no TLS", "without a password", "published and received in "]);
    table.expect("state", "ok", &["can be written", "free on"]);
    table.line("sandbox");
    table.line("clock");
    // One message, on a topic of this device, and none that the broker keeps.
    let seen = everything.until("the message of the check", |seen| (!seen.is_empty()).then(|| seen.to_vec()));
    assert_eq!(seen.len(), 1, "{seen:#?}");
    assert!(seen[0].topic == "emotiond/hall/response/check" && !seen[0].retained, "{seen:#?}");
    assert!(!broker.log().contains("disconnecting: client has exceeded"), "{}", broker.log());
}

#[test]
fn a_broker_that_refuses_is_told_apart_from_one_that_drops() {
    let folder = tempfile::tempdir().unwrap();
    let password = folder.path().join("password");
    fs::write(&password, "wrong\n").unwrap();
    let closed = Table::of(&folder, &home(), &format!("url = \"mqtt://127.0.0.1:{}\"", free_port()));
    assert_eq!(closed.code, Some(69), "{}", closed.text);
    closed.expect("broker", "failed", &["connection refused"]);
    closed.expect("camera", "ok", &[]);

    let user = Some(("hall", "secret"));
    let broker = Mosquitto::start_with(&Options { user, ..Options::default() });
    let url = format!("url = \"{}\"", broker.url());
    Table::of(&folder, &home(), &url).expect("broker", "failed", &["asks for a user name"]);
    let login = format!("{url}\nusername = \"hall\"\npassword_file = \"{}\"", password.display());
    Table::of(&folder, &home(), &login).expect("broker", "failed", &["refuses the user name \"hall\""]);
    fs::write(&password, "secret\n").unwrap();
    let table = Table::of(&folder, &home(), &login);
    table.expect("broker", "ok", &["user \"hall\" let in", "published and received"]);
    assert!(!table.text.contains("secret"), "{}", table.text);

    // It acknowledges what it drops.
    let acl = Some("user hall\ntopic read emotiond/hall/#\n");
    let broker = Mosquitto::start_with(&Options { user, acl, ..Options::default() });
    let login = login.replace(&url, &format!("url = \"{}\"", broker.url()));
    let table = Table::of(&folder, &home(), &login);
    table.expect("broker", "warning", &["did not come back"]);
    assert!(table.text.contains("topic readwrite emotiond/hall/#"), "{}", table.text);
    assert_eq!(table.code, Some(0), "a warning is no failure");
}

#[test]
fn tls_is_said_and_a_certificate_of_nobody_fails() {
    let folder = tempfile::tempdir().unwrap();
    let authority = Authority::new(folder.path(), "authority");
    let (certificate, key) = authority.sign("127.0.0.1", Validity::Now);
    let broker =
        Mosquitto::start_with(&Options { tls: Some((certificate, key, None)), ..Options::default() });
    let url = format!("url = \"mqtts://127.0.0.1:{}\"", broker.port());
    Table::of(&folder, &home(), &url).expect("broker", "failed", &["unknown authority"]);
    let trusted = format!("{url}\nca_file = \"{}\"", authority.certificate().display());
    Table::of(&folder, &home(), &trusted).expect("broker", "ok", &["TLS, its certificate verified"]);
}

#[test]
fn who_holds_the_port_of_the_embedded_broker_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let listen = format!("listen = \"127.0.0.1:{port}\"");
    Table::of(&folder, &home(), &listen).expect("broker", "ok", &["embedded", "which is free"]);

    let daemon = Daemon::run(&folder.path().join("emotiond.toml"));
    daemon.wait_line(&["connected to"]);
    Table::of(&folder, &home(), &listen).expect("broker", "ok", &["this device's daemon runs it"]);
    drop(daemon);

    let broker = Mosquitto::start();
    let listen = format!("listen = \"127.0.0.1:{}\"", broker.port());
    Table::of(&folder, &home(), &listen).expect("broker", "failed", &["not this device's"]);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = \"{}\"", silent.local_addr().unwrap());
    Table::of(&folder, &home(), &listen).expect("broker", "failed", &["something else"]);
}

#[test]
fn who_may_open_the_page_is_told_and_whether_it_can_be_served() {
    let folder = tempfile::tempdir().unwrap();
    let (broker, port) = (free_port(), free_port());
    let page = |lines: &str| format!("listen = \"127.0.0.1:{broker}\"\n[page]\nenabled = true\n{lines}\n");
    let here = page(&format!("listen = \"127.0.0.1:{port}\""));
    Table::of(&folder, &home(), &here).expect("page", "ok", &["free", "without a password"]);
    let daemon = Daemon::run(&folder.path().join("emotiond.toml"));
    daemon.wait_line(&["the page is on"]);
    Table::of(&folder, &home(), &here).expect("page", "ok", &["a daemon serves it already"]);
    drop(daemon);

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = page(&format!("listen = \"{}\"", other.local_addr().unwrap()));
    Table::of(&folder, &home(), &taken).expect("page", "failed", &["cannot be served"]);
    fs::write(folder.path().join("password"), "hunter2").unwrap();
    let file = folder.path().join("password").display().to_string();
    let open = page(&format!("listen = \"0.0.0.0:{port}\"\nusername = \"wall\"\npassword_file = {file:?}"));
    let table = Table::of(&folder, &home(), &open);
    table.expect("page", "warning", &["\"wall\" with a password", "readable"]);
    assert!(!table.text.contains("hunter2"), "{}", table.text);
    let closed = format!("listen = \"127.0.0.1:{broker}\"");
    let table = Table::of(&folder, &home(), &closed);
    assert!(!table.text.contains(" page "), "{}", table.text);
}

#[test]
fn a_dark_a_soft_and_a_missing_camera() {
    let folder = tempfile::tempdir().unwrap();
    let photo = image::open(PHOTO).unwrap().into_rgb8();
    let picture = folder.path().join("picture.png");
    let camera = format!("site = \"home\"\n[camera]\nsource = \"replay:{}\"", picture.display());
    let port = free_port();
    let mqtt = format!("listen = \"127.0.0.1:{port}\"");
    image::imageops::blur(&photo, 4.0).save(&picture).unwrap();
    Table::of(&folder, &camera, &mqtt).expect("camera", "warning", &["out of focus"]);
    image::imageops::brighten(&photo, -200).save(&picture).unwrap();
    Table::of(&folder, &camera, &mqtt).expect("camera", "warning", &["is dark"]);
    fs::remove_file(&picture).unwrap();
    let table = Table::of(&folder, &camera, &mqtt);
    table.expect("camera", "failed", &["picture.png"]);
    assert_eq!(table.code, Some(69));
}

#[test]
fn where_the_law_forbids_it_no_emotion_model_is_opened_and_an_exemption_is_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let port = free_port();
    let mqtt = format!("listen = \"127.0.0.1:{port}\"");
    let school = home().replace("home", "education");
    let table = Table::of(&folder, &school, &mqtt);
    table.expect("law", "ok", &["Art. 5(1)(f)", "no emotion model is opened"]);
    table.words("models", &["no emotion is read"]);
    assert!(!table.line("models").1.contains("emotiond-mtl"), "{}", table.text);
    let basis = format!("legal_basis = \"pain watch\"\n[mqtt]\n{mqtt}");
    let exempt = school.replace("device = \"hall\"\n", "") + &format!("\n[privacy]\n{basis}");
    let config = folder.path().join("exempt.toml");
    fs::write(&config, exempt).unwrap();
    let output = emotiond().arg("check").arg("--config").arg(&config).output().unwrap();
    let table = Table { text: String::from_utf8(output.stdout).unwrap(), code: output.status.code() };
    table.expect("law", "warning", &["pain watch"]);
}
