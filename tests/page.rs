//! The page of the built program, as a browser reads it and as somebody hostile does. What it looks like is tried in a
//! real browser by `scripts/test-page`.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "support/mod.rs"]
mod support;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rumqttc::QoS;
use serde_json::Value;
use support::PATIENCE;
use support::daemon::{Daemon, configure, emotiond};
use support::mosquitto::free_port;
use support::page::Stage;
use support::subscriber::Subscriber;

const HOST: &str = "Host: localhost\r\n";

#[test]
fn the_stream_is_what_is_published_and_answers_to_others_are_not_in_it() {
    let broker = free_port();
    let trigger =
        "[[trigger]]\nname = \"smile\"\nsignal = \"expression.happiness\"\nabove = 0.5\nfor = \"3s\"\n";
    let stage = Stage::photo("home", broker, trigger);
    stage.daemon.wait_line(&["connected to"]);
    let subscriber = Subscriber::with(broker, "#", QoS::AtLeastOnce, |_| {});
    subscriber.say("emotiond/hall/request/info", false, "{\"transaction\": \"secret-42\"}");
    let mut events = stage.stream("");
    assert!(
        events.head.starts_with("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"),
        "{}",
        events.head
    );
    assert!(!events.head.contains("Access-Control"), "{}", events.head);

    let mut heard = Vec::new();
    while !heard.iter().any(|(name, _)| name == "event/smile") {
        heard.push(events.next().unwrap());
    }
    let history = heard.iter().position(|(name, _)| name == "history").unwrap();
    // Those that were there before are repeated, but no event, which would look new.
    for name in ["info", "pause/state", "trigger/smile/state"] {
        assert!(heard[..history].iter().any(|(heard, _)| heard == name), "{name} in {heard:?}");
    }
    assert!(heard[..history].iter().all(|(name, _)| !name.starts_with("event/")), "{heard:?}");
    assert!(heard.contains(&("camera/state".to_owned(), "ok".to_owned())), "{heard:?}");
    assert!(heard.contains(&("broker/state".to_owned(), "ON".to_owned())), "{heard:?}");
    for (place, (name, body)) in heard.iter().enumerate() {
        assert!(!name.starts_with("response") && !body.contains("secret-42"), "{name}: {body}");
        // The page's own; and a window that closed before the subscription stood, which brokers do not repeat.
        if ["history", "broker/state"].contains(&&**name) || place < history && name == "summary" {
            continue;
        }
        subscriber.message(&format!("emotiond/hall/{name}"), |received| received == body);
    }
    subscriber.message("emotiond/hall/response/info", |body| body.contains("secret-42"));
    // Home Assistant links to it.
    let announced = subscriber.message("homeassistant/device/emotiond_hall/config", |_| true);
    assert!(announced.body.contains("\"configuration_url\":\"http://hall.lan:9480/\""), "{}", announced.body);
    let (_, summary) = heard.iter().rev().find(|(name, _)| name == "summary").unwrap();
    let summary: Value = serde_json::from_str(summary).unwrap();
    assert_eq!(summary["expression"]["dominant"], "happiness", "{summary}");

    // Somebody who comes later is shown the past: the windows as points, the event in a list.
    let later: Value = stage
        .stream("")
        .find(|(name, _)| name == "history")
        .map(|(_, body)| serde_json::from_str(&body).unwrap())
        .unwrap();
    assert_eq!(later["events"][0]["trigger"], "smile", "{later}");
    assert_eq!(later["points"][0]["people"], 1.0, "{later}");
    assert!(later["points"][0]["valence"].as_f64().unwrap() > 0.5, "{later}");
}

#[test]
fn what_is_withheld_from_summaries_is_not_on_the_page() {
    for (site, more, why) in
        [("home", "[privacy]\nmin_people = 2\n", "min_people"), ("education", "", "site")]
    {
        let stage = Stage::photo(site, free_port(), more);
        let mut events = stage.stream("");
        let (_, summary) = events
            .find(|(name, body)| name == "summary" && body.contains(&format!("\"suppressed\":\"{why}\"")))
            .unwrap();
        let summary: Value = serde_json::from_str(&summary).unwrap();
        assert_eq!(summary["faces"]["max"], 1, "{summary}");
        let mut heard = stage.stream("");
        let all: Vec<_> = heard.by_ref().take_while(|(name, _)| name != "history").collect();
        for (name, body) in all.iter().filter(|(name, _)| name != "info") {
            for word in ["happiness", "AU12"] {
                assert!(!body.contains(word), "{name}: {body}");
            }
        }
        let history = stage.stream("").find(|(name, _)| name == "history").unwrap().1;
        let history: Value = serde_json::from_str(&history).unwrap();
        let point = &history["points"][0];
        assert_eq!(point["people"], 1.0, "{history}");
        assert!(point.get("valence").is_none() && point.get("arousal").is_none(), "{history}");
        // Lengths of stay wait for so many visits together; in education who looked is not told at all.
        assert!(point.get("dwell").is_none() && point.get("watchers").is_none(), "{history}");
    }
}

