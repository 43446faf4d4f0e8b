//! The terminal: taken over while the page is shown, and given back however that ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;

use super::devices::{Devices, take};
use super::page::{Page, draw};
use crate::config::Settings;
use crate::publish::mqtt::watch::{Follower, Update};

/// How often it is looked for messages.
const TICK: Duration = Duration::from_millis(200);
/// How often the page is drawn again while nothing happens: the age on it grows.
const AGE: Duration = Duration::from_secs(1);
/// Messages that are taken in at one tick: a flood must not keep keys from being heard.
const AT_ONCE: usize = 500;

/// The terminal in its other state. Dropping it, a panic (by ratatui's hook) and the end of [`show`] bring it back.
struct Screen(DefaultTerminal);

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

/// Shows the page until `q`, Escape, Ctrl-C or a signal that ends the process.
///
/// # Errors
/// If the terminal cannot be used, or the certificates of the broker cannot.
pub fn show(settings: &Settings) -> anyhow::Result<()> {
    let ended = Arc::new(AtomicBool::new(false));
    end_on_signals(&ended)?;
    let (sender, messages) = sync_channel(256);
    let follower = Follower::start(&settings.mqtt, sender)?;
    let mut page = Page {
        devices: Devices::new(),
        shown: settings.device.to_string(),
        broker: settings.mqtt.address().to_string(),
        trouble: Some("connecting".to_owned()),
    };
    let mut screen = Screen(ratatui::try_init().context("this terminal cannot show a page; use --lines")?);
    let mut drawn: Option<Instant> = None;
    while !ended.load(Ordering::Relaxed) {
        for update in messages.try_iter().take(AT_ONCE) {
            drawn = None;
            match update {
                Update::Connected => page.trouble = None,
                Update::Trouble(why) => page.trouble = Some(why),
                Update::Message { topic, body } => {
                    take(&mut page.devices, &topic, &body, Instant::now(), jiff::Timestamp::now());
                }
            }
        }
        if drawn.is_none_or(|drawn| drawn.elapsed() >= AGE) {
            screen.0.draw(|frame| draw(frame, &page, Instant::now())).context("the terminal is gone")?;
            drawn = Some(Instant::now());
        }
        if !event::poll(TICK).context("the terminal is gone")? {
            continue;
        }
        // A key, or another size of the terminal.
        drawn = None;
        if let Event::Key(key) = event::read().context("the terminal is gone")?
            && !pressed(&mut page, key)
        {
            break;
        }
    }
    drop(screen);
    follower.stop();
    Ok(())
}

/// Ends the page at a signal, and the process if the page does not end: once its terminal has hung up, crossterm reads the
/// end of it again and again and never returns.
fn end_on_signals(ended: &Arc<AtomicBool>) -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGHUP]).context("failed to listen to signals")?;
    let ended = Arc::clone(ended);
    let wait = move || {
        let Some(signal) = signals.forever().next() else { return };
        ended.store(true, Ordering::Relaxed);
        std::thread::sleep(5 * TICK);
        ratatui::restore();
        let _ends_the_process = emulate_default_handler(signal);
    };
    std::thread::Builder::new()
        .name("signals".into())
        .spawn(wait)
        .context("failed to start the thread that listens to signals")?;
    Ok(())
}

/// Does what a key asks for; false if that is to end.
fn pressed(page: &mut Page, key: KeyEvent) -> bool {
    match key.code {
        KeyCode::Char('q') | KeyCode::Esc => return false,
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => return false,
        KeyCode::Right | KeyCode::Tab | KeyCode::Char('l' | 'n') => page.turn(true),
        KeyCode::Left | KeyCode::BackTab | KeyCode::Char('h' | 'p') => page.turn(false),
        _ => {}
    }
    true
}
