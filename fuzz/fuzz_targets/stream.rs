//! A stream of JPEG frames: the same frames come out however the bytes are cut into pieces, and little is held.
#![no_main]

use emotiond::capture::frame::mjpeg::{Splitter, outline};
use libfuzzer_sys::fuzz_target;

const MAX_FRAME: usize = 4096;

fn frames(stream: &[u8], piece: usize) -> (Vec<Vec<u8>>, u64) {
    let mut splitter = Splitter::with_max_frame(MAX_FRAME);
    let mut frames = Vec::new();
    for piece in stream.chunks(piece) {
        splitter.push(piece);
        while let Some(frame) = splitter.next_frame() {
            assert!(frame.len() <= MAX_FRAME && frame.starts_with(&[0xff, 0xd8]) && frame.ends_with(&[0xff, 0xd9]));
            let _whole_or_an_error = outline(&frame);
            frames.push(frame);
        }
        assert!(splitter.held() <= MAX_FRAME + 65_536 + 2 * piece.len(), "{} bytes held", splitter.held());
    }
    splitter.finish();
    (frames, splitter.take_broken())
}

fuzz_target!(|data: &[u8]| {
    let Some((&piece, stream)) = data.split_first() else { return };
    let whole = frames(stream, stream.len().max(1));
    let pieces = frames(stream, usize::from(piece).max(1));
    assert_eq!(whole.0, pieces.0, "frames depend on how the stream is cut");
});
