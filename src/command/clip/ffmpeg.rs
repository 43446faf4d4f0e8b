//! A video, decoded by the user's own ffmpeg. It is another program with the rights of whoever runs the command: of its
//! output only pictures of a bounded size, their times and whether it complained are read.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail, ensure};
use image::RgbImage;

use super::ClipFrame;
use crate::capture::frame::decode::MAX_PIXELS;
use crate::exit::{Code, Failure, OrExit as _};

/// The longest line of ffmpeg that is read.
const LONGEST: u64 = 4096;
/// The rate of a video that does not say when its frames are shown.
const NOMINAL: f64 = 25.0;

/// What ffmpeg says beside the pictures.
enum Said {
    /// The next frame is shown at this time; `None` if the file does not say.
    Time(Option<f64>),
    /// How long the video is, in seconds.
    Length(f64),
    /// Something is wrong with the file.
    Complaint(String),
}

/// A video that ffmpeg decodes.
pub struct FfmpegClip {
    shown: String,
    child: Child,
    pictures: BufReader<ChildStdout>,
    said: Receiver<Said>,
    listener: Option<JoinHandle<()>>,
    length: Option<f64>,
    complaints: u64,
    complaint: Option<String>,
    number: u64,
    last: f64,
}

impl FfmpegClip {
    /// Starts ffmpeg on a file: on each of its frames or, with `fps`, on as many a second.
    ///
    /// # Errors
    /// [`Code::Unavailable`] if there is no ffmpeg.
    pub fn open(path: &Path, fps: Option<f64>) -> Result<Self, Failure> {
        // With the protocol in front of it, no file name is an option or an address.
        let mut input = OsString::from("file:");
        input.push(path);
        // The rate is ours, a number that prints as one.
        let rate = fps.map_or_else(String::new, |fps| format!("fps={fps},"));
        let spawned = Command::new("ffmpeg")
            .args(["-nostdin", "-hide_banner", "-nostats", "-loglevel", "repeat+level+info"])
            // A playlist in a file cannot make it fetch anything.
            .args(["-protocol_whitelist", "file,pipe", "-i"])
            .arg(input)
            .args(["-map", "0:v:0", "-vf", &format!("{rate}showinfo=checksum=0")])
            .args(["-fps_mode", "passthrough", "-f", "image2pipe", "-c:v", "ppm", "-pix_fmt", "rgb24", "-"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let shown = path.display().to_string();
        let mut child = match spawned {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let error = anyhow!(
                    "{shown} is a video, and ffmpeg, which emotiond leaves decoding to, is not installed: install it \
                     (`sudo apt install ffmpeg`), or give a folder of pictures or a Motion JPEG file"
                );
                return Err(Failure { code: Code::Unavailable, error });
            }
            Err(error) => return Err(error).context("cannot start ffmpeg").or_exit(Code::Unavailable),
        };
        let pictures = BufReader::with_capacity(1 << 20, child.stdout.take().expect("it is piped"));
        let lines = BufReader::new(child.stderr.take().expect("it is piped"));
        let (sender, said) = channel();
        let listener = std::thread::Builder::new()
            .name("ffmpeg".to_owned())
            .spawn(move || listen(lines, &sender))
            .or_exit(Code::Software)?;
        Ok(Self {
            shown,
            child,
            pictures,
            said,
            listener: Some(listener),
            length: None,
            complaints: 0,
            complaint: None,
            number: 0,
            last: 0.0,
        })
    }

    /// The next frame; `None` at the end.
    pub fn next(&mut self) -> anyhow::Result<Option<ClipFrame>> {
        let Some(picture) = read_ppm(&mut self.pictures).with_context(|| self.shown.clone())? else {
            return Ok(None);
        };
        self.number += 1;
        let step = 1.0 / NOMINAL;
        // Said before the picture is written, so it is on its way at least.
        let time = loop {
            match self.said.recv() {
                Ok(Said::Time(time)) => break time,
                Ok(other) => self.note(other),
                Err(_) => bail!("{}: ffmpeg no longer says when frames are shown", self.shown),
            }
        };
        let time = time.unwrap_or(if self.number == 1 { 0.0 } else { self.last + step });
        // Never back in time, whatever the file says.
        self.last = time.clamp(self.last, 1e9);
        Ok(Some(ClipFrame { number: self.number, time: Duration::from_secs_f64(self.last), picture }))
    }

    /// How long the video is, if it says so.
    pub fn length(&self) -> Option<Duration> {
        self.length.map(Duration::from_secs_f64)
    }

    /// Says after the last frame whether there was one, and whether ffmpeg complained.
    pub fn finish(&mut self) -> anyhow::Result<()> {
        let status = self.child.wait().context("ffmpeg has gone")?;
        if let Some(listener) = self.listener.take() {
            let _ended = listener.join();
        }
        while let Ok(said) = self.said.try_recv() {
            self.note(said);
        }
        let (shown, said) = (&self.shown, self.complaint.as_deref().unwrap_or("nothing"));
        ensure!(self.number > 0, "{shown} is no video that ffmpeg can read; it says: {said}");
        ensure!(
            status.success() && self.complaints == 0,
            "{shown} is damaged or cut off: ffmpeg complained {} times, first: {said}; {} frames were analysed",
            self.complaints,
            self.number
        );
        Ok(())
    }

    fn note(&mut self, said: Said) {
        match said {
            Said::Length(seconds) => self.length = self.length.or(Some(seconds)),
            Said::Complaint(text) => {
                self.complaints += 1;
                self.complaint.get_or_insert(text);
            }
            Said::Time(_) => {}
        }
    }
}

impl Drop for FfmpegClip {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Passes on what the lines of ffmpeg's log say, until it closes them.
fn listen(mut lines: impl BufRead, to: &Sender<Said>) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match lines.by_ref().take(LONGEST).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = String::from_utf8_lossy(&line);
        if let Some(said) = understand(text.trim_end())
            && to.send(said).is_err()
        {
            return;
        }
    }
}

