//! The five questions: what can be found is offered, and each has a default.

use std::io::{BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, bail};

use super::answers::{self, Answers};
use super::dialog::{Dialog, yes_or_no};
use super::mdns;
use crate::capture::v4l2::csi;
use crate::capture::v4l2::list::{self, CameraList};
use crate::capture::v4l2::negotiate::ModeRequest;
use crate::command::cli::SetupArgs;
use crate::command::printable;

/// How long brokers may take to answer by multicast DNS.
const LISTEN: Duration = Duration::from_millis(1500);

/// Something that can be chosen, and what is said of it.
struct Offer {
    value: String,
    about: String,
}

/// Takes the answers of the options, and asks for the others; with `--yes` their defaults hold.
///
/// # Errors
/// If an option cannot be used, or nobody answers.
pub fn ask<R: BufRead, W: Write>(
    dialog: &mut Dialog<R, W>,
    arguments: &SetupArgs,
) -> anyhow::Result<Answers> {
    let site = match &arguments.site {
        Some(site) => given("--site", site, answers::site)?,
        None if arguments.yes => bail!(
            "--yes needs --site (home, retail, research, education or workplace): the law that applies depends on it"
        ),
        None => {
            dialog.say("Where does the device stand? home, retail, research, education or workplace")?;
            dialog.ask("site", "home", answers::site)?
        }
    };
    dialog.say(&format!("{}\n", answers::law(site)))?;
    let source = match &arguments.camera {
        Some(camera) => given("--camera", camera, answers::source)?,
        None => chosen(
            dialog,
            "camera",
            &cameras(&list::list(&ModeRequest::default())),
            arguments.yes,
            answers::source,
        )?,
    };
    let broker = match &arguments.broker {
        Some(broker) => given("--broker", broker, answers::broker)?,
        None => {
            let here = broker_here(Path::new("/proc"), answers_here);
            let offers = brokers(here, arguments.yes, announced);
            chosen(dialog, "broker", &offers, arguments.yes, answers::broker)?
        }
    };
    let host = host_name();
    let name = match &arguments.name {
        Some(name) => given("--name", name, answers::name)?,
        None if arguments.yes => host,
        None => {
            dialog.say("The name of the device, a level of every topic")?;
            dialog.ask("name", &host, answers::name)?
        }
    };
    let discovery = match arguments.discovery {
        Some(discovery) => discovery,
        None if arguments.yes => true,
        None => dialog.ask("Announce it to Home Assistant?", "yes", yes_or_no)?,
    };
    let login = arguments
        .username
        .clone()
        .zip(arguments.password_file.as_ref().map(|path| path.to_string_lossy().into_owned()));
    Ok(Answers { site, source, broker, login, name, discovery })
}

fn given<T>(option: &str, text: &str, check: impl Fn(&str) -> Result<T, String>) -> anyhow::Result<T> {
    check(text).map_err(anyhow::Error::msg).with_context(|| format!("{option} cannot be used"))
}

/// Lets one of the offers be chosen, by its number, or something else that `check` takes. The first is the default.
fn chosen<R: BufRead, W: Write>(
    dialog: &mut Dialog<R, W>,
    what: &str,
    offers: &[Offer],
    yes: bool,
    check: impl Fn(&str) -> Result<String, String>,
) -> anyhow::Result<String> {
    let first = offers.first().context("there is always an offer")?;
    if yes {
        dialog.say(&format!(
            "{what}: {} ({})",
            printable::word(&first.value),
            printable::word(&first.about)
        ))?;
        return Ok(first.value.clone());
    }
    for (number, offer) in (1..).zip(offers) {
        let (value, about) = (printable::word(&offer.value), printable::word(&offer.about));
        dialog.say(&format!("  {number}  {value}  ({about})"))?;
    }
    dialog.ask(&format!("{what}, a number or another one"), "1", |answer| match answer.parse::<usize>() {
        Ok(number) => number
            .checked_sub(1)
            .and_then(|place| offers.get(place))
            .map(|offer| offer.value.clone())
            .ok_or_else(|| format!("the numbers go from 1 to {}", offers.len())),
        Err(_) => check(answer),
    })
}

