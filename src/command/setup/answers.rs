//! What was answered, and the configuration that says so.

use anyhow::Context as _;

use crate::capture::Spec;
use crate::config::EXAMPLE;
use crate::publish::settings::Broker;
use emotiond_core::report::payload::DeviceName;
use emotiond_core::report::policy::Site;

/// The kinds of site, in the order in which they are offered.
const SITES: [Site; 5] = [Site::Home, Site::Retail, Site::Research, Site::Education, Site::Workplace];

/// All that a first configuration says.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Where the device stands.
    pub site: Site,
    /// `camera.source`.
    pub source: String,
    /// `mqtt.url`.
    pub broker: String,
    /// User name and password file at the broker, if it asks for them.
    pub login: Option<(String, String)>,
    /// `device`.
    pub name: String,
    /// `home_assistant.discovery`.
    pub discovery: bool,
}

impl Answers {
    /// The commented default configuration with these answers in it.
    ///
    /// # Errors
    /// If the default configuration lacks one of the keys, which the tests rule out.
    pub fn configuration(&self) -> anyhow::Result<String> {
        let text = |value: &str| toml::Value::from(value).to_string();
        let mut keys = vec![
            ("", "site", text(self.site.name())),
            ("", "device", text(&self.name)),
            ("camera", "source", text(&self.source)),
            ("mqtt", "url", text(&self.broker)),
            ("home_assistant", "discovery", self.discovery.to_string()),
        ];
        if let Some((username, password_file)) = &self.login {
            keys.push(("mqtt", "username", text(username)));
            keys.push(("mqtt", "password_file", text(password_file)));
        }
        let mut lines: Vec<String> = EXAMPLE.lines().map(str::to_owned).collect();
        for (table, key, value) in keys {
            set(&mut lines, table, key, &value)
                .with_context(|| format!("the default configuration has no key {key:?} in [{table}]"))?;
        }
        Ok(lines.join("\n") + "\n")
    }
}

/// Sets a key of a table (`""`: of the top level), commented out or not. `None` if it is not there.
fn set(lines: &mut [String], table: &str, key: &str, value: &str) -> Option<()> {
    let mut within = "";
    let mut place = None;
    for (number, line) in lines.iter().enumerate() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            within = name;
        }
        let written = line.strip_prefix('#').unwrap_or(line);
        if within == table && written.strip_prefix(key).is_some_and(|rest| rest.starts_with(" = ")) {
            place = Some(number);
            break;
        }
    }
    lines[place?] = format!("{key} = {value}");
    Some(())
}

/// A kind of site by its name.
///
/// # Errors
/// Says which there are.
pub fn site(text: &str) -> Result<Site, String> {
    let names = SITES.map(Site::name);
    let found = SITES.into_iter().find(|site| site.name() == text.to_lowercase());
    found.ok_or_else(|| format!("{text:?} is none of {}", names.join(", ")))
}

/// A source of frames: as `camera.source` has it, or the path of a device.
///
/// # Errors
/// Says how to write one.
pub fn source(text: &str) -> Result<String, String> {
    let source = if text.starts_with("/dev/") { format!("v4l2:{text}") } else { text.to_owned() };
    source.parse::<Spec>().map(|_| source)
}

/// A broker: `embedded`, a URL, or a host with or without a port.
///
/// # Errors
/// Says how to write one.
pub fn broker(text: &str) -> Result<String, String> {
    let url = match text {
        "embedded" => text.to_owned(),
        _ if text.contains("://") => text.to_owned(),
        _ if text.contains('@') => {
            return Err("leave the user name out: set username and password_file".to_owned());
        }
        _ if text.ends_with(":8883") => format!("mqtts://{text}"),
        _ => format!("mqtt://{text}"),
    };
    url.parse::<Broker>().map(|_| url).map_err(|error| error.to_string())
}

