//! What can be written, what cannot, and what is said about it.

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::publish::settings::Broker;
use emotiond_core::report::trigger::Level;

fn parse(text: &str) -> Result<Settings, ConfigError> {
    Settings::parse(text, Path::new("test.toml"), &Overrides::default())
}

/// The message that a configuration is refused with.
fn refusal(text: &str) -> String {
    parse(text).err().unwrap_or_else(|| panic!("accepted:\n{text}")).to_string()
}

/// The example with every commented-out key switched on, but those whose shown value is only a form to fill in.
fn example_switched_on() -> String {
    let forms = [
        "#device",
        "#format",
        "#directory",
        "#state_directory",
        "#legal_basis",
        "#username",
        "#password_file",
        "#ca_file",
        "#client_",
        "#id",
        "#listen = \"127.0.0.1:9464",
        "#cpu",
        "#smoothing_",
        "#blend = ",
    ];
    let on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if forms.iter().any(|form| line.starts_with(form)) => format!("# {rest}"),
        Some(rest)
            if rest.starts_with("[[") || rest.split_once(" = ").is_some_and(|(key, _)| is_key(key)) =>
        {
            rest.to_owned()
        }
        _ => line.to_owned(),
    };
    EXAMPLE.lines().map(on).collect::<Vec<_>>().join("\n")
}

fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

#[test]
fn the_shipped_example_is_valid() {
    let settings = parse(EXAMPLE).unwrap();
    assert_eq!(settings.privacy.site, Site::Home);
}

#[test]
fn what_the_example_shows_as_defaults_are_the_defaults() {
    let text = example_switched_on();
    assert!(text.contains("\nwindow = ") && text.contains("\n[[trigger]]"), "{text}");
    let mut shown = parse(&text).unwrap();
    assert_eq!(shown.triggers.len(), 1, "the example trigger");
    shown.triggers.clear();
    let defaults = parse("site = \"home\"").unwrap();
    assert_eq!(format!("{shown:#?}"), format!("{defaults:#?}"));
}

#[test]
fn every_key_is_in_the_example() {
    // A key that exists and is not shown would make this list of all keys fail to match.
    let raw = include_str!("raw.rs");
    let keys =
        raw.lines().filter_map(|line| line.trim().strip_prefix("pub ")?.split_once(": ")).map(|(k, _)| k);
    for key in keys.filter(|key| {
        !["camera", "models", "faces", "summary", "privacy", "mqtt", "home_assistant", "metrics", "page"]
            .contains(key)
    }) {
        let written = match key {
            "hold" => "for",
            "triggers" => continue,
            "below" => continue, // the counterpart of `above`
            key => key,
        };
        let shown = |line: &str| line.trim_start_matches('#').starts_with(&format!("{written} = "));
        assert!(EXAMPLE.lines().any(shown), "{written} is not in the example");
    }
}

#[test]
fn the_site_has_no_default() {
    assert!(refusal("device = \"hall\"").contains("`site` is missing"));
    assert!(refusal("site = \"garden\"").contains("unknown variant `garden`"));
}

#[test]
fn unknown_keys_are_refused_with_name_and_line() {
    let message = refusal("site = \"home\"\n[camera]\nsorce = \"v4l2:/dev/video0\"\n");
    assert!(
        message.contains("line 3") && message.contains("sorce") && message.contains("source"),
        "{message}"
    );
    assert!(refusal("site = \"home\"\n[mqqt]\n").contains("mqqt"));
    assert!(
        refusal("site = \"home\"\n[[trigger]]\nname = \"a\"\nsignal = \"faces\"\nabove = 1\nlevel = 2\n")
            .contains("level")
    );
}

