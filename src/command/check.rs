//! `emotiond check`: tries all that the daemon needs and prints a table, with what to do about what does not work.

mod broker;
mod camera;
mod clock;
mod disk;
mod page;
mod speed;
mod table;

use crate::command::cli::ConfigArgs;
use crate::config::{Overrides, Settings};
use crate::exit::{Code, Failure, OrExit as _};
use crate::sandbox::{self, Access, Confinement};
use table::{Finding, Style, Verdict};

/// Tries each thing, prints a line for each, and goes on after a failure.
///
/// # Errors
/// If the configuration is not valid, or at least one thing does not work.
pub fn run(arguments: &ConfigArgs) -> Result<(), Failure> {
    let settings =
        Settings::load(arguments.config.as_deref(), &Overrides::default()).or_exit(Code::Config)?;
    // Asks other programs, which a confined process cannot start.
    let clock = clock::clock();
    // As the daemon does, before it gives listening up.
    let port = broker::port(&settings.mqtt);
    let page_port = settings.page.as_ref().map(page::port);
    sandbox::forbid_dumps().or_exit(Code::Software)?;
    // As the daemon is: what its confinement would keep from it does not work here either.
    let confinement = sandbox::confine(Access::of(&settings, true));
    let mut findings = vec![
        law(&settings),
        Finding::ok("notice", settings.privacy.notice(settings.window, &settings.models.sequences)),
        sandbox(&confinement),
        speed::models(&settings),
        camera::camera(&settings.camera),
        broker::broker(&settings.mqtt, port),
        disk::disk(&settings.mqtt),
        clock,
    ];
    if let (Some(settings), Some(port)) = (&settings.page, &page_port) {
        findings.push(page::page(settings, port));
    }
    super::write(&table::table(&findings, style()))?;
    let failed = findings.iter().filter(|finding| finding.verdict == Verdict::Failed).count();
    if failed > 0 {
        let error = anyhow::anyhow!("{failed} of the things that emotiond needs do not work");
        return Err(Failure { code: Code::Unavailable, error });
    }
    Ok(())
}

fn style() -> Style {
    use std::io::IsTerminal as _;
    if !std::io::stdout().is_terminal() {
        return Style::default();
    }
    let width = ratatui::crossterm::terminal::size().ok().map(|(columns, _)| usize::from(columns));
    Style { width, colours: std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
}

fn law(settings: &Settings) -> Finding {
    let privacy = &settings.privacy;
    let site = format!("site {}", privacy.site.name());
    let people = match privacy.policy.min_people {
        1 => String::new(),
        people => format!(", of at least {people} people at once"),
    };
    match (privacy.exemption(), privacy.policy.emotion) {
        (Some(basis), true) => Finding::warning(
            "law",
            format!(
                "{site}: emotion is read although the EU AI Act (Art. 5(1)(f)) prohibits it there, because {basis:?}{people}"
            ),
            "make sure that this is a medical or safety reason; otherwise remove privacy.legal_basis",
        ),
        (_, true) => Finding::ok(
            "law",
            format!(
                "{site}: emotion is read{people}; people must be told (EU AI Act, Art. 50(3)): put up the notice"
            ),
        ),
        (_, false) => Finding::ok(
            "law",
            format!("{site}: faces are counted, no emotion model is opened (EU AI Act, Art. 5(1)(f))"),
        ),
    }
}

fn sandbox(confinement: &Confinement) -> Finding {
    if confinement.complete() {
        return Finding::ok("sandbox", confinement.to_string());
    }
    let remedy = "use a kernel with Landlock and seccomp (Debian's and Raspberry Pi OS's have both), and let containers \
                  have them";
    Finding::warning("sandbox", confinement.to_string(), remedy)
}
