use std::io::Write as _;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use image::{Rgb, RgbImage};

use super::*;
use crate::capture::replay::ReplaySettings;
use crate::capture::v4l2::negotiate::ModeRequest;
use crate::capture::{CameraSettings, Spec};
use crate::host::clock::ManualClock;

fn jpeg(shade: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = RgbImage::from_pixel(32, 24, Rgb([shade; 3]));
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Jpeg).unwrap();
    bytes
}

fn settings(path: &Path, format: Option<PixelFormat>) -> CameraSettings {
    CameraSettings {
        source: Spec::Stream(Input::Path(path.to_owned())),
        mode: ModeRequest { width: 4, height: 2, rate: 5.0, format },
        stride: 0,
        timeout: Duration::from_millis(300),
        replay: ReplaySettings::default(),
    }
}

fn context() -> Context {
    Context::new(Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH)))
}

/// A named pipe in a folder of its own.
fn fifo() -> (tempfile::TempDir, std::path::PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camera");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    (folder, path)
}

/// Opens the pipe for writing, which takes somebody who reads.
fn writer(path: &Path) -> File {
    OpenOptions::new().write(true).open(path).unwrap()
}

#[test]
fn an_end_closes_the_stream_and_it_opens_again() {
    let (_folder, path) = fifo();
    let mut open = settings(&path, None).opener(context());
    for shade in [10, 200] {
        let mut source = open().unwrap();
        assert_eq!(source.describe(), format!("Motion JPEG from {}", path.display()));
        let mut out = writer(&path);
        out.write_all(&jpeg(shade)).unwrap();
        let frame = source.next().unwrap();
        assert_eq!((frame.width, frame.height), (32, 24));
        drop(out);
        assert!(matches!(source.next(), Err(SourceError::Closed { .. })));
    }
}

#[test]
fn silence_and_garbage_are_told_apart() {
    let (_folder, path) = fifo();
    let mut open = settings(&path, None).opener(context());
    let mut source = open().unwrap();
    assert!(matches!(source.next(), Err(SourceError::TimedOut { .. })), "nobody writes");
    let mut out = writer(&path);
    let whole = jpeg(10);
    out.write_all(&[&whole[..whole.len() / 2], &whole[..whole.len() / 2], &whole[..10]].concat()).unwrap();
    assert!(matches!(source.next(), Err(SourceError::Damaged { .. })));
    assert!(source.take_losses().corrupt >= 1);
}

#[test]
fn a_stop_or_a_pause_ends_the_wait() {
    let (_folder, path) = fifo();
    let context = context();
    let mut open =
        CameraSettings { timeout: Duration::from_secs(60), ..settings(&path, None) }.opener(context.clone());
    let mut source = open().unwrap();
    for flag in [&context.control.stop, &context.control.paused] {
        flag.store(true, Ordering::Relaxed);
        let began = Instant::now();
        assert!(matches!(source.next(), Err(SourceError::Interrupted)));
        assert!(began.elapsed() < Duration::from_secs(5));
        flag.store(false, Ordering::Relaxed);
    }
}

#[test]
fn raw_frames_are_cut_by_their_length_and_what_waited_is_thrown_away() {
    let (_folder, path) = fifo();
    let settings = settings(&path, Some(PixelFormat::Grey));
    let mut open = settings.opener(context());
    let mut source = open().unwrap();
    let mut out = writer(&path);
    out.write_all(&[[1; 8], [2; 8]].concat()).unwrap();
    assert_eq!(source.next().unwrap().bytes, [1; 8]);
    assert_eq!(source.next().unwrap().bytes, [2; 8]);
    drop(source);
    // A second reader holds the pipe open, as standard input is: the program goes on writing while nobody looks.
    let _held = OpenOptions::new().read(true).open(&path).unwrap();
    out.write_all(&[[3; 8], [4; 8]].concat()).unwrap();
    let mut source = open().unwrap();
    out.write_all(&[5; 8]).unwrap();
    assert_eq!(source.next().unwrap().bytes, [5; 8]);
}

#[test]
fn a_frame_cut_by_a_pause_of_the_same_stream_is_left_out_whole() {
    let mut assembler = Assembler::new(PixelFormat::Grey, 4, 2, 0);
    assembler.push(&[1; 11]);
    assert_eq!(*assembler.next().unwrap().bytes, [1; 8]);
    assembler.restart(true);
    assembler.skip(&[2; 2]);
    assembler.push(&[[3; 3].as_slice(), &[4; 8]].concat());
    assert_eq!(*assembler.next().unwrap().bytes, [4; 8]);
    assert!(assembler.next().is_none());
    assembler.push(&[5; 3]);
    assembler.restart(false);
    assembler.push(&[6; 8]);
    assert_eq!(*assembler.next().unwrap().bytes, [6; 8]);
}

#[test]
fn a_socket_is_connected_to() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("camera");
    let mut open = settings(&path, None).opener(context());
    assert!(matches!(open().err(), Some(SourceError::Gone { .. })));
    let listener = std::os::unix::net::UnixListener::bind(&path).unwrap();
    let mut source = open().unwrap();
    listener.accept().unwrap().0.write_all(&jpeg(10)).unwrap();
    assert_eq!(source.next().unwrap().width, 32);
    assert!(matches!(source.next(), Err(SourceError::Closed { .. })));
    drop(listener);
    assert!(matches!(open().err(), Some(SourceError::Gone { .. })), "nobody listens any more");
}

#[test]
fn what_is_no_stream_is_refused_with_the_right_word() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mjpeg");
    std::fs::write(&path, jpeg(10)).unwrap();
    let refused = |path: &Path| settings(path, None).opener(context())().err().unwrap().to_string();
    assert!(refused(&path).contains("replay:"));
    assert!(refused(folder.path()).contains("replay:"));
    assert!(refused(Path::new("/dev/null")).contains("v4l2:"));
}
