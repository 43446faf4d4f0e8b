//! The metrics of the built program, read by Debian's Prometheus.

#![allow(clippy::unwrap_used, reason = "a test may")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use support::PATIENCE;
use support::daemon::Daemon;
use support::mosquitto::{Mosquitto, free_port};

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/prometheus");
const PHOTO: &str = concat!("replay:", env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");

fn configure(folder: &Path, source: &str, port: u16, broker: &str) -> std::path::PathBuf {
    let path = folder.join("emotiond.toml");
    let config = format!(
        "site = \"home\"\ndevice = \"hall\"\n[camera]\nsource = {source:?}\n[summary]\nwindow = \"1s\"\n\
         [metrics]\nlisten = \"127.0.0.1:{port}\"\n[mqtt]\nurl = {broker:?}\n"
    );
    fs::write(&path, config).unwrap();
    path
}

/// The head and the body of an answer; `None` if nobody listens.
fn get(port: u16, path: &str, accept: &str) -> Option<(String, String)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\nConnection: close\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    let (head, body) = answer.split_once("\r\n\r\n")?;
    Some((head.to_owned(), body.to_owned()))
}

/// Asks again and again until the answer is accepted.
fn until(port: u16, path: &str, accept: &str, accepted: impl Fn(&str, &str) -> bool) -> (String, String) {
    let deadline = Instant::now() + PATIENCE;
    let mut last = None;
    while Instant::now() < deadline {
        last = get(port, path, accept);
        if let Some((head, body)) = last.as_ref().filter(|(head, body)| accepted(head, body)) {
            return (head.clone(), body.clone());
        }
        std::thread::sleep(Duration::from_millis(50)); // between two questions
    }
    panic!("waited in vain: {last:?}");
}

/// Debian's Prometheus, killed when dropped.
struct Prometheus(Child, u16);

impl Prometheus {
    fn scraping(folder: &Path, emotiond: u16) -> Self {
        let port = free_port();
        let config = fs::read_to_string(format!("{EXAMPLES}/prometheus.yml")).unwrap();
        let config = config
            .replace("127.0.0.1:9464", &format!("127.0.0.1:{emotiond}"))
            .replace("scrape_interval: 15s", "scrape_interval: 1s");
        fs::write(folder.join("prometheus.yml"), config).unwrap();
        fs::copy(format!("{EXAMPLES}/alerts.yml"), folder.join("alerts.yml")).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", folder.join("prometheus.yml").display()))
            .arg(format!("--storage.tsdb.path={}", folder.join("data").display()))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child, port)
    }

    /// The results of a query.
    fn query(&self, query: &str, accepted: impl Fn(&Value) -> bool) -> Value {
        let path = format!(
            "/api/v1/query?query={}",
            url::form_urlencoded::byte_serialize(query.as_bytes()).collect::<String>()
        );
        let value = |body: &str| serde_json::from_str::<Value>(body).unwrap_or_default();
        let (_, body) = until(self.1, &path, "*/*", |_, body| accepted(&value(body)));
        value(&body)["data"]["result"].clone()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ended_before = self.0.kill();
        let _ended_before = self.0.wait();
    }
}

fn promtool(arguments: &[&str], input: &str) -> (bool, String) {
    let mut child = Command::new("promtool")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    (output.status.success(), text)
}

/// The metrics of a text in Prometheus' older format, by the names of its comments.
fn names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines.map(|line| line.split(' ').next().unwrap().to_owned()).collect()
}

