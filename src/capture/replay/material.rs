//! The pictures of a replay, one after the other.

use std::fs::{self, File};
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::capture::SourceError;
use crate::capture::frame::decode::DecodeError;
use crate::capture::frame::decode::png::SIGNATURE;
use crate::capture::frame::encoded::EncodedPicture;
use crate::capture::frame::mjpeg::Splitter;
use crate::capture::picture::LARGEST;
use crate::capture::pipe::PipeReader;
use crate::host::file;

/// Bytes read of a stream at a time.
const CHUNK: usize = 64 << 10;

/// After so long without a byte of a pipe a line is logged, and again after each such time.
const SILENCE: Duration = Duration::from_secs(30);

const CONVERT: &str = "give a JPEG or PNG image, a folder of them, or Motion JPEG, which `ffmpeg -i FILE -f mjpeg - | \
                       emotiond run --source replay:-` makes of any video";

/// What comes next.
pub(super) enum Piece {
    Picture(EncodedPicture),
    /// As many frames that cannot be decoded.
    Damaged(u64),
    End,
}

/// Where the pictures come from.
pub(super) enum Material {
    Still { picture: EncodedPicture, shown: bool },
    Folder { paths: Vec<PathBuf>, next: usize, good: bool },
    Stream(Stream),
}

impl Material {
    pub(super) fn open(path: &Path) -> Result<Self, SourceError> {
        let what = || path.display().to_string();
        let cannot =
            |error: io::Error| SourceError::unsupported(what(), &error.to_string(), "check the path");
        if fs::metadata(path).map_err(cannot)?.is_dir() {
            return Self::folder(path);
        }
        let mut head = Vec::new();
        file::open(path).and_then(|file| file.take(8).read_to_end(&mut head)).map_err(cannot)?;
        let jpeg = head.starts_with(&[0xff, 0xd8]);
        let name = extension(path);
        let picture = if head == SIGNATURE || jpeg && matches!(name.as_str(), "jpg" | "jpeg") {
            picture(path).map_err(cannot)?
        } else if jpeg || matches!(name.as_str(), "mjpeg" | "mjpg") {
            return Ok(Self::Stream(Stream::file(path)?));
        } else {
            return Err(SourceError::unsupported(what(), "it is neither an image nor Motion JPEG", CONVERT));
        };
        match picture {
            Ok(picture) => Ok(Self::Still { picture, shown: false }),
            Err(error) => Err(SourceError::Picture { what: what(), reason: error.to_string() }),
        }
    }

    fn folder(path: &Path) -> Result<Self, SourceError> {
        let what = || path.display().to_string();
        let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        let entries = entries
            .map_err(|error| SourceError::unsupported(what(), &error.to_string(), "check the path"))?;
        let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
        paths.retain(|path| matches!(extension(path).as_str(), "jpg" | "jpeg" | "png") && path.is_file());
        paths.sort();
        if paths.is_empty() {
            return Err(SourceError::unsupported(
                what(),
                "the folder holds no .jpg, .jpeg or .png file",
                CONVERT,
            ));
        }
        Ok(Self::Folder { paths, next: 0, good: false })
    }

    pub(super) fn pipe(reader: PipeReader, what: String) -> Self {
        Self::Stream(Stream::new(StreamReader::Pipe(reader), what, None))
    }

    pub(super) fn is_still(&self) -> bool {
        matches!(self, Self::Still { .. })
    }

    /// What it is, for a log line.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Still { .. } => "image",
            Self::Folder { .. } => "images of",
            Self::Stream(_) => "Motion JPEG from",
        }
    }

    /// The next picture. After the last one it starts over if `again` says so and it can.
    pub(super) fn next(&mut self, again: bool) -> Result<Piece, SourceError> {
        match self {
            Self::Still { picture, shown } => {
                if *shown && !again {
                    return Ok(Piece::End);
                }
                *shown = true;
                Ok(Piece::Picture(picture.clone()))
            }
            Self::Folder { paths, next, good } => {
                if *next == paths.len() {
                    if !*good {
                        let folder = paths[0].parent().unwrap_or(Path::new(".")).display().to_string();
                        return Err(SourceError::unsupported(
                            folder,
                            "none of its images can be read",
                            CONVERT,
                        ));
                    }
                    if !again {
                        return Ok(Piece::End);
                    }
                    *next = 0;
                }
                let path = &paths[*next];
                *next += 1;
                let picture = picture(path)
                    .map_err(|error| SourceError::Io { what: path.display().to_string(), error })?;
                Ok(match picture {
                    Ok(picture) => {
                        *good = true;
                        Piece::Picture(picture)
                    }
                    Err(error) => {
                        log::warn!("{}: {error}; skipped", path.display());
                        Piece::Damaged(1)
                    }
                })
            }
            Self::Stream(stream) => stream.next(again),
        }
    }
}