/// The cameras that can be used, by the names that stay when they are plugged in again.
fn cameras(list: &CameraList) -> Vec<Offer> {
    let usable = list.devices.iter().filter_map(|camera| Some((camera, camera.choice.as_ref()?)));
    let mut offers: Vec<Offer> = usable
        .map(|(camera, choice)| {
            let path = camera.by_id.first().unwrap_or(&camera.path);
            Offer { value: format!("v4l2:{}", path.display()), about: format!("{}, {choice}", camera.card) }
        })
        .collect();
    // One program serves all ports.
    offers.extend(list.camera_ports.first().map(|port| Offer {
        value: format!("stream:{}", csi::SOCKET),
        about: format!("the Raspberry Pi's own camera ({}), through emotiond-rpicam.socket", port.model),
    }));
    if offers.is_empty() {
        let about = "no camera is here now; it is used once it is plugged in".to_owned();
        offers.push(Offer { value: "v4l2:/dev/video0".to_owned(), about });
    }
    offers
}

/// Brokers: one on this machine, those that announce themselves, the one inside emotiond. Where nobody looks at the list,
/// no stranger's announcement is believed.
fn brokers(here: Option<&str>, unattended: bool, announced: impl FnOnce() -> Vec<String>) -> Vec<Offer> {
    let of_this_machine = "mqtt://127.0.0.1:1883";
    let mut offers = Vec::new();
    offers.extend(here.map(|about| Offer { value: of_this_machine.to_owned(), about: about.to_owned() }));
    if !unattended {
        let about = "announces itself on the network, which anybody there can";
        let others = announced().into_iter().filter(|value| here.is_none() || value != of_this_machine);
        offers.extend(others.map(|value| Offer { value, about: about.to_owned() }));
    }
    offers.push(Offer {
        value: "embedded".to_owned(),
        about: "a broker inside emotiond, on this machine".to_owned(),
    });
    offers
}

fn announced() -> Vec<String> {
    mdns::brokers(mdns::GROUP, &mdns::addresses(), LISTEN).into_iter().map(|broker| broker.url).collect()
}

fn answers_here() -> bool {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 1883));
    TcpStream::connect_timeout(&address, Duration::from_millis(300)).is_ok()
}

/// What answers on the port of MQTT of this machine, if anything does. The broker inside an emotiond that runs is offered as
/// what it is.
fn broker_here(proc: &Path, answers: impl FnOnce() -> bool) -> Option<&'static str> {
    let processes = std::fs::read_dir(proc).into_iter().flatten().flatten();
    let own = std::process::id().to_string();
    let names: Vec<_> = processes
        .filter(|entry| entry.file_name() != *own)
        .filter_map(|entry| std::fs::read_to_string(entry.path().join("comm")).ok())
        .collect();
    let runs = |program| names.iter().any(|name| name.trim() == program);
    let about = if runs("mosquitto") {
        "Mosquitto on this machine"
    } else if runs("emotiond") {
        return None;
    } else {
        "a broker on this machine"
    };
    answers().then_some(about)
}