#[test]
fn values_out_of_range_are_refused_with_the_key_and_the_range() {
    for (text, key) in [
        ("[camera]\nrate = 0.0", "camera.rate"),
        ("[camera]\nrate = nan", "camera.rate"),
        ("[camera]\nwidth = 3", "camera.width"),
        ("[camera]\nreplay_fps = inf", "camera.replay_fps"),
        ("[camera]\ntimeout = \"1h\"", "camera.timeout"),
        ("[camera]\nsource = \"/dev/video0\"", "camera.source"),
        ("[camera]\nformat = \"h264\"", "camera.format"),
        ("[camera]\nstride = 640", "camera.stride"),
        ("[camera]\nsource = \"stream:-\"\nformat = \"yu12\"\nstride = 639", "camera.stride"),
        ("[summary]\nwindow = \"1ms\"", "summary.window"),
        ("[privacy]\nmin_people = 0", "privacy.min_people"),
        ("[privacy]\nlegal_basis = \" \"", "privacy.legal_basis"),
        ("[faces]\nmin_size = 0", "faces.min_size"),
        ("[mqtt]\nqueue = 0", "mqtt.queue"),
        ("[mqtt]\nkeep = \"1s\"", "mqtt.keep"),
        ("[summary]\nwindow = \"1s\"\n[mqtt]\nkeep = \"30d\"", "2592000 windows of 1s"),
        ("[mqtt]\nstate_directory = \"lib/emotiond\"", "mqtt.state_directory"),
        ("[mqtt]\nurl = \"http://broker\"", "mqtt.url"),
        ("[mqtt]\nlisten = \"localhost\"", "mqtt.listen"),
        ("[mqtt]\nusername = \"a\"", "mqtt.password_file"),
        ("[mqtt]\nurl = \"mqtt://broker\"\nca_file = \"/ca.pem\"", "mqtts"),
        ("[home_assistant]\nprefix = \"a/#\"", "home_assistant.prefix"),
        ("device = \"a/b\"", "a/b"),
        ("[[trigger]]\nname = \"a\"\nsignal = \"expression.joy\"\nabove = 0.5", "joy"),
        ("[[trigger]]\nname = \"a\"\nsignal = \"valence\"", "above"),
        ("[[trigger]]\nname = \"a\"\nsignal = \"visit\"\nabove = 0.5", "leave out `above`"),
    ] {
        let message = refusal(&format!("site = \"home\"\n{text}\n"));
        assert!(message.contains(key), "{text}: {message}");
        assert!(message.contains("test.toml"), "{message}");
    }
}

#[test]
fn durations_are_written_for_people() {
    let settings = parse("site = \"home\"\n[summary]\nwindow = \"1m 30s\"").unwrap();
    assert_eq!(settings.window, Duration::from_secs(90));
    assert!(refusal("site = \"home\"\n[summary]\nwindow = \"ten\"").contains("\"10s\""));
}

#[test]
fn emotion_is_forbidden_in_education_and_at_work_unless_a_reason_is_given() {
    for (site, emotion) in
        [("home", true), ("retail", true), ("research", true), ("education", false), ("workplace", false)]
    {
        let privacy = parse(&format!("site = \"{site}\"")).unwrap().privacy;
        assert_eq!((privacy.policy.emotion, privacy.policy.facing), (emotion, emotion), "{site}");
        let text = format!("site = \"{site}\"\n[privacy]\nlegal_basis = \"fatigue warning, safety\"\n");
        assert!(parse(&text).unwrap().privacy.policy.emotion, "{site}");
    }
    let asked = parse("site = \"education\"\n[privacy]\nfacing = true\n").unwrap().privacy.policy;
    assert!(asked.facing && !asked.emotion);
}

#[test]
fn topics_of_the_embedded_broker_are_filters_few_and_its_own() {
    let topics =
        |topics: &str| format!("site = \"home\"\n[mqtt]\nurl = \"embedded\"\nembedded_topics = [{topics}]\n");
    let accepted = parse(&topics("\"kitchen/#\", \"+/door\", \"#\"")).unwrap();
    assert_eq!(accepted.mqtt.embedded_topics, ["kitchen/#", "+/door", "#"]);
    for wrong in ["a/#/b", "a+/b", "", "a#", "kitchen/+door", "x\\u0000"] {
        let refusal = refusal(&topics(&format!("\"{wrong}\"")));
        assert!(refusal.contains("`mqtt.embedded_topics`") && refusal.contains("\"kitchen/#\""), "{refusal}");
    }
    let many: Vec<_> = (0..=1000).map(|number| format!("\"t/{number}\"")).collect();
    let refusal_of_many = refusal(&topics(&many.join(", ")));
    assert!(
        refusal_of_many.contains("has 1001 filters") && refusal_of_many.contains("at most"),
        "{refusal_of_many}"
    );
    let elsewhere = topics("\"t/#\"").replace("embedded\"", "mqtt://broker\"");
    assert!(refusal(&elsewhere).contains("is for the embedded broker"));
}

