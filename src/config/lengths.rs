//! How many triggers there may be, and how long each text: what is longer is a mistake, and would be repeated in every
//! message and log line that names it.

use std::path::Path;

use anyhow::{Result, ensure};

use super::raw;

/// The most triggers: each is followed at every frame.
const MOST_TRIGGERS: usize = 64;
/// The longest path, Linux's own bound.
const PATH: usize = 4096;
/// The longest name that becomes the level of a topic.
const NAME: usize = 64;
/// The longest broker address: the longest host name has 253 characters.
const ADDRESS: usize = 300;
/// The longest user name, and the longest prefix of Home Assistant.
const ACCOUNT: usize = 256;
/// The longest legal basis: it is part of the notice, of `info` and of the log.
const SENTENCE: usize = 1000;

pub(super) fn check(file: &raw::File) -> Result<()> {
    let raw::File { device, camera, models, privacy, mqtt, home_assistant, metrics, page, triggers, .. } =
        file;
    for (key, text, most) in [
        ("device", device.as_deref(), NAME),
        ("camera.source", Some(&*camera.source), PATH),
        ("camera.format", camera.format.as_deref(), NAME),
        ("models.detector", Some(&models.detector), PATH),
        ("models.emotion", Some(&models.emotion), PATH),
        ("models.blend", models.blend.as_deref(), PATH),
        ("privacy.legal_basis", privacy.legal_basis.as_deref(), SENTENCE),
        ("mqtt.url", Some(&mqtt.url), ADDRESS),
        ("mqtt.listen", mqtt.listen.as_deref(), ADDRESS),
        ("mqtt.username", mqtt.username.as_deref(), ACCOUNT),
        ("home_assistant.prefix", Some(&home_assistant.prefix), ACCOUNT),
        ("home_assistant.id", home_assistant.id.as_deref(), NAME),
        ("metrics.listen", metrics.listen.as_deref(), ADDRESS),
        ("page.listen", page.listen.as_deref(), ADDRESS),
        ("page.username", page.username.as_deref(), ACCOUNT),
        ("page.url", page.url.as_deref(), ADDRESS),
    ] {
        text.map_or(Ok(()), |text| checked(key, text, most))?;
    }
    for (key, path) in [
        ("models.directory", &models.directory),
        ("mqtt.password_file", &mqtt.password_file),
        ("mqtt.ca_file", &mqtt.ca_file),
        ("mqtt.client_certificate_file", &mqtt.client_certificate_file),
        ("mqtt.client_key_file", &mqtt.client_key_file),
        ("mqtt.state_directory", &mqtt.state_directory),
        ("page.password_file", &page.password_file),
    ] {
        let text = path.as_deref().map(Path::to_string_lossy);
        text.map_or(Ok(()), |text| checked(key, &text, PATH))?;
    }
    for name in &models.sequences {
        checked("models.sequences", name, PATH)?;
    }
    let count = triggers.len();
    ensure!(
        count <= MOST_TRIGGERS,
        "there are {count} [[trigger]] tables; {MOST_TRIGGERS} at most are followed"
    );
    for trigger in triggers {
        checked("trigger.name", &trigger.name, NAME)?;
        checked("trigger.signal", &trigger.signal, NAME)?;
    }
    Ok(())
}

fn checked(key: &str, text: &str, most: usize) -> Result<()> {
    let length = text.chars().count();
    ensure!(length <= most, "`{key}` has {length} characters; {most} at most are allowed: shorten it");
    let odd = text.chars().find(|c| c.is_control());
    ensure!(odd.is_none(), "`{key}` is {text:?}; it must be one line without control characters");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use crate::config::{Overrides, Settings};

    fn outcome(text: &str) -> Result<(), String> {
        let text = format!("site = \"home\"\n{text}\n");
        let parsed = Settings::parse(&text, Path::new("test.toml"), &Overrides::default());
        parsed.map(drop).map_err(|error| error.to_string())
    }

    #[test]
    fn each_text_has_a_longest_length_which_its_error_says_without_repeating_the_text() {
        for (table, key, most) in [
            ("", "device", 64),
            ("camera", "source", 4096),
            ("models", "directory", 4096),
            ("models", "detector", 4096),
            ("models", "emotion", 4096),
            ("privacy", "legal_basis", 1000),
            ("mqtt", "url", 300),
            ("mqtt", "listen", 300),
            ("mqtt", "username", 256),
            ("mqtt", "password_file", 4096),
            ("mqtt", "client_key_file", 4096),
            ("home_assistant", "prefix", 256),
            ("home_assistant", "id", 64),
            ("metrics", "listen", 300),
            ("page", "listen", 300),
            ("page", "username", 256),
            ("page", "password_file", 4096),
            ("page", "url", 300),
        ] {
            let head = if table.is_empty() { String::new() } else { format!("[{table}]\n") };
            let error = outcome(&format!("{head}{key} = \"{}\"", "x".repeat(300_000))).unwrap_err();
            assert!(error.contains(&format!("{key}` has 300000 characters; {most} at most")), "{error}");
            assert!(!error.contains("xxxx"), "{error}");
            let error = outcome(&format!("{head}{key} = \"a\\u001b[2Jb\"")).unwrap_err();
            assert!(error.contains(key) && error.contains("control characters"), "{error}");
            assert!(!error.contains('\u{1b}'), "{error}");
        }
        assert_eq!(outcome(&format!("[privacy]\nlegal_basis = \"{}\"", "é".repeat(1000))), Ok(()));
        assert_eq!(outcome(&format!("device = \"{}\"", "x".repeat(64))), Ok(()));
    }

    #[test]
    fn triggers_are_counted() {
        let table = |number| format!("[[trigger]]\nname = \"t{number}\"\nsignal = \"faces\"\nabove = 1\n");
        let tables = |count| (0..count).map(table).collect::<String>();
        assert_eq!(outcome(&tables(64)), Ok(()));
        let error = outcome(&tables(65)).unwrap_err();
        assert!(error.contains("65 [[trigger]] tables; 64 at most"), "{error}");
    }
}
