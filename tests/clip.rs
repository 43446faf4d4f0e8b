//! `emotiond analyze` over clips, as its users run it. Needs ffmpeg, as a user's video does.

#![allow(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

const PHOTO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/astronaut.png");

fn emotiond() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_emotiond"));
    command.env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn analyze(arguments: &[&str], paths: &[&Path]) -> Output {
    emotiond().arg("analyze").args(arguments).args(paths).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    text(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// A JPEG of the portrait, or of nothing.
fn jpeg(face: bool) -> Vec<u8> {
    let picture = if face {
        image::open(PHOTO).unwrap().into_rgb8()
    } else {
        image::RgbImage::from_pixel(512, 512, image::Rgb([128; 3]))
    };
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, image::ImageFormat::Jpeg).unwrap();
    bytes.into_inner()
}

#[test]
fn a_folder_of_numbered_pictures_is_a_clip() {
    let folder = tempfile::tempdir().unwrap();
    let frames = folder.path().join("frames");
    std::fs::create_dir(&frames).unwrap();
    // Frame 3 is missing, and nobody is on the last one.
    for (number, face) in [(1, true), (2, true), (4, true), (5, false)] {
        std::fs::write(frames.join(format!("{number:05}.jpg")), jpeg(face)).unwrap();
    }
    let plot = folder.path().join("plot.svg");
    let options = ["--clip", "--fps", "10", "--smooth", "gaussian:0.1", "--plot", plot.to_str().unwrap()];
    let output = analyze(&options, &[&frames]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let lines = lines(&output);
    let numbers: Vec<_> = lines.iter().map(|line| (line["frame"].as_u64(), line["time"].as_f64())).collect();
    assert_eq!(numbers, [(Some(1), Some(0.0)), (Some(2), Some(0.1)), (Some(4), Some(0.3))]);
    assert!(lines.iter().all(|line| line["track"] == 1), "{lines:?}");
    assert!(lines.iter().all(|line| line["expression"]["happiness"].as_f64().unwrap() > 0.8), "{lines:?}");
    let svg = std::fs::read_to_string(&plot).unwrap();
    for word in ["happiness", "valence", "Faces", "Events"] {
        assert!(svg.contains(word), "{word}");
    }
    assert!(!svg.contains("<image"), "a drawing of numbers");
    let again = analyze(&options, &[&frames]);
    assert_eq!(again.status.code(), Some(66), "nothing is overwritten: {}", text(&again.stderr));

    let csv = text(&analyze(&["--clip", "--fps", "10", "--format", "csv"], &[&frames]).stdout);
    let rows: Vec<Vec<&str>> = csv.lines().map(|line| line.split(',').collect()).collect();
    assert_eq!(
        rows[0][..9].join(","),
        "frame,face_id,timestamp,confidence,success,FaceRectX,FaceRectY,FaceRectWidth,FaceRectHeight"
    );
    for column in ["happiness", "valence", "AU01_r", "AU12_c"] {
        assert!(rows[0].contains(&column), "{column}");
    }
    assert!(rows.iter().all(|row| row.len() == rows[0].len()), "{csv}");
    assert_eq!(rows[4][..5], ["5", "0", "0.4", "0", "0"], "a frame without a face says so");
    assert_eq!((rows.len(), rows[3][0], rows[3][1]), (5, "4", "1"));
}

#[test]
fn motion_jpeg_that_is_cut_off_ends_with_65_after_what_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("clip.mjpeg");
    let picture = jpeg(true);
    let whole = [picture.clone(), picture.clone()].concat();
    std::fs::write(&path, &whole).unwrap();
    let output = analyze(&[], &[&path]);
    assert_eq!((output.status.code(), lines(&output).len()), (Some(0), 2), "{}", text(&output.stderr));
    std::fs::write(&path, [&whole[..], &picture[..picture.len() / 2]].concat()).unwrap();
    let output = analyze(&[], &[&path]);
    assert_eq!((output.status.code(), lines(&output).len()), (Some(65), 2), "{}", text(&output.stderr));
}

#[test]
fn a_video_goes_through_ffmpeg_and_says_when_its_frames_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("-odd:name %d.mkv");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-loop", "1", "-r", "8", "-i", PHOTO, "-frames:v", "6", "-pix_fmt", "yuv420p"])
        .arg(format!("file:{}", video.display()))
        .stdin(Stdio::null())
        .status()
        .expect("ffmpeg is needed: sudo apt install ffmpeg");
    assert!(made.success());
    let output = analyze(&["--"], &[&video]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let times: Vec<_> = lines(&output).iter().map(|line| line["time"].as_f64().unwrap()).collect();
    assert_eq!(times, [0.0, 0.125, 0.25, 0.375, 0.5, 0.625]);
    let thinned = analyze(&["--fps", "4", "--"], &[&video]);
    assert_eq!(lines(&thinned).len(), 3, "{}", text(&thinned.stderr));

    let whole = std::fs::read(&video).unwrap();
    std::fs::write(&video, &whole[..whole.len() / 2]).unwrap();
    let cut = analyze(&["--"], &[&video]);
    assert_eq!(cut.status.code(), Some(65), "{}", text(&cut.stderr));
    let none = analyze(&["--"], &[&folder.path().join("none.mp4")]);
    assert_eq!(none.status.code(), Some(66));

    std::fs::write(&video, whole).unwrap();
    let without = emotiond().env("PATH", folder.path()).args(["analyze", "--"]).arg(&video).output().unwrap();
    assert_eq!(without.status.code(), Some(69));
    assert!(text(&without.stderr).contains("apt install ffmpeg"), "{}", text(&without.stderr));
}

#[test]
fn clips_are_evaluated_against_annotations() {
    let folder = tempfile::tempdir().unwrap();
    let (clips, annotations) = (folder.path().join("clips"), folder.path().join("annotations"));
    std::fs::create_dir_all(clips.join("one")).unwrap();
    std::fs::create_dir_all(&annotations).unwrap();
    for number in 1..=4 {
        std::fs::write(clips.join(format!("one/{number:05}.jpg")), jpeg(number < 4)).unwrap();
    }
    let evaluate = |text: &str| {
        std::fs::write(annotations.join("one.txt"), text).unwrap();
        let command = ["evaluate", "--json", "--annotations"];
        let output = emotiond().args(command).arg(&annotations).arg(&clips).output().unwrap();
        assert!(output.status.success(), "{}", self::text(&output.stderr));
        lines(&output).remove(0)
    };
    // All read as happy, the last by the frame before. Happiness: 2 hits, 1 false alarm, so F1 = 4/5; one class of eight.
    let header = "Neutral,Anger,Disgust,Fear,Happiness,Sadness,Surprise,Other\n";
    let found = evaluate(&format!("{header}4\n-1\n0\n4\n"));
    assert_eq!((found["frames"].as_u64(), found["without_face"].as_u64()), (Some(3), Some(1)));
    assert_eq!(found["expression"]["classes"]["happiness"]["f1"].as_f64(), Some(0.8));
    assert_eq!(found["expression"]["macro_f1"].as_f64(), Some(0.1));
    let found = evaluate("AU6,AU12\n1,1\n0,1\n1,0\n-1,-1\n");
    assert_eq!(found["action_units"]["units"]["AU12"]["f1"].as_f64(), Some(0.8));
    assert!(
        found["action_units"]["units"]["AU6"].is_null() && found["action_units"]["mean_f1_of_all"] == 0.4
    );
    // A constant reading agrees with nothing.
    let found = evaluate("valence,arousal\n0.1,0.2\n0.3,0.4\n-5,-5\n0.5,0.5\n");
    assert!(found["valence"]["ccc"].as_f64().unwrap().abs() < 0.05, "{found}");
    assert_eq!(found["arousal"]["frames"].as_u64(), Some(3));

    std::fs::write(annotations.join("two.txt"), header).unwrap();
    let missing =
        emotiond().args(["evaluate", "--annotations"]).arg(&annotations).arg(&clips).output().unwrap();
    assert_eq!(missing.status.code(), Some(66));
    assert!(text(&missing.stderr).contains("two.txt has no clip"), "{}", text(&missing.stderr));
}

#[test]
fn options_that_do_not_fit_are_refused() {
    for arguments in [&["--plot", "a.svg"][..], &["--format", "csv"], &["--fps", "5"], &["--smooth", "box:1"]]
    {
        let output = analyze(arguments, &[Path::new(PHOTO)]);
        assert_eq!(output.status.code(), Some(66), "{arguments:?}");
        assert!(text(&output.stderr).contains("--clip"), "{}", text(&output.stderr));
    }
    let two = analyze(&["--clip"], &[Path::new("a"), Path::new("b")]);
    assert!(text(&two.stderr).contains("name one"), "{}", text(&two.stderr));
}