#[test]
fn the_files_carry_a_policy_and_everything_else_is_refused() {
    let stage = Stage::idle("");
    for (path, kind) in [
        ("/", "text/html"),
        ("/page.css", "text/css"),
        ("/page.js", "text/javascript"),
        ("/draw.js", "text/javascript"),
        ("/icon.svg", "image/svg+xml"),
    ] {
        let answer = stage.ask(&format!("GET {path}?x=1"), HOST);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.starts_with("HTTP/1.1 200 OK") && head.contains(&format!("Content-Type: {kind}")),
            "{head}"
        );
        assert!(head.contains(&format!("Content-Length: {}", body.len())) && !body.is_empty(), "{head}");
        assert!(head.contains("Content-Security-Policy: default-src 'none';"), "{head}");
        assert!(!head.contains("unsafe") && head.contains("frame-ancestors 'none'"), "{head}");
        // Nothing of another place, and nothing inline.
        assert!(
            !body.contains("<style") && !body.contains(" style=") && !body.contains(" onclick="),
            "{path}"
        );
        let elsewhere = body.replace("http://www.w3.org/2000/svg", "");
        assert!(!elsewhere.contains("http://") && !elsewhere.contains("https://"), "{path}");
        let head_only = stage.ask(&format!("HEAD {path}"), HOST);
        assert!(head_only.ends_with("\r\n\r\n") && head_only.contains("Content-Length: "), "{head_only}");
    }
    assert!(stage.ask("HEAD /stream", HOST).contains("text/event-stream"));
    for path in ["/favicon.ico", "/../etc/passwd", "/page.js/", "/metrics"] {
        assert_eq!(stage.status(path, HOST), 404, "{path}");
    }
    for method in ["POST", "PUT", "DELETE", "OPTIONS", "CONNECT", "TRACE"] {
        assert!(stage.ask(&format!("{method} /"), HOST).starts_with("HTTP/1.1 405 "), "{method}");
    }
    for (request, head) in
        [("GET", HOST), ("GET /  x", HOST), ("GET /", ""), ("GET /", "Host: a\r\nHost: localhost\r\n")]
    {
        assert!(stage.ask(request, head).starts_with("HTTP/1.1 400 "), "{request} {head}");
    }
}

#[test]
fn pages_of_others_neither_open_it_by_their_name_nor_read_the_stream() {
    let stage = Stage::idle("origins = [\"http://localhost:8080\"]\nurl = \"https://hall.example/mood/\"");
    let port = stage.port;
    // DNS rebinding asks by the attacker's name.
    for (host, status) in [
        (format!("127.0.0.1:{port}"), 200),
        ("localhost".to_owned(), 200),
        ("[::1]:80".to_owned(), 200),
        ("HALL.example".to_owned(), 200),
        ("attacker.example".to_owned(), 421),
        ("localhost.attacker.example".to_owned(), 421),
        ("127.0.0.1.attacker.example".to_owned(), 421),
        (String::new(), 421),
    ] {
        assert_eq!(stage.status("/", &format!("Host: {host}\r\n")), status, "{host}");
    }
    let refused = |head: &str| stage.status("/stream", &format!("{HOST}{head}"));
    for head in [
        "Origin: http://attacker.example\r\n",
        "Origin: null\r\n",
        "Origin: http://localhost:8081\r\n",
        "Origin: https://localhost:8080\r\n",
        "Origin: http://localhost:8080.attacker.example\r\n",
        "Sec-Fetch-Site: cross-site\r\n",
        "Sec-Fetch-Site: same-site\r\n",
    ] {
        assert_eq!(refused(head), 403, "{head}");
    }
    for head in [
        "",
        "Origin: http://127.0.0.1:PORT\r\n",
        "Sec-Fetch-Site: same-origin\r\n",
        "Origin: https://hall.example\r\n",
    ] {
        let stream = stage.stream(&head.replace("PORT", &port.to_string()));
        assert!(stream.head.contains("200 OK") && !stream.head.contains("Access-Control"), "{}", stream.head);
    }
    let allowed = stage.stream("Origin: http://localhost:8080\r\nSec-Fetch-Site: same-site\r\n");
    assert!(
        allowed.head.contains("\r\nAccess-Control-Allow-Origin: http://localhost:8080\r\n"),
        "{}",
        allowed.head
    );
    assert!(allowed.head.contains("\r\nVary: Origin\r\n"), "{}", allowed.head);
}

