//! `emotiond check`: tries configuration, models, camera and broker, and says what works.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::capture::Context;
use crate::capture::frame::decode::decode;
use crate::command::cli::ConfigArgs;
use crate::config::{Overrides, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::host::clock::SystemClock;
use crate::publish::Publisher as _;
use crate::publish::mqtt::{Announcement, MqttPublisher};
use crate::publish::settings::Broker;
use crate::sandbox::{self, Access};
use crate::vision::models;

/// How long the broker may take to accept the connection.
const BROKER_PATIENCE: Duration = Duration::from_secs(5);

/// Tries each thing the daemon needs, prints a line for each, and goes on after a failure.
///
/// # Errors
/// If the configuration is not valid, or at least one thing does not work.
pub fn run(arguments: &ConfigArgs) -> Result<(), Failure> {
    let settings =
        Settings::load(arguments.config.as_deref(), &Overrides::default()).or_exit(Code::Config)?;
    sandbox::forbid_dumps().or_exit(Code::Software)?;
    // As the daemon is: what its confinement would keep from it does not work here either.
    let confinement = sandbox::confine(Access::of(&settings, true));
    let tries: [(&str, anyhow::Result<String>); 5] = [
        ("privacy", Ok(site(&settings))),
        ("notice", Ok(settings.privacy.notice(settings.window))),
        ("models", models(&settings)),
        ("camera", camera(&settings)),
        ("broker", broker(&settings)),
    ];
    let state = if confinement.complete() { "ok     " } else { "note   " };
    let mut text = format!("{state} confinement: {confinement}\n");
    let mut failed = 0;
    for (name, outcome) in tries {
        let _infallible = match outcome {
            Ok(found) => writeln!(text, "ok      {name}: {found}"),
            Err(error) => {
                failed += 1;
                writeln!(text, "FAILED  {name}: {error:#}")
            }
        };
    }
    super::print(&text)?;
    if failed > 0 {
        let error = anyhow::anyhow!("{failed} of the things that emotiond needs do not work");
        return Err(Failure { code: Code::Unavailable, error });
    }
    Ok(())
}

fn site(settings: &Settings) -> String {
    let privacy = &settings.privacy;
    let emotion = match (privacy.exemption(), privacy.policy.emotion) {
        (Some(basis), true) => format!("emotion on, because {basis:?}"),
        (_, true) => "emotion on".to_owned(),
        (_, false) => {
            "emotion off (EU AI Act Art. 5(1)(f)): faces are counted, no emotion model is opened".to_owned()
        }
    };
    format!("site {}, {emotion}, at least {} people a window", privacy.site.name(), privacy.policy.min_people)
}

fn models(settings: &Settings) -> anyhow::Result<String> {
    let models = models::open(&settings.models, settings.privacy.policy.emotion)?;
    let names: Vec<_> = models.info.iter().map(|model| format!("{} {}", model.name, model.version)).collect();
    Ok(format!("{}; range {}", names.join(", "), settings.models.range.name()))
}

fn camera(settings: &Settings) -> anyhow::Result<String> {
    let context = Context::new(Arc::new(SystemClock::new()));
    let mut source = settings.camera.clone().opener(context)()?;
    let frame = source.next()?;
    let mut picture = image::RgbImage::new(0, 0);
    decode(&frame, &mut picture)?;
    Ok(format!("{}; a frame of {}×{} arrived", source.describe(), picture.width(), picture.height()))
}

fn broker(settings: &Settings) -> anyhow::Result<String> {
    let mut mqtt = settings.mqtt.clone();
    if mqtt.broker == Broker::Embedded {
        // Not tried: the daemon may be running and hold the port.
        return Ok(format!("embedded, to listen on {}", mqtt.embedded_listen));
    }
    // Another client id, or the running daemon would be thrown off.
    mqtt.device = format!("{}-check", mqtt.device).parse()?;
    mqtt.commands = false;
    mqtt.durable = None;
    let mut publisher = MqttPublisher::start(mqtt, Announcement::default(), Box::new(|_| Ok(())))?;
    let address = publisher.address().clone();
    let connected = publisher.wait_connected(BROKER_PATIENCE);
    let _left = publisher.close(Duration::from_secs(1));
    anyhow::ensure!(connected, "{address} did not accept the connection; the log above says why");
    Ok(format!("{address} accepted the connection"))
}