/// The host name, as far as it can be a device's.
fn host_name() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let good = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let name: String = host.trim().chars().filter(good).take(64).collect();
    if name.is_empty() { "camera".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::frame::PixelFormat;
    use crate::capture::v4l2::Choice;
    use crate::capture::v4l2::csi::CameraPort;
    use crate::capture::v4l2::list::Camera;

    fn camera(path: &str, by_id: &[&str], usable: bool) -> Camera {
        let choice = Choice {
            fourcc: *b"MJPG",
            format: PixelFormat::Mjpeg,
            width: 640,
            height: 480,
            rate: Some(30.0),
        };
        Camera {
            path: path.into(),
            by_id: by_id.iter().map(Into::into).collect(),
            card: "C920\u{1b}[2J".to_owned(),
            choice: usable.then_some(choice),
            ..Camera::default()
        }
    }

    #[test]
    fn where_nobody_looks_at_the_list_nobody_is_listened_to() {
        let stranger = "mqtt://192.0.2.66:1883";
        let offered = |unattended| {
            let offers = brokers(None, unattended, || vec![stranger.to_owned()]);
            offers.into_iter().map(|offer| offer.value).collect::<Vec<_>>()
        };
        assert!(offered(false).iter().any(|value| value == stranger));
        assert!(!offered(true).iter().any(|value| value == stranger));
    }

    #[test]
    fn cameras_are_offered_by_the_names_that_stay() {
        let mut list = CameraList::default();
        assert_eq!(cameras(&list)[0].value, "v4l2:/dev/video0");
        list.devices = vec![
            camera("/dev/video0", &[], false),
            camera("/dev/video1", &["/dev/v4l/by-id/usb-c920"], true),
            camera("/dev/video2", &[], true),
        ];
        let values: Vec<_> = cameras(&list).into_iter().map(|offer| offer.value).collect();
        assert_eq!(values, ["v4l2:/dev/v4l/by-id/usb-c920", "v4l2:/dev/video2"]);
        list.devices.clear();
        list.camera_ports = vec![CameraPort { path: "/dev/media1".into(), model: "rp1-cfe".to_owned() }];
        let offers = cameras(&list);
        assert_eq!(offers[0].value, "stream:/run/emotiond/camera");
        assert!(offers.len() == 1 && offers[0].about.contains("rp1-cfe"));
    }

    #[test]
    fn an_offer_is_chosen_by_its_number_and_shown_without_what_acts_on_a_terminal() {
        let list = CameraList {
            devices: vec![camera("/dev/video1", &[], true), camera("/dev/video2", &[], true)],
            ..CameraList::default()
        };
        let mut out = Vec::new();
        let mut dialog = Dialog::new("7\nnonsense\n2\n\n/dev/video9\n".as_bytes(), &mut out);
        let mut choose = || chosen(&mut dialog, "camera", &cameras(&list), false, answers::source).unwrap();
        assert_eq!(
            [choose(), choose(), choose()],
            ["v4l2:/dev/video2", "v4l2:/dev/video1", "v4l2:/dev/video9"]
        );
        let text = String::from_utf8(out).unwrap();
        assert!(text.contains("the numbers go from 1 to 2") && text.contains("is not a source"), "{text}");
        assert!(text.contains("C920\\u001b[2J") && !text.contains('\u{1b}'), "{text}");
    }

    #[test]
    fn a_broker_on_this_machine_is_offered_first_and_once() {
        let proc = tempfile::tempdir().unwrap();
        let own = proc.path().join(std::process::id().to_string());
        std::fs::create_dir(&own).unwrap();
        std::fs::write(own.join("comm"), "emotiond\n").unwrap();
        std::fs::create_dir(proc.path().join("7")).unwrap();
        let with = |program: &str, answers| {
            std::fs::write(proc.path().join("7/comm"), format!("{program}\n")).unwrap();
            broker_here(proc.path(), || answers)
        };
        assert_eq!(with("mosquitto", true), Some("Mosquitto on this machine"));
        assert_eq!(with("beam.smp", true), Some("a broker on this machine"));
        assert_eq!(with("mosquitto", false), None);
        assert_eq!(with("emotiond", true), None);
        let heard = || vec!["mqtt://127.0.0.1:1883".to_owned(), "mqtt://broker.local:1883".to_owned()];
        let values: Vec<_> =
            brokers(Some("here"), false, heard).into_iter().map(|offer| offer.value).collect();
        assert_eq!(values, ["mqtt://127.0.0.1:1883", "mqtt://broker.local:1883", "embedded"]);
        assert!(host_name().parse::<emotiond_core::report::payload::DeviceName>().is_ok());
    }
}
