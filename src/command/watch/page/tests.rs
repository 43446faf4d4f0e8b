//! The page in a terminal of memory.

use std::time::Duration;

use jiff::Timestamp;
use ratatui::Terminal;
use ratatui::backend::TestBackend;

use super::*;
use crate::command::watch::devices;

const SUMMARY: &str = r#"{"sequence":12,"window":{"seconds":10.0},"faces":{"mean":1.0,"max":1,"people":2},
    "expression":{"distribution":{"neutral":0.0,"happiness":0.996,"surprise":0.002,"sadness":0.0,"anger":0.001,
    "disgust":0.001,"fear":0.0,"contempt":0.0}},"valence":{"mean":0.806},"arousal":{"mean":0.51},
    "action_units":{"AU1":0.065,"AU2":0.24,"AU4":0.1,"AU5":0.09,"AU7":0.37,"AU12":0.869,"AU17":0.01,"AU20":0.26,
    "AU25":0.44,"AU27":0.05},"suppressed":null,"quality":{"camera":"ok","frames":50,"dropped":0}}"#;

fn page(messages: &[(&str, &str)], begin: Instant) -> Page {
    let mut devices = Devices::new();
    for (topic, body) in messages {
        devices::take(&mut devices, topic, body, begin, Timestamp::UNIX_EPOCH);
    }
    Page { devices, shown: "hall".to_owned(), broker: "mqtt://127.0.0.1:1883".to_owned(), trouble: None }
}

fn drawn(page: &Page, width: u16, height: u16, now: Instant) -> Vec<String> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, page, now)).unwrap();
    let buffer = terminal.backend().buffer();
    let row = |y| (0..width).map(|x| buffer[(x, y)].symbol()).collect::<String>();
    (0..height).map(|y| row(y).trim_end().to_owned()).collect()
}

#[test]
fn everything_is_on_the_page() {
    let begin = Instant::now();
    let event =
        r#"{"trigger":"smile","phase":"start","time":"2026-11-29T04:33:01.0Z","value":0.9,"seconds":2.0}"#;
    let health = r#"{"captured_fps":25.0,"fps":5.0,"queued":3,"temperature":48.3,"memory":61.4}"#;
    let page = page(
        &[
            ("emotiond/hall/status", "online"),
            ("emotiond/kitchen/status", "online"),
            ("emotiond/hall/summary", SUMMARY),
            ("emotiond/hall/health", health),
            ("emotiond/hall/event/smile", event),
        ],
        begin,
    );
    let rows = drawn(&page, 80, 24, begin + Duration::from_secs(4));
    let text = rows.join("\n");
    for words in [
        " hall   kitchen ",
        "mqtt://127.0.0.1:1883 connected",
        "online   camera ok   5.0 frames/s analysed   3 waiting   25.0 captured   48 °C",
        "faces 1.0 (1 at most, 2 people)",
        "hall: window 12 of 10.0 s, 4 s ago",
        "happiness",
        "100 %",
        "valence +0.81  arousal +0.51",
        "excited",
        "unpleasant",
        "AU12 ██████▏ 0.87",
        "04:33:01  smile: start after 2.0 s, value 0.90",
        "←/→ another device",
    ] {
        assert!(text.contains(words), "{words:?} is not on\n{text}");
    }
    // Right of the middle and above it.
    let (y, row) = rows.iter().enumerate().find(|(_, row)| row.contains('●')).unwrap();
    let axis = rows.iter().position(|row| row.contains('┼')).unwrap();
    let column = |row: &str, c| row.chars().position(|found| found == c).unwrap();
    assert!(y < axis && column(row, '●') > column(&rows[axis], '┼'), "{text}");
}

#[test]
fn the_trail_stays_in_its_field_at_the_ends_of_the_scales() {
    let begin = Instant::now();
    let corner = |valence: f64, arousal: f64| {
        let body = format!(r#"{{"valence":{{"mean":{valence}}},"arousal":{{"mean":{arousal}}}}}"#);
        page(&[("emotiond/hall/summary", &body)], begin)
    };
    for (width, height) in [(72, 20), (80, 24), (81, 25), (200, 60)] {
        for (valence, arousal) in [(-1.0, -1.0), (1.0, 1.0), (-1.0, 1.0), (1.0, -1.0), (0.0, 0.0)] {
            let text = drawn(&corner(valence, arousal), width, height, begin).join("\n");
            assert_eq!(text.matches('●').count(), 1, "{width}×{height} {valence} {arousal}\n{text}");
        }
    }
}

#[test]
fn what_is_missing_is_said() {
    let begin = Instant::now();
    let empty = page(&[], begin);
    assert!(drawn(&empty, 80, 24, begin).join("\n").contains("nothing has been heard of \"hall\" yet"));
    for (why, words) in [
        ("nobody", "nobody is there"),
        ("site", "no emotion is read at this site"),
        ("min_people", "too few people"),
    ] {
        let body = format!(r#"{{"suppressed":"{why}","faces":null}}"#);
        let text = drawn(&page(&[("emotiond/hall/summary", &body)], begin), 80, 24, begin).join("\n");
        assert!(text.contains(words) && text.contains("nothing was seen"), "{text}");
    }
    let mut lost = page(&[("emotiond/hall/pause/state", "ON")], begin);
    lost.trouble = Some("connection refused".to_owned());
    let text = drawn(&lost, 80, 24, begin).join("\n");
    assert!(text.contains("1883: connection refused") && text.contains("camera paused"), "{text}");
    for (width, height) in [(1, 1), (10, 3), (71, 40), (200, 19)] {
        let text = drawn(&lost, width, height, begin).concat();
        assert!(!text.contains("camera"), "{width}×{height}: {text}");
    }
}

#[test]
fn nothing_that_acts_on_a_terminal_is_in_any_cell() {
    let begin = Instant::now();
    let evil = "\\u001b[2J\\u009b31m\\u202e\\u0007";
    let body = format!(
        r#"{{"expression":{{"distribution":{{"{evil}":0.5}}}},"action_units":{{"{evil}":1}},"suppressed":"{evil}",
            "quality":{{"camera":"{evil}"}}}}"#
    );
    let event = format!(r#"{{"trigger":"{evil}","phase":"{evil}","time":"{evil}{evil}"}}"#);
    let mut page = page(
        &[
            ("emotiond/hall/status", "\u{1b}]0;title\u{7}"),
            ("emotiond/hall/summary", &body),
            ("emotiond/hall/event/a", &event),
        ],
        begin,
    );
    page.trouble = None;
    let text = drawn(&page, 80, 24, begin).concat();
    assert!(
        text.contains("\\u001b") && !text.contains(|c: char| c.is_control() || c == '\u{202e}'),
        "{text:?}"
    );
}

#[test]
fn devices_are_chosen_in_a_circle() {
    let mut page = page(
        &[
            ("emotiond/attic/status", "online"),
            ("emotiond/hall/status", "online"),
            ("emotiond/shed/status", "online"),
        ],
        Instant::now(),
    );
    let mut turned = |forward| {
        page.turn(forward);
        page.shown.clone()
    };
    assert_eq!([turned(true), turned(true), turned(true)], ["shed", "attic", "hall"]);
    assert_eq!([turned(false), turned(false)], ["attic", "shed"]);
}
