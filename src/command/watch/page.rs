//! The page: what has been heard of one device, drawn into a buffer of cells. Nothing here knows a terminal.

use std::collections::VecDeque;
use std::time::Instant;

use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize as _};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph};

use super::devices::{Devices, Heard, WindowHeard, figure};
use crate::command::bars::bar;

/// The smallest terminal that the page fits into.
const SMALLEST: (u16, u16) = (72, 20);
/// Columns of one action unit: its name, a bar, a number, a gap.
const UNIT: u16 = 19;

/// All that the page shows.
pub struct Page {
    /// The devices that have been heard of.
    pub devices: Devices,
    /// The name of the one that is shown.
    pub shown: String,
    /// Where the broker is.
    pub broker: String,
    /// Why there is no connection; `None` while there is one.
    pub trouble: Option<String>,
}

impl Page {
    /// Shows the next device in the order of their names, or the one before.
    pub fn turn(&mut self, forward: bool) {
        let names: Vec<&String> = self.devices.keys().collect();
        let Some(last) = names.len().checked_sub(1) else { return };
        let next = match names.binary_search(&&self.shown) {
            Ok(place) if forward => (place + 1) % names.len(),
            Ok(place) => place.checked_sub(1).unwrap_or(last),
            Err(_) => 0,
        };
        self.shown = names[next].clone();
    }
}

/// Draws the page at a moment, from which the age of what is shown is counted.
pub fn draw(frame: &mut Frame, page: &Page, now: Instant) {
    let area = frame.area();
    if area.width < SMALLEST.0 || area.height < SMALLEST.1 {
        let (width, height) = SMALLEST;
        let text = format!("{width}×{height} characters are needed; `emotiond watch --lines` needs no room");
        return frame.render_widget(Paragraph::new(text).wrap(ratatui::widgets::Wrap::default()), area);
    }
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Length(11),
        Constraint::Length(4),
        Constraint::Min(2),
        Constraint::Length(1),
    ]);
    let [head, state, scores, units, events, keys] = rows.areas(area);
    frame.render_widget(tabs(page), head);
    frame.render_widget(broker(page).alignment(Alignment::Right), head);
    let Some(device) = page.devices.get(&page.shown) else {
        let text = format!("nothing has been heard of \"{}\" yet", page.shown);
        frame.render_widget(Paragraph::new(text), state);
        return frame.render_widget(Paragraph::new(help(page)).dim(), keys);
    };
    frame.render_widget(Paragraph::new(state_line(device)), state);
    let [left, right] = Layout::horizontal([Constraint::Percentage(55), Constraint::Fill(1)]).areas(scores);
    expressions(frame, &page.shown, device, left, now);
    plane(frame, &device.trail, right);
    action_units(frame, device.window.as_ref(), units);
    let lines: Vec<Line> = device.events.iter().map(|event| Line::raw(event.as_str())).collect();
    frame.render_widget(Paragraph::new(lines).block(titled("events")), events);
    frame.render_widget(Paragraph::new(help(page)).dim(), keys);
}

fn help(page: &Page) -> &'static str {
    if page.devices.len() > 1 { "←/→ another device   q end" } else { "q end" }
}

fn titled(title: &str) -> Block<'static> {
    Block::new().borders(Borders::TOP).title(format!(" {title} ")).border_style(Style::new().dim())
}

/// The names of the devices, that of the shown one turned out.
fn tabs(page: &Page) -> Paragraph<'_> {
    let mut spans = vec![Span::raw("emotiond watch  ").bold()];
    for name in page.devices.keys() {
        let style =
            if *name == page.shown { Style::new().add_modifier(Modifier::REVERSED) } else { Style::new() };
        spans.extend([Span::styled(format!(" {name} "), style), Span::raw(" ")]);
    }
    Paragraph::new(Line::from(spans))
}

fn broker(page: &Page) -> Paragraph<'_> {
    match &page.trouble {
        None => Paragraph::new(Line::from(vec![
            Span::raw(" "),
            Span::raw(page.broker.as_str()),
            Span::styled(" connected", Color::Green),
        ])),
        Some(why) => Paragraph::new(Line::styled(format!(" {}: {why}", page.broker), Color::Red)),
    }
}

/// The daemon, its camera and its rates.
fn state_line(device: &Heard) -> Line<'_> {
    let mut spans = Vec::new();
    let status = device.status.as_deref().unwrap_or("status not known");
    spans.push(Span::styled(status, if status == "online" { Color::Green } else { Color::Red }));
    let camera = match (&device.camera, &device.window) {
        _ if device.paused => "paused",
        (Some(camera), _) => camera,
        (None, Some(window)) => &window.camera,
        (None, None) => "not known",
    };
    let colour = if camera == "ok" { Color::Green } else { Color::Yellow };
    spans.extend([Span::raw("   camera "), Span::styled(camera, colour)]);
    if let Some(window) = &device.window {
        spans.push(Span::raw(format!("   {} frames/s analysed", figure(window.rate, 1))));
        if window.dropped > 0.0 {
            spans.push(Span::styled(format!(", {} dropped", figure(window.dropped, 0)), Color::Yellow));
        }
    }
    if let Some(health) = device.health.as_ref().filter(|health| health.queued > 0) {
        spans.push(Span::styled(format!("   {} waiting", health.queued), Color::Yellow));
    }
    if let Some(health) = &device.health {
        spans.push(Span::raw(format!("   {} captured", figure(health.captured_fps, 1))));
        let temperature = health.temperature.map(|degrees| format!("   {} °C", figure(degrees, 0)));
        let memory = health.memory.map(|mebibytes| format!("   {} MiB", figure(mebibytes, 0)));
        spans.extend([temperature, memory].into_iter().flatten().map(Span::raw));
    }
    Line::from(spans)
}