/// The name of a device.
///
/// # Errors
/// Says what it may be.
pub fn name(text: &str) -> Result<String, String> {
    text.parse::<DeviceName>().map(|name| name.to_string()).map_err(|error| error.to_string())
}

/// What the law says of a kind of site, in lines of at most 80 columns. Not legal advice.
pub fn law(site: Site) -> &'static str {
    if site.forbids_emotion() {
        "  The EU AI Act (Art. 5(1)(f)) prohibits inferring emotions at work and in education,\n  \
         except for medical or safety reasons. emotiond counts faces here and opens no emotion\n  \
         model. If there is such a reason, privacy.legal_basis in the configuration states it."
    } else {
        "  People must be told that emotions are estimated (EU AI Act, Art. 50(3)). A camera\n  \
         processes personal data while it is looking (GDPR), even if nothing is kept. You run\n  \
         it, so you are responsible. This is not legal advice."
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::{Overrides, Settings};

    fn answers(site: Site) -> Answers {
        Answers {
            site,
            source: "v4l2:/dev/v4l/by-id/usb-\"odd\\name".to_owned(),
            broker: "mqtt://broker.lan:1884".to_owned(),
            login: None,
            name: "hall-2".to_owned(),
            discovery: false,
        }
    }

    #[test]
    fn the_configuration_of_every_site_says_what_was_answered() {
        for site in SITES {
            let text = answers(site).configuration().unwrap();
            let settings = Settings::parse(&text, Path::new("test.toml"), &Overrides::default()).unwrap();
            assert_eq!(settings.privacy.site, site);
            assert_eq!(settings.privacy.policy.emotion, !site.forbids_emotion());
            assert_eq!(settings.device.to_string(), "hall-2");
            assert_eq!(settings.camera.source.to_string(), "v4l2:/dev/v4l/by-id/usb-\"odd\\name");
            assert_eq!(settings.mqtt.address().to_string(), "mqtt://broker.lan:1884");
            assert!(!settings.home_assistant.discovery);
            // The comments of the default configuration are all there.
            let comments = |text: &str| text.lines().filter(|line| line.starts_with("# ")).count();
            assert_eq!(comments(&text), comments(EXAMPLE));
            assert_eq!(text.lines().count(), EXAMPLE.lines().count());
        }
    }

    #[test]
    fn a_login_names_a_file_and_never_a_password() {
        let folder = tempfile::tempdir().unwrap();
        let password = folder.path().join("password");
        std::fs::write(&password, "hunter2\n").unwrap();
        let login = Some(("hall".to_owned(), password.display().to_string()));
        let text = Answers { login, ..answers(Site::Home) }.configuration().unwrap();
        assert!(!text.contains("hunter2") && text.contains("username = \"hall\"\n"), "{text}");
        let settings = Settings::parse(&text, Path::new("test.toml"), &Overrides::default()).unwrap();
        assert_eq!(settings.mqtt.credentials.unwrap().username, "hall");
    }

    #[test]
    fn answers_are_taken_as_people_write_them() {
        assert_eq!(site("HOME"), Ok(Site::Home));
        assert!(site("garden").unwrap_err().contains("workplace"));
        assert_eq!(source("/dev/video2").unwrap(), "v4l2:/dev/video2");
        assert_eq!(source("stream:-").unwrap(), "stream:-");
        assert!(source("camera").is_err());
        for (text, url) in [
            ("embedded", "embedded"),
            ("broker.lan", "mqtt://broker.lan"),
            ("broker.lan:1884", "mqtt://broker.lan:1884"),
            ("broker.lan:8883", "mqtts://broker.lan:8883"),
            ("mqtts://broker.lan", "mqtts://broker.lan"),
        ] {
            assert_eq!(broker(text).unwrap(), url);
        }
        let refusal = broker("me:hunter2@broker.lan").unwrap_err();
        assert!(refusal.contains("password_file") && !refusal.contains("hunter2"), "{refusal}");
        assert!(broker("").is_err() && broker("http://x").is_err());
        assert!(name("a b").is_err());
    }
}
