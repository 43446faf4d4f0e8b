use std::fs;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use image::{Rgb, RgbImage};

use super::*;
use crate::capture::frame::PixelFormat;
use crate::host::clock::ManualClock;

fn context() -> Context {
    Context::new(Arc::new(ManualClock::new(SystemTime::UNIX_EPOCH)))
}

/// A recording that comes through a pipe.
fn piped(bytes: Vec<u8>, settings: &ReplaySettings, context: Context) -> ReplaySource {
    let (reader, mut writer) = std::io::pipe().unwrap();
    std::thread::spawn(move || writer.write_all(&bytes));
    let reader = PipeReader::new(OwnedFd::from(reader).into(), "a pipe".to_owned(), context.control.clone());
    ReplaySource::of("a pipe".to_owned(), Material::pipe(reader, "a pipe".to_owned()), settings, context)
}

fn jpeg(shade: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let picture = RgbImage::from_pixel(32, 24, Rgb([shade; 3]));
    picture.write_to(&mut std::io::Cursor::new(&mut bytes), image::ImageFormat::Jpeg).unwrap();
    bytes
}

/// All frames' moments in milliseconds, and the error at the end.
fn play(source: &mut ReplaySource) -> (Vec<u128>, SourceError) {
    let mut moments = Vec::new();
    loop {
        match source.next() {
            Ok(frame) => {
                assert_eq!((frame.width, frame.height), (32, 24));
                moments.push(frame.at.since_origin().as_millis());
            }
            Err(error) => return (moments, error),
        }
    }
}

fn open(path: &Path, settings: &ReplaySettings) -> Result<ReplaySource, SourceError> {
    ReplaySource::open(&Input::Path(path.to_owned()), settings, context())
}

fn error_of(path: &Path) -> String {
    let mut source = match open(path, &ReplaySettings::default()) {
        Ok(source) => source,
        Err(error) => return error.to_string(),
    };
    play(&mut source).1.to_string()
}

#[test]
fn an_image_lasts_thirty_seconds_or_as_long_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("face.jpg");
    fs::write(&path, jpeg(90)).unwrap();
    let (moments, end) = play(&mut open(&path, &ReplaySettings::default()).unwrap());
    assert!(matches!(end, SourceError::End));
    assert_eq!((moments.len(), moments[1], moments[749]), (750, 40, 29_960));
    let options =
        ReplaySettings { fps: 10.0, duration: Some(Duration::from_millis(450)), ..ReplaySettings::default() };
    assert_eq!(play(&mut open(&path, &options).unwrap()).0, [0, 100, 200, 300, 400]);
}

#[test]
fn a_folder_is_played_in_the_order_of_its_names() {
    let folder = tempfile::tempdir().unwrap();
    for (name, shade) in [("b.JPG", 20), ("a.jpeg", 10), ("d.jpg", 40)] {
        fs::write(folder.path().join(name), jpeg(shade)).unwrap();
    }
    RgbImage::from_pixel(32, 24, Rgb([30; 3])).save(folder.path().join("c.png")).unwrap();
    fs::write(folder.path().join("notes.txt"), "not an image").unwrap();
    let mut source = open(folder.path(), &ReplaySettings::default()).unwrap();
    let mut shades = Vec::new();
    let mut picture = RgbImage::default();
    while let Ok(frame) = source.next() {
        crate::capture::frame::decode::decode(&frame, &mut picture).unwrap();
        shades.push(picture.get_pixel(5, 5).0[0]);
    }
    assert_eq!(shades, [10, 20, 30, 40]);
    let twice = ReplaySettings { duration: Some(Duration::from_millis(320)), ..ReplaySettings::default() };
    assert_eq!(play(&mut open(folder.path(), &twice).unwrap()).0.len(), 8);
}

#[test]
fn damaged_images_are_counted_and_time_passes_with_them() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("1.jpg"), jpeg(1)).unwrap();
    fs::write(folder.path().join("2.jpg"), &jpeg(2)[..200]).unwrap();
    fs::write(folder.path().join("3.png"), b"\x89PNG\r\n\x1a\nand no more").unwrap();
    fs::write(folder.path().join("4.jpg"), jpeg(4)).unwrap();
    let mut source = open(folder.path(), &ReplaySettings::default()).unwrap();
    assert_eq!(play(&mut source).0, [0, 120]);
    assert_eq!(source.take_losses(), Losses { dropped: 0, corrupt: 2 });
    assert_eq!(source.take_losses(), Losses::default());
}