fn expressions(frame: &mut Frame, name: &str, device: &Heard, area: Rect, now: Instant) {
    let age = device.arrived.map_or(0, |arrived| now.saturating_duration_since(arrived).as_secs());
    let when = device.window.as_ref().map_or_else(
        || "no window yet".to_owned(),
        |window| format!("window {} of {} s, {age} s ago", window.sequence, figure(window.seconds, 1)),
    );
    let block = titled(&format!("{name}: {when}"));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let Some(window) = &device.window else { return };
    let faces = match window.faces {
        Some((mean, most, people)) => {
            format!("faces {} ({} at most, {} people)", figure(mean, 1), figure(most, 0), figure(people, 0))
        }
        None => "nothing was seen".to_owned(),
    };
    let mut lines = vec![Line::raw(faces).bold()];
    if window.expression.is_empty() {
        lines.push(Line::raw(match window.suppressed.as_deref() {
            Some("nobody") => "nobody is there",
            Some("site") => "no emotion is read at this site",
            Some("min_people") => "too few people at once for emotion to be published",
            _ => "no emotion",
        }));
    }
    let width = usize::from(inner.width).saturating_sub(18);
    let best = window.expression.iter().map(|(_, share)| *share).fold(0.0, f64::max);
    for (name, share) in &window.expression {
        let row = format!("{name:<10.10} {} {:>3.0} %", bar(*share, width), 100.0 * share);
        lines.push(if *share >= best { Line::styled(row, Color::Cyan) } else { Line::raw(row) });
    }
    frame.render_widget(Paragraph::new(lines), inner);
}

/// Valence from left to right, arousal from the bottom up: the last window and those before it.
fn plane(frame: &mut Frame, trail: &VecDeque<(f64, f64)>, area: Rect) {
    let title = match trail.back() {
        Some((valence, arousal)) => format!("valence {valence:+.2}  arousal {arousal:+.2}"),
        None => "valence and arousal".to_owned(),
    };
    let block = titled(&title);
    let inner = block.inner(area);
    frame.render_widget(block, area);
    if inner.width < 12 || inner.height < 5 {
        return;
    }
    // An odd number of rows and columns has a middle.
    let (columns, rows) = ((inner.width - 1) | 1, (inner.height - 1) | 1);
    let field = Rect {
        x: inner.x + 1,
        y: inner.y,
        width: columns.min(inner.width - 1),
        height: rows.min(inner.height),
    };
    let cells = frame.buffer_mut();
    let (middle_x, middle_y) = (field.x + field.width / 2, field.y + field.height / 2);
    for x in field.left()..field.right() {
        cells[(x, middle_y)].set_char('─').set_style(Style::new().dim());
    }
    for y in field.top()..field.bottom() {
        cells[(middle_x, y)].set_char('│').set_style(Style::new().dim());
    }
    cells[(middle_x, middle_y)].set_char('┼');
    for (text, x, y) in [
        ("excited", middle_x + 2, field.top()),
        ("calm", middle_x + 2, field.bottom() - 1),
        ("unpleasant", field.left(), middle_y + 1),
        ("pleasant", field.right().saturating_sub(8), middle_y + 1),
    ] {
        cells.set_stringn(x, y, text, usize::from(field.right().saturating_sub(x)), Style::new().dim());
    }
    for (place, (valence, arousal)) in trail.iter().enumerate() {
        let along = |value: f64, size: u16| ((value + 1.0) / 2.0 * f64::from(size - 1)).round() as u16;
        let x = field.x + along(*valence, field.width);
        let y = field.y + along(-*arousal, field.height);
        let now = place + 1 == trail.len();
        let style = if now { Style::new().fg(Color::Cyan).bold() } else { Style::new().fg(Color::DarkGray) };
        cells[(x, y)].set_char(if now { '●' } else { '•' }).set_style(style);
    }
}

fn action_units(frame: &mut Frame, window: Option<&WindowHeard>, area: Rect) {
    let block = titled("action units");
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let columns = usize::from((inner.width / UNIT).max(1));
    let units = window.map(|window| &*window.units).unwrap_or_default();
    let rows = units.chunks(columns).map(|row| {
        let cell = |(name, share): &(String, f64)| format!("{name:<4.4} {} {share:.2}   ", bar(*share, 7));
        Line::raw(row.iter().map(cell).collect::<String>())
    });
    frame.render_widget(Paragraph::new(rows.collect::<Vec<_>>()), inner);
}

#[cfg(test)]
mod tests;