#[test]
fn an_embedded_broker_that_others_can_reach_asks_for_credentials() {
    let open = "site = \"home\"\n[mqtt]\nlisten = \"0.0.0.0:1883\"\n";
    assert!(refusal(open).contains("password_file"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, "hunter2\n").unwrap();
    let text = format!("{open}username = \"hall\"\npassword_file = {file:?}\n");
    let settings = parse(&text).unwrap();
    assert_eq!(settings.mqtt.broker, Broker::Embedded);
    assert!(!format!("{settings:?}").contains("hunter2"), "a password must not be printable");
}

#[test]
fn what_is_kept_on_disk_is_bounded_in_windows() {
    let text = |window: &str, keep: &str| {
        format!(
            "site = \"home\"\n[summary]\nwindow = {window:?}\n[mqtt]\nurl = \"mqtt://broker\"\n{keep}\nstate_directory = \"/var/lib/x\"\n"
        )
    };
    let limit = |window: &str, keep: &str| parse(&text(window, keep)).unwrap().mqtt.durable.unwrap().limit;
    assert_eq!(limit("10s", ""), 7 * 8640);
    assert_eq!(limit("7s", "keep = \"1m\""), 9);
    assert_eq!(limit("1h", "keep = \"1m\""), 1);
    let embedded = text("10s", "").replace("url = \"mqtt://broker\"\n", "");
    assert_eq!(parse(&embedded).unwrap().mqtt.durable, None, "its broker is never away");
}

#[test]
fn the_command_line_overrides_the_source() {
    let overrides = Overrides { source: Some("replay:-".to_owned()), ..Overrides::default() };
    let settings = Settings::parse("site = \"home\"", Path::new("test.toml"), &overrides).unwrap();
    assert_eq!(settings.camera.source.to_string(), "replay:-");
}

#[test]
fn a_configuration_is_a_regular_file_of_bounded_size() {
    let folder = tempfile::tempdir().unwrap();
    let (large, pipe) = (folder.path().join("large.toml"), folder.path().join("pipe"));
    std::fs::write(&large, "#".repeat((1 << 20) + 1)).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    for (path, what) in [
        (Path::new("/dev/zero"), "it is a device"),
        (&pipe, "it is a named pipe"),
        (folder.path(), "it is a folder"),
        (&large, "it has 1048577 bytes or more, and may have 1048576"),
    ] {
        let error = Settings::load(Some(path), &Overrides::default()).unwrap_err().to_string();
        assert!(error.contains(what) && error.contains(&*path.to_string_lossy()), "{error}");
        let text = format!("site = \"home\"\n[mqtt]\nusername = \"a\"\npassword_file = {path:?}\n");
        let error = refusal(&text);
        assert!(error.contains("password_file") && error.contains("it "), "{error}");
    }
}

#[test]
fn a_missing_file_is_named_with_the_remedy() {
    let message = Settings::load(Some(Path::new("/nonexistent/emotiond.toml")), &Overrides::default())
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("/nonexistent/emotiond.toml") && message.contains("emotiond config"),
        "{message}"
    );
}

#[test]
fn a_detector_of_earlier_versions_is_refused_with_the_remedy() {
    for name in ["auto", "blazeface-short", "blazeface-back"] {
        let message = refusal(&format!("site = \"home\"\n[models]\ndetector = \"{name}\"\n"));
        assert!(message.contains(name) && message.contains("leave the key out"), "{message}");
    }
    assert!(parse("site = \"home\"\n[models]\ndetector = \"./blazeface-like.toml\"\n").is_ok());
}

#[test]
fn the_notice_says_what_the_settings_do() {
    let notice = |text: &str| {
        let settings = parse(text).unwrap();
        settings.privacy.notice(settings.window, &settings.models.sequences)
    };
    assert_eq!(
        notice("site = \"home\""),
        "A camera counts faces here and how long each stays, notes whether and how long they are turned to it, and \
         estimates the expressions they show. \
         Numbers about 10s at a time leave the device, and events. No picture is stored or sent, and nobody is \
         recognized. Site: home."
    );
    let work = notice("site = \"workplace\"");
    assert!(
        work.starts_with(
            "A camera counts faces here and how long each stays and does not estimate what they show. Numbers"
        ),
        "{work}"
    );
    let basis = notice(
        "site = \"workplace\"\n[privacy]\nlegal_basis = \"Fatigue of crane drivers.\"\nmin_people = 3",
    );
    for words in [
        "estimates the expressions",
        "here: Fatigue of crane drivers. ",
        "only of 3 or more people",
        "of 3 or more visits",
    ] {
        assert!(basis.contains(words), "{words}: {basis}");
    }
}

#[test]
fn watchers_are_measured_where_the_law_is_strict_only_if_named_with_a_legal_basis() {
    for site in ["education", "workplace"] {
        let config = |rest: &str| parse(&format!("site = {site:?}\n[privacy]\n{rest}\n"));
        for rest in ["", "facing = true", "legal_basis = \"Fatigue.\""] {
            assert!(!config(rest).unwrap().privacy.policy.watchers, "{site}: {rest}");
        }
        let message = config("watchers = true").unwrap_err().to_string();
        assert!(message.contains("`privacy.legal_basis`"), "{message}");
        assert!(config("watchers = true\nlegal_basis = \"Fatigue.\"").unwrap().privacy.policy.watchers);
    }
    assert!(parse("site = \"retail\"").unwrap().privacy.policy.watchers);
    assert!(!parse("site = \"retail\"\n[privacy]\nfacing = false").unwrap().privacy.policy.watchers);
}

#[test]
fn visits_are_watched_without_a_level() {
    let settings = parse("site = \"home\"\n[[trigger]]\nname = \"door\"\nsignal = \"visit\"\n").unwrap();
    assert_eq!(settings.triggers[0].level, Level::Presence);
}