#[test]
fn a_motion_jpeg_file_and_stream() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mjpeg");
    let mut stream = [jpeg(1), jpeg(2), jpeg(3)].concat();
    stream.extend(&jpeg(4)[..300]);
    fs::write(&path, &stream).unwrap();
    let mut source = open(&path, &ReplaySettings::default()).unwrap();
    assert_eq!(play(&mut source).0, [0, 40, 80]);
    assert_eq!(source.take_losses().corrupt, 1);
    assert!(source.describe().contains("clip.mjpeg as 25 fps"), "{}", source.describe());
    let again = ReplaySettings { duration: Some(Duration::from_millis(400)), ..ReplaySettings::default() };
    assert_eq!(play(&mut open(&path, &again).unwrap()).0, [0, 40, 80, 160, 200, 240, 320, 360]);
    let mut piped = piped(stream, &again, context());
    let (moments, end) = play(&mut piped);
    assert_eq!(moments, [0, 40, 80]);
    assert!(matches!(end, SourceError::End), "a pipe cannot start over");
}

#[test]
fn errors_name_the_file_and_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let cases = [
        (folder.path().join("missing.jpg"), "check the path"),
        (write("video.mp4", b"\0\0\0\x20ftypisom"), "ffmpeg"),
        (write("cut.jpg", &jpeg(1)[..300]), "damaged"),
        (write("empty.mjpeg", b""), "no JPEG frame"),
        (write("noise.mjpeg", &[7; 100_000]), "no JPEG frame"),
    ];
    for (path, remedy) in cases {
        let error = error_of(&path);
        assert!(error.contains(path.to_str().unwrap()) && error.contains(remedy), "{error}");
    }
    let empty = tempfile::tempdir().unwrap();
    assert!(error_of(empty.path()).contains("holds no"), "{}", error_of(empty.path()));
}

#[test]
fn a_pipe_without_a_frame_says_how_much_came() {
    for bytes in [Vec::new(), vec![7; 100_000]] {
        let came = bytes.len() as u64;
        let (_, error) = play(&mut piped(bytes, &ReplaySettings::default(), context()));
        assert!(matches!(error, SourceError::NoFrames { bytes, .. } if bytes == came), "{error}");
    }
}

#[test]
fn at_full_speed_frames_are_counted_on_from_the_clock() {
    let clock = ManualClock::new(SystemTime::UNIX_EPOCH);
    clock.advance(Duration::from_secs(7));
    let mut source =
        piped([jpeg(1), jpeg(2)].concat(), &ReplaySettings::default(), Context::new(Arc::new(clock)));
    assert_eq!(play(&mut source).0, [7000, 7040]);
}

#[test]
fn in_real_time_frames_are_of_when_they_come_and_a_stop_ends_it() {
    let settings = ReplaySettings { fps: 20.0, speed: Speed::RealTime, ..ReplaySettings::default() };
    let context = Context::new(Arc::new(crate::host::clock::SystemClock::new()));
    let mut source = piped([jpeg(1), jpeg(2), jpeg(3)].concat(), &settings, context.clone());
    let (first, second) = (source.next().unwrap().at, source.next().unwrap().at);
    assert!(second - first >= Duration::from_millis(45), "{:?}", second - first);
    assert!(context.clock.now() >= second);
    context.control.stop.store(true, Ordering::Relaxed);
    assert!(matches!(source.next(), Err(SourceError::Interrupted)));
    // The last frame is shown for its time too.
    context.control.stop.store(false, Ordering::Relaxed);
    source.next().unwrap();
    assert!(matches!(source.next(), Err(SourceError::End)));
    assert!(context.clock.now() - first >= Duration::from_millis(145));
}

#[test]
fn jpeg_stays_jpeg() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jpg");
    fs::write(&path, jpeg(1)).unwrap();
    let frame = open(&path, &ReplaySettings::default()).unwrap().next().unwrap();
    assert_eq!((frame.format, &frame.bytes), (PixelFormat::Mjpeg, &jpeg(1)));
}