#[test]
fn the_page_asks_for_its_password_and_a_reload_reads_it_again() {
    let stage = Stage::idle("username = \"wall\"\npassword_file = \"PASSWORD\"");
    let with = |word: &str| format!("{HOST}Authorization: Basic {word}\r\n");
    // wall:hunter2
    let right = with("d2FsbDpodW50ZXIy");
    for path in ["/", "/page.js", "/stream", "/nothing"] {
        let answer = stage.ask(&format!("GET {path}"), HOST);
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
        assert!(answer.contains("WWW-Authenticate: Basic realm=\"emotiond\""), "{answer}");
    }
    // wall:hunter3, another user, nothing, twice.
    for wrong in [
        "d2FsbDpodW50ZXIz",
        "aGFsbDpodW50ZXIy",
        "",
        "d2FsbDpodW50ZXIy\r\nAuthorization: Basic d2FsbDpodW50ZXIy",
    ] {
        assert_eq!(stage.status("/", &with(wrong)), 401, "{wrong}");
    }
    // Each guess takes half a second and a place, and meanwhile those who know the password are served.
    let begin = Instant::now();
    let mut guess = stage.connect();
    write!(guess, "GET / HTTP/1.1\r\n{}\r\n", with("d2FsbDpodW50ZXIz")).unwrap();
    assert_eq!(stage.status("/", &right), 200);
    let mut answer = String::new();
    guess.read_to_string(&mut answer).unwrap();
    assert!(
        answer.contains(" 401 ") && begin.elapsed() >= Duration::from_millis(500),
        "{:?}",
        begin.elapsed()
    );

    fs::write(stage.folder.path().join("password"), "correct horse\n").unwrap();
    stage.rewrite(str::to_owned);
    stage.daemon.line("restarting with it", 1);
    let deadline = Instant::now() + PATIENCE;
    while stage.status("/", &right) != 401 {
        assert!(Instant::now() < deadline, "{}", stage.daemon.log());
    }
    // wall:correct horse
    assert_eq!(stage.status("/", &with("d2FsbDpjb3JyZWN0IGhvcnNl")), 200);
    let log = stage.daemon.log();
    assert!(!log.contains("hunter") && !log.contains("correct horse") && !log.contains("d2FsbDpo"), "{log}");
}

/// What a start with these lines of the table says.
fn refusal(page: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), "embedded", &format!("listen = \"127.0.0.1:{}\"", free_port()));
    let text = fs::read_to_string(&config).unwrap();
    fs::write(&config, format!("{text}[page]\nenabled = true\n{page}\n")).unwrap();
    let output = emotiond().args(["run", "--config"]).arg(&config).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{page}");
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn what_cannot_be_served_safely_refuses_the_start_with_a_remedy() {
    for open in ["0.0.0.0:9480", "[::]:9480", "192.0.2.7:9480"] {
        let said = refusal(&format!("listen = {open:?}"));
        assert!(said.contains("others can reach") && said.contains("page.password_file"), "{said}");
    }
    for (page, words) in [
        ("listen = \"9480\"", "for example \"127.0.0.1:9480\""),
        ("username = \"a\"", "`page.username` needs `page.password_file`"),
        ("password_file = \"/dev/null\"", "`page.password_file` needs `page.username`"),
        ("username = \"a\"\npassword_file = \"/nowhere/password\"", "/nowhere/password"),
        ("username = \"a:b\"\npassword_file = \"/etc/hostname\"", "colon"),
        ("origins = [\"http://localhost:8080/\"]", "nothing after them"),
        ("origins = [\"*\"]", "`page.origins` contains \"*\""),
        ("url = \"hall.example\"", "https://hall.example/"),
        ("url = \"https://a:b@hall.example\"", "https://hall.example/"),
    ] {
        let said = refusal(page);
        assert!(said.contains(words), "{page}: {said}");
    }
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let said = refusal(&format!("listen = \"{}\"", taken.local_addr().unwrap()));
    assert!(said.contains("another program may have it"), "{said}");
}

