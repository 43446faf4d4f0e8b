//! The socket through which a Raspberry Pi's own camera comes (`emotiond-rpicam.socket`), with a stand-in for `rpicam-vid`:
//! each connection gets pictures at the camera's pace until it ends, as systemd and `rpicam-vid` have it. Raw frames have
//! their rows padded as libcamera pads them. What only a real Pi can show is in docs/guides/raspberry-pi.md.

#![allow(clippy::unwrap_used, reason = "a test may")]

mod support;

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{ChildStdout, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use image::RgbImage;
use image::imageops::{self, FilterType};
use serde_json::Value;

use support::daemon::{Daemon, emotiond};

/// To what the rows of raw frames are padded, on a Raspberry Pi 5; a Pi 4 pads to 32.
const ALIGNMENT: u32 = 64;

/// The photo of a smiling astronaut.
fn photo(width: u32, height: u32) -> RgbImage {
    let photo = image::open(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png")).unwrap();
    imageops::resize(&photo.to_rgb8(), width, height, FilterType::Triangle)
}

/// `--codec yuv420`: a plane of luma and two of chroma, each row padded. Padding has whatever was there: here, white.
fn yu12(photo: &RgbImage, stride: u32) -> Vec<u8> {
    let (width, height) = photo.dimensions();
    let value = |x: u32, y: u32, plane: usize| {
        let [r, g, b] = photo.get_pixel(x, y).0.map(|value| f32::from(value) / 255.0);
        let luma = 0.299 * r + 0.587 * g + 0.114 * b;
        let value =
            [16.0 + 219.0 * luma, 128.0 + 224.0 * (b - luma) / 1.772, 128.0 + 224.0 * (r - luma) / 1.402];
        value[plane].round() as u8
    };
    let mut bytes = Vec::new();
    for (plane, scale) in [(0, 1), (1, 2), (2, 2)] {
        for y in 0..height / scale {
            bytes.extend((0..width / scale).map(|x| value(x * scale, y * scale, plane)));
            bytes.resize(bytes.len() + ((stride - width) / scale) as usize, 255);
        }
    }
    bytes
}

/// Ten frames a second to each who connects, until they go. The first connection breaks after `breaks` bytes of the
/// stream, as when `rpicam-vid` dies. Counts connections.
fn serve(socket: &Path, frame: Vec<u8>, breaks: Option<usize>) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(socket).unwrap();
    let connections = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&connections);
    // Ends with the test's process.
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            let mut connection = connection.unwrap();
            let first = count.fetch_add(1, Ordering::SeqCst) == 0;
            let mut left = breaks.filter(|_| first).unwrap_or(usize::MAX);
            while left > 0 {
                let piece = &frame[..frame.len().min(left)];
                left -= piece.len();
                if connection.write_all(piece).is_err() {
                    break;
                }
                std::thread::sleep(Duration::from_millis(100)); // the camera's rate
            }
        }
    });
    connections
}

/// A daemon that prints the summaries of what it sees at `socket`.
fn watching(folder: &Path, camera: &str) -> (Daemon, impl Iterator<Item = Value>) {
    let config = folder.join("emotiond.toml");
    let text = format!(
        "site = \"home\"\n[camera]\nsource = \"stream:{}\"\n{camera}\n[summary]\nwindow = \"2s\"\n",
        folder.join("camera").display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = emotiond();
    command.args(["run", "--publish", "stdout", "--config"]).arg(&config).stdout(Stdio::piped());
    let mut daemon = Daemon::start(&mut command);
    let lines: BufReader<ChildStdout> = BufReader::new(daemon.child.stdout.take().unwrap());
    let summaries = lines.lines().map(|line| serde_json::from_str(&line.unwrap()).unwrap());
    (daemon, summaries.filter(|summary: &Value| summary["quality"]["frames"].as_u64().unwrap() > 0))
}

fn a_happy_face(summary: &Value) -> bool {
    summary["faces"]["mean"] == 1.0 && summary["expression"]["dominant"] == "happiness"
}

#[test]
fn raw_frames_with_padded_rows_are_read_and_a_wrong_stride_shows() {
    let (width, height) = (600_u32, 450);
    let stride = width.next_multiple_of(ALIGNMENT);
    assert_eq!(stride, 640);
    for (told, seen) in [(stride, true), (stride + ALIGNMENT, false)] {
        let folder = tempfile::tempdir().unwrap();
        serve(&folder.path().join("camera"), yu12(&photo(width, height), stride), None);
        let camera = format!("format = \"yu12\"\nwidth = {width}\nheight = {height}\nstride = {told}");
        let (daemon, summaries) = watching(folder.path(), &camera);
        daemon.wait_line(&["capturing raw 600×450", "frames from"]);
        // The first window begins before the face is there.
        let looked_at: Vec<_> = summaries.take(3).collect();
        assert_eq!(looked_at.iter().any(a_happy_face), seen, "told {told}: {looked_at:?}");
    }
}

#[test]
fn a_program_that_dies_in_the_middle_of_a_frame_is_asked_for_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut jpeg = Vec::new();
    photo(640, 480).write_to(&mut std::io::Cursor::new(&mut jpeg), image::ImageFormat::Jpeg).unwrap();
    // In the middle of a frame.
    let breaks = jpeg.len() * 5 / 2;
    let connections = serve(&folder.path().join("camera"), jpeg, Some(breaks));
    let (mut daemon, mut summaries) = watching(folder.path(), "");
    daemon.wait_line(&["camera lost", "camera", "trying again"]);
    daemon.wait_line(&["camera is back"]);
    assert!(summaries.any(|summary| summary["quality"]["camera"] == "ok" && a_happy_face(&summary)));
    assert_eq!(connections.load(Ordering::SeqCst), 2, "one connection after another");
    daemon.child.kill().unwrap();
}