/// A Motion JPEG stream.
pub(super) struct Stream {
    what: String,
    /// Where to start over.
    path: Option<PathBuf>,
    reader: StreamReader,
    splitter: Splitter,
    chunk: Zeroizing<Vec<u8>>,
    bytes: u64,
    good: bool,
    ended: bool,
}

enum StreamReader {
    File(File),
    Pipe(PipeReader),
}

impl Stream {
    fn new(reader: StreamReader, what: String, path: Option<PathBuf>) -> Self {
        let chunk = Zeroizing::new(vec![0; CHUNK]);
        let splitter = Splitter::default();
        Self { what, path, reader, splitter, chunk, bytes: 0, good: false, ended: false }
    }

    fn file(path: &Path) -> Result<Self, SourceError> {
        let what = path.display().to_string();
        match file::open(path) {
            Ok(file) => Ok(Self::new(StreamReader::File(file), what, Some(path.to_owned()))),
            Err(error) => Err(SourceError::Io { what, error }),
        }
    }

    /// Reads the next piece into the chunk; returns its length, 0 at the end.
    fn read(&mut self) -> Result<usize, SourceError> {
        match &mut self.reader {
            StreamReader::File(file) => loop {
                match file.read(&mut self.chunk) {
                    Ok(read) => return Ok(read),
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(SourceError::Io { what: self.what.clone(), error }),
                }
            },
            StreamReader::Pipe(pipe) => {
                // Whoever writes a recording may take any time; that nothing comes is worth a line all the same.
                let began = Instant::now();
                loop {
                    if let Some(read) = pipe.read(&mut self.chunk, Instant::now() + SILENCE)? {
                        return Ok(read);
                    }
                    log::warn!(
                        "nothing has come from {} for {:.0} s; waiting for the program that writes it",
                        self.what,
                        began.elapsed().as_secs_f64()
                    );
                }
            }
        }
    }

    fn next(&mut self, again: bool) -> Result<Piece, SourceError> {
        loop {
            if let Some(frame) = self.splitter.next_frame() {
                return Ok(match EncodedPicture::jpeg(frame) {
                    Ok(picture) => {
                        self.good = true;
                        Piece::Picture(picture)
                    }
                    Err(_) => Piece::Damaged(1),
                });
            }
            // Those before a frame are told of after it: at most one piece late, and never lost.
            let broken = self.splitter.take_broken();
            if broken > 0 {
                return Ok(Piece::Damaged(broken));
            }
            if self.ended {
                match &self.path {
                    Some(_) if !self.good => {
                        let what = self.what.clone();
                        return Err(SourceError::unsupported(what, "there is no JPEG frame in it", CONVERT));
                    }
                    None if !self.good => {
                        let (what, bytes) = (self.what.clone(), self.bytes);
                        return Err(SourceError::NoFrames { what, bytes, remedy: CONVERT });
                    }
                    Some(path) if again => *self = Self { good: true, ..Self::file(path)? },
                    _ => return Ok(Piece::End),
                }
            }
            let read = self.read()?;
            self.bytes += read as u64;
            if read == 0 {
                self.ended = true;
                self.splitter.finish();
            } else {
                self.splitter.push(&self.chunk[..read]);
            }
        }
    }
}

/// Reads a JPEG or PNG file: by content, since cameras and people name files as they like.
fn picture(path: &Path) -> io::Result<Result<EncodedPicture, DecodeError>> {
    let mut file = BufReader::new(file::open(path)?);
    if file.fill_buf()?.starts_with(&SIGNATURE) {
        return Ok(EncodedPicture::png(file));
    }
    Ok(EncodedPicture::jpeg(file::read(path, LARGEST)?))
}

fn extension(path: &Path) -> String {
    path.extension().map(|name| name.to_string_lossy().to_ascii_lowercase()).unwrap_or_default()
}
