use proptest::prelude::*;

use super::*;

/// A frame that is JPEG in structure, with the traps in it: a thumbnail with its own SOI and EOI, stuffed bytes, restart
/// markers, fill bytes, and a second scan.
fn tricky(content: u8) -> Vec<u8> {
    let mut frame = vec![0xff, 0xd8];
    frame.extend([0xff, 0xe1, 0, 10, 0xff, 0xd8, 0xff, 0xd9, 0xff, 0xda, 0, 0]);
    frame.extend([0xff, 0xc0, 0, 11, 8, 0, 48, 0, 64, 1, 1, 0x11, 0]);
    frame.extend([0xff, 0xff, 0xff, 0xda, 0, 8, 1, 1, 0, 0, 63, 0]);
    frame.extend([content & 0x7f, 0xff, 0x00, 0xd9, 0xff, 0xd0, 1, 2, 0xff, 0xd7, 3]);
    frame.extend([0xff, 0xc4, 0, 4, 0xff, 0xd9, 0xff, 0xda, 0, 2, 7, 7, 0xff, 0xff, 0xd9]);
    frame
}

fn split(pieces: &[&[u8]]) -> (Vec<Vec<u8>>, u64) {
    let mut splitter = Splitter::default();
    let mut frames = Vec::new();
    for piece in pieces {
        splitter.push(piece);
        frames.extend(std::iter::from_fn(|| splitter.next_frame()));
    }
    splitter.finish();
    (frames, splitter.take_broken())
}

#[test]
fn the_outline_of_a_frame() {
    let mut bytes = tricky(1);
    let end = bytes.len();
    bytes.extend([0; 7]);
    let found = outline(&bytes).unwrap();
    assert_eq!((found.width, found.height, found.scans, found.end), (64, 48, 2, end));
    assert!(!found.progressive && found.interleaved);
    assert!(outline(b"").is_err());
    assert!(outline(&[0xff, 0xd8, 0xff, 0xd9]).is_err(), "no picture");
}

/// FFmpeg writes the Huffman tables first, which have a marker in the middle of those of frame headers.
#[test]
fn tables_before_the_frame_header_are_no_frame_header() {
    let mut bytes = tricky(1);
    for marker in [0xc4, 0xc8, 0xcc] {
        bytes.splice(2..2, [0xff, marker, 0, 11, 0, 0, 1, 0, 1, 0, 1, 0, 0]);
    }
    let found = outline(&bytes).unwrap();
    assert_eq!((found.width, found.height, found.progressive, found.interleaved), (64, 48, false, true));
}

#[test]
fn a_cut_frame_does_not_take_the_next_with_it() {
    let whole = tricky(2);
    // Cut in the entropy-coded data of the first scan.
    let cut = &whole[..whole.len() - 20];
    assert_eq!(split(&[cut, &whole]), (vec![whole.clone()], 1));
    assert_eq!(split(&[&whole, cut]), (vec![whole.clone()], 1));
    for length in 0..whole.len() {
        assert!(outline(&whole[..length]).is_err(), "cut at {length}");
    }
}

#[test]
fn garbage_between_frames_is_skipped() {
    let garbage = [0, 0xff, 0xff, 0xd9, b'-', b'-', 0xff, 0xd8, 0, 0xff];
    let (a, b) = (tricky(3), tricky(4));
    let stream = [&garbage[..], &a, &garbage, &b, &garbage].concat();
    assert_eq!(split(&[&stream]).0, [a, b]);
}

#[test]
fn endless_input_is_bounded() {
    let limit = 10_000;
    let head = [0xff, 0xd8, 0xff, 0xda, 0, 2];
    for endless in [vec![0; 1000], vec![0xff; 1000], [0xff, 0x00].repeat(500), [0xff, 0xd8, 0xff].repeat(300)]
    {
        let mut splitter = Splitter::with_max_frame(limit);
        splitter.push(&head);
        for _ in 0..100 {
            assert_eq!(splitter.next_frame(), None);
            splitter.push(&endless);
            assert!(splitter.held() <= limit + 2 * endless.len(), "holds {}", splitter.held());
        }
        // And it recovers.
        splitter.push(&[0; 8]);
        splitter.push(&tricky(5));
        splitter.next_frame();
        splitter.push(&tricky(6));
        assert_eq!(splitter.next_frame(), Some(tricky(6)));
    }
}

/// Found by fuzzing: the rest of the stream was given up with a frame too large, or not, depending on how it was cut up.
#[test]
fn where_a_frame_that_is_too_large_is_left_does_not_depend_on_its_pieces() {
    let inside = tricky(7);
    let limit = 2 * inside.len();
    // A segment that claims to be longer than any frame, with whole frames in what it claims.
    let head = [0xff, 0xd8, 0xff, 0xda, 0x4f, 0x4f];
    let stream: Vec<u8> = head.into_iter().chain(inside.repeat(6)).collect();
    let frames = |piece: usize| {
        let mut splitter = Splitter::with_max_frame(limit);
        let mut frames = 0;
        for piece in stream.chunks(piece) {
            splitter.push(piece);
            frames += std::iter::from_fn(|| splitter.next_frame())
                .inspect(|frame| assert_eq!(*frame, inside))
                .count();
        }
        frames
    };
    // The bound lies in the second of them, at the end of which the head's six bytes shift it out.
    assert_eq!(frames(stream.len()), 4);
    for piece in 1..stream.len() {
        assert_eq!(frames(piece), 4, "in pieces of {piece} bytes");
    }
}

proptest! {
    #[test]
    fn frames_come_out_as_they_went_in_however_they_are_cut_up(
        contents in prop::collection::vec(any::<u8>(), 0..6), sizes in prop::collection::vec(1_usize..40, 1..50),
        gap in prop::collection::vec(0_u8..0xff, 0..20),
    ) {
        let frames: Vec<_> = contents.into_iter().map(tricky).collect();
        let stream: Vec<u8> = frames.iter().flat_map(|frame| [frame.as_slice(), &gap].concat()).collect();
        let mut rest = stream.as_slice();
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            if rest.is_empty() { break }
            let (piece, later) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = later;
        }
        prop_assert_eq!(split(&pieces), (frames, 0));
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_pieces_do_not_matter(
        bytes in prop::collection::vec(prop_oneof![Just(0xff_u8), Just(0xd8), Just(0xd9), Just(0xda), Just(0), any::<u8>()], 0..600),
        cut in 0_usize..600,
    ) {
        let _ = outline(&bytes);
        let (first, second) = bytes.split_at(cut.min(bytes.len()));
        prop_assert_eq!(split(&[first, second]), split(&[&bytes]));
    }
}

proptest! {
    #[test]
    fn the_first_ff_is_found(bytes in prop::collection::vec(prop::sample::select(vec![0_u8, 1, 0x7f, 0x80, 0xfe]), 0..100),
        at in prop::collection::vec(0_usize..100, 0..3)) {
        let mut bytes = bytes;
        at.iter().filter(|at| **at < bytes.len()).copied().collect::<Vec<_>>().into_iter().for_each(|at| bytes[at] = 0xff);
        prop_assert_eq!(find_ff(&bytes), bytes.iter().position(|byte| *byte == 0xff));
    }
}