fn understand(line: &str) -> Option<Said> {
    if ["[error]", "[fatal]", "[panic]"].iter().any(|level| line.contains(level)) {
        return Some(Said::Complaint(line.to_owned()));
    }
    if line.contains("showinfo") && line.contains("] n:") {
        let time = line.split("pts_time:").nth(1)?.split_whitespace().next()?;
        return Some(Said::Time(time.parse().ok().filter(|time: &f64| time.is_finite())));
    }
    let length = line.split("Duration: ").nth(1).filter(|_| line.contains("[info]"))?.split(',').next()?;
    let mut parts = length.split(':').map(|part| part.parse::<f64>().ok());
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    Some(Said::Length(3600.0 * hours + 60.0 * minutes + seconds))
}

/// Reads one binary PPM picture; `None` if there is no more.
fn read_ppm(from: &mut impl BufRead) -> anyhow::Result<Option<RgbImage>> {
    if from.fill_buf().context("cannot read ffmpeg's pictures")?.is_empty() {
        return Ok(None);
    }
    let magic = word(from)?;
    ensure!(magic == "P6", "ffmpeg wrote {magic:?} where a picture was expected");
    let mut number = || -> anyhow::Result<u32> { Ok(word(from)?.parse()?) };
    let (width, height, greatest) = (number()?, number()?, number()?);
    let pixels = u64::from(width) * u64::from(height);
    ensure!(
        (1..=MAX_PIXELS).contains(&pixels) && greatest == 255,
        "a frame of {width}×{height} cannot be used; 48 megapixels at most"
    );
    let mut bytes = vec![0; pixels as usize * 3];
    from.read_exact(&mut bytes).context("ffmpeg ended within a picture")?;
    Ok(RgbImage::from_raw(width, height, bytes))
}

/// The next word of a PPM header, with the one white space behind it.
fn word(from: &mut impl Read) -> io::Result<String> {
    let mut word = String::new();
    let mut byte = [0];
    loop {
        from.read_exact(&mut byte)?;
        match byte[0] {
            space if space.is_ascii_whitespace() => return Ok(word),
            other if word.len() < 10 => word.push(char::from(other)),
            _ => return Err(io::Error::new(ErrorKind::InvalidData, "no header of a picture")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_and_what_is_none_is_refused() {
        let mut bytes: &[u8] = b"P6\n2 1\n255\n\x01\x02\x03\x04\x05\x06P6 1 1 255 abcP6";
        let picture = read_ppm(&mut bytes).unwrap().unwrap();
        assert_eq!((picture.dimensions(), picture.as_raw().as_slice()), ((2, 1), &[1, 2, 3, 4, 5, 6][..]));
        assert_eq!(read_ppm(&mut bytes).unwrap().unwrap().as_raw(), b"abc");
        assert!(read_ppm(&mut bytes).is_err(), "cut off");
        assert!(read_ppm(&mut &b""[..]).unwrap().is_none());
        for bad in [
            "P5\n1 1\n255\nabc",
            "P6\n0 1\n255\n",
            "P6\n99999 99999\n255\n",
            "P6\n1 1\n65535\nabcdef",
            "P6\n-1 ",
        ] {
            assert!(read_ppm(&mut bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn lines_of_ffmpeg_are_understood() {
        let frame =
            "[Parsed_showinfo_0 @ 0x55] [info] n:  12 pts:    480 pts_time:0.48    duration:40 fmt:yuv420p";
        assert!(matches!(understand(frame), Some(Said::Time(Some(time))) if (time - 0.48).abs() < 1e-9));
        assert!(matches!(understand(&frame.replace("0.48", "NOPTS")), Some(Said::Time(None))));
        let length = "[info]   Duration: 01:02:03.50, start: 0.000000, bitrate: 96 kb/s";
        assert!(matches!(understand(length), Some(Said::Length(seconds)) if (seconds - 3723.5).abs() < 1e-9));
        assert!(understand("[info]   Duration: N/A, start: 0.0").is_none());
        assert!(matches!(understand("[mov @ 0x1] [error] moov atom not found"), Some(Said::Complaint(_))));
        assert!(understand("[Parsed_showinfo_0 @ 0x55] [info] config in time_base: 1/12800").is_none());
    }
}