#[test]
fn prometheus_reads_what_the_documents_say() {
    let (folder, broker, port) = (tempfile::tempdir().unwrap(), Mosquitto::start(), free_port());
    let config = configure(folder.path(), PHOTO, port, &broker.url());
    let mut daemon = Daemon::run(&config);
    let (head, text) = until(port, "/metrics", "text/plain", |_, body| {
        body.contains("expression_ratio{expression=\"happiness\"} 0.9")
    });
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n") && head.contains("text/plain; version=0.0.4"), "{head}");
    assert!(text.contains("emotiond_camera_state{state=\"ok\"} 1.0"), "{text}");
    let (clean, complaints) = promtool(&["check", "metrics"], &text);
    assert!(clean && complaints.is_empty(), "{complaints}");
    assert_eq!(get(port, "/healthz", "*/*").unwrap().1, "ok\n");

    let documented = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md")).unwrap();
    let documented: BTreeSet<_> = documented
        .lines()
        .filter_map(|line| line.strip_prefix("| `")?.split('`').next())
        .map(str::to_owned)
        .collect();
    // Of the machine, and of a disk that is not configured here.
    let may_be_absent = ["emotiond_temperature_celsius", "emotiond_summaries_on_disk"].map(str::to_owned);
    let missing: BTreeSet<_> = documented.symmetric_difference(&names(&text)).cloned().collect();
    assert!(missing.is_subset(&may_be_absent.into()), "{missing:?}");

    let prometheus = Prometheus::scraping(folder.path(), port);
    let windows = prometheus.query("emotiond_windows_total", |answer| {
        answer["data"]["result"][0]["value"][1]
            .as_str()
            .is_some_and(|value| value.parse::<u64>().is_ok_and(|n| n > 2))
    });
    assert_eq!(windows[0]["metric"]["job"], "emotiond");
    let success = |answer: &Value| answer["status"] == "success";
    assert_eq!(prometheus.query("up{job=\"emotiond\"}", success)[0]["value"][1], "1");
    let frame = "emotiond_stage_duration_seconds_bucket{stage=\"frame\",le=\"+Inf\"}";
    assert!(prometheus.query(frame, success)[0]["value"][1].is_string());

    // Every query of the dashboard is one, and finds something where there is something.
    let dashboard: Value =
        serde_json::from_str(&fs::read_to_string(format!("{EXAMPLES}/dashboard.json")).unwrap()).unwrap();
    let mut found = 0;
    for panel in dashboard["panels"].as_array().unwrap() {
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap().replace("$instance", ".*");
            found += usize::from(prometheus.query(&query, success)[0].is_object());
        }
    }
    assert!(found >= 7, "only {found} queries of the dashboard find anything");

    daemon.signal("TERM");
    assert!(daemon.ended().success(), "{}", daemon.log());
}

#[test]
fn the_alert_rules_fire_when_they_should() {
    let (good, text) = promtool(&["test", "rules", &format!("{EXAMPLES}/alerts.test.yml")], "");
    assert!(good, "{text}");
}

#[test]
fn a_reload_keeps_the_listener_or_takes_it_away() {
    let (folder, broker, port) = (tempfile::tempdir().unwrap(), Mosquitto::start(), free_port());
    let config = configure(folder.path(), "v4l2:/dev/emotiond-none", port, &broker.url());
    let daemon = Daemon::run(&config);
    until(port, "/metrics", "application/openmetrics-text", |head, body| {
        head.contains("application/openmetrics-text")
            && body.ends_with("# EOF\n")
            && body.contains("emotiond_camera_state{state=\"lost\"} 1.0")
    });
    daemon.signal("HUP");
    daemon.line("restarting with it", 1);
    until(port, "/healthz", "*/*", |_, body| body == "ok\n");
    let text = fs::read_to_string(&config).unwrap();
    let before = text.split("[metrics]").next().unwrap();
    fs::write(&config, format!("{before}[mqtt]\nurl = {:?}\n", broker.url())).unwrap();
    daemon.signal("HUP");
    daemon.line("restarting with it", 2);
    let deadline = Instant::now() + PATIENCE;
    while TcpStream::connect(("127.0.0.1", port)).is_ok() {
        assert!(Instant::now() < deadline, "still listening: {}", daemon.log());
        std::thread::sleep(Duration::from_millis(50));
    }
}
