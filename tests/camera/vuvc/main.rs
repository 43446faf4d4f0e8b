//! A USB webcam made of software, for the camera test: it offers the kernel's USB/IP host controller (`vhci_hcd`) a device
//! on a socket and answers for it, so that the real `uvcvideo` driver binds to it and `/dev/video0` streams our frames.
//!
//! `vuvc STATE JPEG_FOLDER YUYV_FOLDER` does what the file STATE says, whenever that changes: `mjpg` or `yuyv` (plugged
//! in, with that one format), `stalled` (plugged in, but sending nothing), `unplugged`, `quit`. Frames are 640×480.

mod camera;
mod control;
mod descriptors;
mod format;
mod usbip;

use std::fs;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};

use camera::Camera;
use format::{Format, HEIGHT, WIDTH};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [state_file, jpegs, yuyvs] = arguments.as_slice() else {
        bail!("usage: vuvc STATE JPEG_FOLDER YUYV_FOLDER");
    };
    let (jpegs, yuyvs) = (Arc::new(frames(jpegs)?), Arc::new(frames(yuyvs)?));
    if let Some(wrong) =
        yuyvs.iter().find(|frame| frame.len() != usize::from(WIDTH) * usize::from(HEIGHT) * 2)
    {
        bail!("a YUYV frame of {} bytes is not one of {WIDTH}×{HEIGHT}", wrong.len());
    }

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
        match state.as_str() {
            "mjpg" => plug(&mut plugged, Format::Mjpg, &jpegs)?,
            "yuyv" => plug(&mut plugged, Format::Yuyv, &yuyvs)?,
            "stalled" => {
                if let Some((_, camera)) = &plugged {
                    camera.stall(true);
                }
            }
            "unplugged" => plugged = None,
            "quit" => return Ok(()),
            other => bail!("{state_file} says {other:?}"),
        }
        writeln!(std::io::stdout(), "vuvc: {state}").context("failed to write to standard output")?;
        last = state;
    }
}

/// Plugs in a camera of this format, or lets the one that is plugged in go on.
fn plug(
    plugged: &mut Option<(Format, Camera)>,
    format: Format,
    frames: &Arc<Vec<Vec<u8>>>,
) -> anyhow::Result<()> {
    match plugged {
        Some((current, camera)) if *current == format => camera.stall(false),
        _ => {
            *plugged = None;
            let camera = Camera::plug(format, frames.clone());
            *plugged = Some((format, camera.context("failed to plug in; is the module vhci_hcd loaded?")?));
        }
    }
    Ok(())
}

/// The files of a folder, in the order of their names.
fn frames(folder: &str) -> anyhow::Result<Vec<Vec<u8>>> {
    let entries = fs::read_dir(folder).with_context(|| format!("failed to read {folder}"))?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    let frames: Vec<_> = paths.iter().map(fs::read).collect::<std::io::Result<_>>()?;
    if frames.is_empty() {
        bail!("{folder} holds no frames");
    }
    Ok(frames)
}
