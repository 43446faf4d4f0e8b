//! Streams of bytes that another process has written, whole and in pieces, with pauses in between.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::OwnedFd;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use zeroize::Zeroizing;

use super::assembler::Assembler;
use super::{CHUNK, StreamSource};
use crate::capture::frame::PixelFormat;
use crate::capture::frame::decode::raw_length;
use crate::capture::pipe::PipeReader;
use crate::capture::{Context, FrameSource as _, Losses, SourceError};
use crate::host::clock::ManualClock;

/// The sizes that are tried: small, so that an input has many frames.
const SIZE: (u32, u32) = (4, 2);

fn format(byte: u8) -> PixelFormat {
    PixelFormat::ALL[usize::from(byte) % PixelFormat::ALL.len()]
}

/// Pieces of a stream, some thrown away: a raw frame comes out exactly if all of it was read and none of it thrown away.
///
/// # Panics
/// If that is broken.
pub fn assembled(data: &[u8]) {
    let Some((&first, mut rest)) = data.split_first() else { return };
    let format = format(first);
    let mut assembler = Assembler::new(format, SIZE.0, SIZE.1, 0);
    let length = raw_length(format, SIZE.0, SIZE.1, 0);
    // What a raw stream has to come to: the frame that is being read, and whether it is thrown away.
    let (mut frame, mut lost) = (Vec::new(), false);
    while let Some((&[what, amount], after)) = rest.split_first_chunk() {
        rest = after;
        let piece = rest.split_off(..usize::from(amount).min(rest.len())).unwrap_or_default();
        let mut expected = Vec::new();
        match what & 3 {
            0 => {
                assembler.restart(false);
                (frame, lost) = (Vec::new(), false);
                assembler.push(piece);
            }
            1 => assembler.skip(piece),
            _ => assembler.push(piece),
        }
        for &byte in piece {
            frame.push(byte);
            lost |= what & 3 == 1;
            if Some(frame.len()) == length {
                expected.extend((!lost).then(|| std::mem::take(&mut frame)));
                (frame, lost) = (Vec::new(), false);
            }
        }
        // What has begun goes with a pause even if nothing more of it comes.
        lost |= what & 3 == 1 && !frame.is_empty();
        for expected in expected {
            let found = assembler.next().expect("a frame is whole");
            assert_eq!(*found.bytes, *expected);
        }
        if length.is_some() {
            assert!(assembler.next().is_none(), "a frame too many");
        } else {
            while assembler.next().is_some() {}
        }
    }
    let _counted = assembler.take_broken();
    assert!(!assembler.describe().is_empty());
}

/// A stream through a real pipe that ends: every frame that is whole comes out, and then the end is said.
///
/// # Panics
/// If that is broken, or if the machine has no pipe left.
pub fn piped(data: &[u8]) {
    let Some((&first, rest)) = data.split_first() else { return };
    // A pipe holds as much before somebody reads.
    let stream = &rest[..rest.len().min(60_000)];
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut writer = File::from(OwnedFd::from(writer));
    writer.write_all(stream).expect("there is room in a pipe");
    drop(writer);
    let context = Context::new(Arc::new(ManualClock::new(std::time::SystemTime::UNIX_EPOCH)));
    let format = format(first);
    let reader = File::from(OwnedFd::from(reader));
    let mut source = StreamSource {
        what: "a pipe".to_owned(),
        reader: PipeReader::new(reader, "a pipe".to_owned(), Arc::clone(&context.control)),
        assembler: Arc::new(Mutex::new(Assembler::new(format, SIZE.0, SIZE.1, 0))),
        chunk: Zeroizing::new(vec![0; CHUNK]),
        timeout: Duration::from_secs(60),
        endless: first & 0x80 != 0,
        context,
        losses: Losses::default(),
    };
    let mut frames = 0;
    let end = loop {
        match source.next() {
            Ok(frame) => {
                frames += 1;
                assert!(frame.bytes.len() <= stream.len());
            }
            Err(end) => break end,
        }
    };
    assert!(matches!(end, SourceError::Closed { .. } | SourceError::Exhausted { .. }), "{end}");
    if let Some(length) = raw_length(format, SIZE.0, SIZE.1, 0) {
        assert_eq!(frames, stream.len() / length);
    }
    assert!(source.take_losses().corrupt as usize <= stream.len());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_in_any_pieces_give_whole_frames() {
        for (target, attempt) in [("assembler", assembled as fn(&[u8])), ("pipe", piped)] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds").join(target);
            for seed in std::fs::read_dir(folder).unwrap() {
                attempt(&std::fs::read(seed.unwrap().path()).unwrap());
            }
        }
    }
}
