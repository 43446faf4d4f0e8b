//! A USB webcam made of software, for the camera test: it offers the kernel's USB/IP host controller (`vhci_hcd`) a device
//! on a socket and answers for it, so that the real `uvcvideo` driver binds to it and `/dev/video0` streams our frames.
//!
//! `vuvc STATE FOLDER...` does what the file STATE says, whenever that changes. The name of a folder: plugged in and
//! sending the folder's files over and over as frames, `mjpg…` as Motion JPEG, `yuyv…` as YUYV, whatever is in them; the
//! camera is plugged in anew only if that format changes. `stalled`: plugged in, but sending nothing. `unplugged`. `quit`.
//! The camera says that its frames are 640×480.

mod camera;
mod control;
mod descriptors;
mod format;
mod usbip;

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use camera::{Camera, Frames};
use format::Format;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [state_file, folders @ ..] = arguments.as_slice() else {
        bail!("usage: vuvc STATE FOLDER...");
    };
    let shows: HashMap<String, (Format, Frames)> =
        folders.iter().map(|folder| show(Path::new(folder))).collect::<anyhow::Result<_>>()?;

    let mut plugged: Option<(Format, Camera)> = None;
    let mut last = String::new();
    loop {
        // The file is on a network file system, which cannot tell of changes.
        std::thread::sleep(Duration::from_millis(50));
        let state = fs::read_to_string(state_file).unwrap_or_default();
        let state = state.lines().next().unwrap_or_default().to_owned();
        if state == last || state.is_empty() {
            continue;
        }
        match (state.as_str(), shows.get(&state)) {
            (_, Some((format, frames))) => plug(&mut plugged, *format, frames)?,
            ("stalled", _) => {
                if let Some((_, camera)) = &plugged {
                    camera.stall();
                }
            }
            ("unplugged", _) => plugged = None,
            ("quit", _) => return Ok(()),
            (other, _) => bail!("{state_file} says {other:?}"),
        }
        writeln!(std::io::stdout(), "vuvc: {state}").context("failed to write to standard output")?;
        last = state;
    }
}

/// Plugs in a camera that shows these frames, or lets the one that is plugged in go on with them.
fn plug(plugged: &mut Option<(Format, Camera)>, format: Format, frames: &Frames) -> anyhow::Result<()> {
    match plugged {
        Some((current, camera)) if *current == format => camera.show(frames.clone()),
        _ => {
            *plugged = None;
            let camera = Camera::plug(format, frames.clone());
            *plugged = Some((format, camera.context("failed to plug in; is the module vhci_hcd loaded?")?));
        }
    }
    Ok(())
}

/// The files of a folder, in the order of their names, by the folder's name.
fn show(folder: &Path) -> anyhow::Result<(String, (Format, Frames))> {
    let shown = folder.display();
    let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let format = match name.get(..4) {
        Some("mjpg") => Format::Mjpg,
        Some("yuyv") => Format::Yuyv,
        _ => bail!("{shown}: the name does not begin with mjpg or yuyv"),
    };
    let entries = fs::read_dir(folder).with_context(|| format!("failed to read {shown}"))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    let frames: Vec<_> = paths.iter().map(fs::read).collect::<std::io::Result<_>>()?;
    if frames.is_empty() {
        bail!("{shown} holds no frames");
    }
    Ok((name, (format, Arc::new(frames))))
}