#[test]
fn many_slow_and_giant_clients_neither_fill_it_nor_keep_others_out() {
    let stage = Stage::idle("");
    let serves = || stage.status("/", HOST) == 200;
    assert!(serves());
    // When everything else has taken what it takes.
    assert_eq!(stage.stream("").filter(|(name, _)| name == "summary").take(3).count(), 3);
    let before = stage.resident();

    // Silent ones, more than there are places.
    let silent: Vec<_> = (0..200).map(|_| stage.connect()).collect();
    assert!(serves());
    // One byte at a time: let go after two seconds, whatever it still sends.
    let begin = Instant::now();
    let mut slow = stage.connect();
    let mut ended = false;
    for byte in b"GET / HTTP/1.1\r\nHost: localhost\r\nX: ".iter().chain(std::iter::repeat(&b'x')) {
        if slow.write_all(&[*byte]).is_err() || begin.elapsed() > PATIENCE {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
        slow.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
        if matches!(slow.read(&mut [0; 64]), Ok(0)) {
            ended = true;
            break;
        }
    }
    assert!(ended || begin.elapsed() < PATIENCE, "a slow client is still there");
    assert!(begin.elapsed() >= Duration::from_millis(1500), "{:?}", begin.elapsed());
    drop(silent);
    // Heads without an end.
    for _ in 0..20 {
        let mut giant = stage.connect();
        write!(giant, "GET / HTTP/1.1\r\nX: ").unwrap();
        let _cut = giant.write_all(&[b'x'; 1 << 20]);
    }
    let answer = {
        let mut giant = stage.connect();
        write!(giant, "GET / HTTP/1.1\r\nX: {}", "x".repeat(8200)).unwrap();
        let mut answer = String::new();
        let _reset = giant.read_to_string(&mut answer);
        answer
    };
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431 "), "{answer}");
    // As many streams as there may be, and no more; those who take nothing are let go.
    let streams: Vec<_> = (0..16).map(|_| stage.stream("")).collect();
    assert!(streams.iter().all(|stream| stream.head.contains("200 OK")));
    let beyond = stage.stream("");
    assert!(
        beyond.head.starts_with("HTTP/1.1 503 ") && beyond.head.contains("Retry-After"),
        "{}",
        beyond.head
    );
    assert!(serves());
    let grown = stage.resident().saturating_sub(before);
    assert!(grown < 4096, "{grown} KiB more");
    drop(streams);
    let deadline = Instant::now() + PATIENCE;
    while !stage.stream("").head.contains("200 OK") {
        assert!(Instant::now() < deadline, "the places of those who have gone stay taken");
    }
}

#[test]
fn a_reload_keeps_the_page_or_takes_it_away_and_cannot_open_another() {
    let stage = Stage::idle("");
    let mut stream = stage.stream("");
    stage.rewrite(str::to_owned);
    stage.daemon.line("restarting with it", 1);
    // The same connection is told what holds now.
    let infos = stream.by_ref().filter(|(name, _)| name == "info").take(2).count();
    assert_eq!(infos, 2);
    let port = stage.port.to_string();
    stage.rewrite(|text| text.replace(&port, &free_port().to_string()));
    stage.daemon.wait_line(&["the old configuration stays in force", "restart emotiond"]);
    assert_eq!(stage.status("/", HOST), 200);
    stage.rewrite(|text| text.replace("enabled = true", "enabled = false"));
    stage.daemon.line("restarting with it", 2);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", stage.port)).is_ok() {
        assert!(Instant::now() < deadline, "still listening: {}", stage.daemon.log());
        std::thread::sleep(Duration::from_millis(50)); // between two looks
    }
    // The stream ends, after what was on its way.
    assert!(stream.count() < 100);
}

#[test]
fn by_default_there_is_no_page() {
    let folder = tempfile::tempdir().unwrap();
    let config = configure(folder.path(), "embedded", &format!("listen = \"127.0.0.1:{}\"", free_port()));
    let daemon = Daemon::run(&config);
    daemon.wait_line(&["the embedded broker listens"]);
    assert!(!daemon.log().contains("the page"), "{}", daemon.log());
    let threads = threads(&daemon);
    assert!(threads.contains(&"broker".to_owned()) && !threads.contains(&"page".to_owned()), "{threads:?}");
}

fn threads(daemon: &Daemon) -> Vec<String> {
    let tasks = fs::read_dir(format!("/proc/{}/task", daemon.child.id())).unwrap();
    tasks
        .map(|task| fs::read_to_string(task.unwrap().path().join("comm")).unwrap().trim().to_owned())
        .collect()
}
