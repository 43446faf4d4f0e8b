use jpeg_encoder::{ColorType, Encoder, SamplingFactor};
use proptest::prelude::*;

use super::*;

const RAW: [PixelFormat; 6] = [
    PixelFormat::Yuyv,
    PixelFormat::Uyvy,
    PixelFormat::Nv12,
    PixelFormat::Yu12,
    PixelFormat::Grey,
    PixelFormat::Rgb3,
];

fn frame(format: PixelFormat, width: u32, height: u32, stride: u32, bytes: Vec<u8>) -> Frame {
    Frame { format, width, height, stride, bytes, at: emotiond_core::Moment::ZERO }
}

/// Bytes that a raw frame needs, from V4L2's description of the formats rather than from the decoder.
fn needed(format: PixelFormat, width: usize, height: usize, stride: usize) -> usize {
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    match format {
        PixelFormat::Yuyv | PixelFormat::Uyvy => stride * (height - 1) + half_width * 4,
        PixelFormat::Rgb3 => stride * (height - 1) + width * 3,
        PixelFormat::Nv12 => stride * (height + half_height - 1) + half_width * 2,
        PixelFormat::Yu12 => stride * height + stride.div_ceil(2) * (2 * half_height - 1) + half_width,
        _ => stride * (height - 1) + width,
    }
}

fn smallest_stride(format: PixelFormat, width: usize) -> usize {
    match format {
        PixelFormat::Yuyv | PixelFormat::Uyvy => width.div_ceil(2) * 4,
        PixelFormat::Rgb3 => width * 3,
        PixelFormat::Nv12 => width.next_multiple_of(2),
        _ => width,
    }
}

/// Y, U and V of a pixel, one index at a time.
fn yuv_at(frame: &Frame, x: usize, y: usize) -> [u8; 3] {
    let (bytes, stride, height) = (&frame.bytes, frame.stride as usize, frame.height as usize);
    let quad = y * stride + x / 2 * 4;
    match frame.format {
        PixelFormat::Yuyv => [bytes[quad + x % 2 * 2], bytes[quad + 1], bytes[quad + 3]],
        PixelFormat::Uyvy => [bytes[quad + x % 2 * 2 + 1], bytes[quad], bytes[quad + 2]],
        PixelFormat::Nv12 => {
            let pair = stride * (height + y / 2) + x / 2 * 2;
            [bytes[y * stride + x], bytes[pair], bytes[pair + 1]]
        }
        PixelFormat::Yu12 => {
            let half = stride.div_ceil(2);
            let u = stride * height + y / 2 * half + x / 2;
            [bytes[y * stride + x], bytes[u], bytes[u + half * height.div_ceil(2)]]
        }
        _ => unreachable!("not YUV"),
    }
}

/// ITU-R BT.601 in limited range, in floating point.
fn reference(frame: &Frame, x: usize, y: usize) -> [f64; 3] {
    let stride = frame.stride as usize;
    match frame.format {
        PixelFormat::Grey => [f64::from(frame.bytes[y * stride + x]); 3],
        PixelFormat::Rgb3 => [0, 1, 2].map(|c| f64::from(frame.bytes[y * stride + x * 3 + c])),
        _ => {
            let [luma, u, v] = yuv_at(frame, x, y).map(f64::from);
            let luma = (luma - 16.0) * 255.0 / 219.0;
            let (cb, cr) = ((u - 128.0) * 255.0 / 224.0, (v - 128.0) * 255.0 / 224.0);
            let rgb = [luma + 1.402 * cr, luma - 0.344_136 * cb - 0.714_136 * cr, luma + 1.772 * cb];
            rgb.map(|c| c.clamp(0.0, 255.0))
        }
    }
}

prop_compose! {
    fn raw_frame()(
        format in prop::sample::select(&RAW[..]), width in 1_usize..40, height in 1_usize..24, padding in 0_usize..9,
    )(
        bytes in prop::collection::vec(
            any::<u8>(), needed(format, width, height, smallest_stride(format, width) + padding)),
        format in Just(format), width in Just(width), height in Just(height), padding in Just(padding),
    ) -> Frame {
        let stride = smallest_stride(format, width) + padding;
        frame(format, width as u32, height as u32, stride as u32, bytes)
    }
}

proptest! {
    #[test]
    fn raw_frames_match_the_reference(frame in raw_frame()) {
        let mut picture = RgbImage::new(3, 3);
        decode(&frame, &mut picture).unwrap();
        prop_assert_eq!(picture.dimensions(), (frame.width, frame.height));
        for (x, y, pixel) in picture.enumerate_pixels() {
            let expected = reference(&frame, x as usize, y as usize);
            for (&found, expected) in pixel.0.iter().zip(expected) {
                prop_assert!((f64::from(found) - expected).abs() < 1.6, "{found} for {expected} at {x},{y}");
            }
        }
    }

    #[test]
    fn one_byte_short_is_an_error(mut frame in raw_frame()) {
        frame.bytes.pop();
        let error = decode(&frame, &mut RgbImage::default()).unwrap_err();
        prop_assert!(matches!(error, DecodeError::Truncated { .. }), "{error}");
    }

    #[test]
    fn arbitrary_frames_never_panic(
        format in prop::sample::select(&PixelFormat::ALL[..]), width in 0_u32..100, height in 0_u32..100,
        stride in 0_u32..400, bytes in prop::collection::vec(any::<u8>(), 0..4000),
    ) {
        let _ = decode(&frame(format, width, height, stride, bytes), &mut RgbImage::default());
    }

    #[test]
    fn damaged_jpegs_never_panic(
        width in 1_u16..70, height in 1_u16..70, flips in prop::collection::vec((any::<u16>(), any::<u8>()), 1..20),
        variant in 0..VARIANTS,
    ) {
        let mut bytes = jpeg(width, height, variant);
        let length = bytes.len();
        for (at, value) in flips {
            bytes[2 + usize::from(at) % (length - 2)] = value;
        }
        let _ = decode(&mjpeg(bytes), &mut RgbImage::default());
    }

    #[test]
    fn cut_jpegs_are_errors(width in 32_u16..100, height in 32_u16..100, cut in 0.0..1.0_f64, variant in 0..VARIANTS) {
        let mut bytes = jpeg(width, height, variant);
        bytes.truncate((bytes.len() as f64 * cut) as usize);
        prop_assert!(decode(&mjpeg(bytes), &mut RgbImage::default()).is_err());
    }
}

/// A picture with detail everywhere, so that every block takes bits.
fn texture(width: u16, height: u16) -> Vec<u8> {
    let sample = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    (0..u32::from(width) * u32::from(height) * 3).map(sample).collect()
}

/// The same without colour.
fn grey_texture(width: u16, height: u16) -> Vec<u8> {
    texture(width, height).chunks_exact(3).flat_map(|pixel| [pixel[0]; 3]).collect()
}

const VARIANTS: usize = 5;

/// JPEGs as cameras and files have them.
fn jpeg(width: u16, height: u16, variant: usize) -> Vec<u8> {
    encoded(&texture(width, height), width, height, variant)
}

fn encoded(pixels: &[u8], width: u16, height: u16, variant: usize) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::new(&mut bytes, 80);
    match variant {
        0 => encoder.set_sampling_factor(SamplingFactor::F_1_1),
        1 => encoder.set_sampling_factor(SamplingFactor::F_2_1),
        2 => {
            encoder.set_sampling_factor(SamplingFactor::F_2_2);
            encoder.set_restart_interval(1);
        }
        3 => encoder.set_progressive(true),
        _ => {
            encoder.set_sampling_factor(SamplingFactor::F_2_2);
            encoder.set_optimized_huffman_tables(true);
        }
    }
    encoder.encode(pixels, width, height, ColorType::Rgb).unwrap();
    bytes
}

fn mjpeg(bytes: Vec<u8>) -> Frame {
    frame(PixelFormat::Mjpeg, 0, 0, 0, bytes)
}

fn decoded(bytes: Vec<u8>) -> RgbImage {
    let mut picture = RgbImage::default();
    decode(&mjpeg(bytes), &mut picture).unwrap();
    picture
}

const SIZES: [(u16, u16); 6] = [(1, 1), (7, 9), (16, 16), (33, 17), (64, 48), (160, 120)];

#[test]
fn whole_jpegs_are_what_was_encoded() {
    for variant in 0..VARIANTS {
        for (width, height) in SIZES {
            // Noise of every brightness, coarsely quantized: half a step is lost in each coefficient.
            let pixels = grey_texture(width, height);
            let picture = decoded(encoded(&pixels, width, height, variant));
            let off: u64 = picture.iter().zip(&pixels).map(|(a, b)| u64::from(a.abs_diff(*b))).sum();
            let mean = off as f64 / pixels.len() as f64;
            assert!(mean < 8.0, "variant {variant}, {width}×{height}: off by {mean} in the mean");
            // One colour a block of 16 × 16, so that nothing is lost where chroma is coarser than luma.
            let colour = |x: u16, y: u16| [x / 16 * 60, y / 16 * 50, (x / 16 + y / 16) * 40].map(|c| c as u8);
            let pixels: Vec<u8> =
                (0..height).flat_map(|y| (0..width).flat_map(move |x| colour(x, y))).collect();
            let picture = decoded(encoded(&pixels, width, height, variant));
            for (found, expected) in picture.iter().zip(&pixels) {
                assert!(
                    found.abs_diff(*expected) <= 8,
                    "variant {variant}, {width}×{height}: {found} for {expected}"
                );
            }
        }
    }
}

#[test]
fn whole_jpegs_match_another_decoder() {
    // Not in variant 4, sequential in several scans, which `image` decodes to noise; and without colour, because chroma is
    // interpolated there.
    for variant in 0..4 {
        for (width, height) in SIZES {
            let bytes = encoded(&grey_texture(width, height), width, height, variant);
            let expected = image::load_from_memory(&bytes).unwrap().into_rgb8();
            for (found, expected) in decoded(bytes).iter().zip(expected.iter()) {
                assert!(
                    found.abs_diff(*expected) <= 1,
                    "variant {variant}, {width}×{height}: {found} for {expected}"
                );
            }
        }
    }
}

#[test]
fn flat_pictures_are_not_taken_for_cut_ones() {
    for (width, height) in [(8, 8), (8, 800), (320, 240), (640, 480)] {
        for optimized in [false, true] {
            let mut bytes = Vec::new();
            let mut encoder = Encoder::new(&mut bytes, 80);
            encoder.set_optimized_huffman_tables(optimized);
            let grey = vec![90; usize::from(width) * usize::from(height)];
            encoder.encode(&grey, width, height, ColorType::Luma).unwrap();
            let picture = decoded(bytes);
            assert_eq!(picture.dimensions(), (u32::from(width), u32::from(height)));
            assert!(picture.pixels().all(|pixel| pixel.0 == [90; 3]), "grey stays grey");
        }
    }
}

#[test]
fn a_jpeg_that_lost_its_middle_is_an_error_though_it_ends_well() {
    for variant in 0..VARIANTS {
        let whole = jpeg(320, 240, variant);
        let end = whole.len() - 2;
        for tenth in 1..10 {
            let mut bytes = whole.clone();
            bytes.drain(end * tenth / 10..end);
            let result = decode(&mjpeg(bytes), &mut RgbImage::default());
            assert!(matches!(result, Err(DecodeError::Jpeg(_))), "variant {variant} cut at {tenth}/10");
        }
    }
}

#[test]
fn damage_within_the_data_is_an_error() {
    // A restart marker that is missing, and a code that no table has.
    let whole = jpeg(320, 240, 2);
    let marker = whole.windows(2).position(|two| two == [0xff, 0xd3]).unwrap();
    let mut bytes = whole.clone();
    bytes.drain(marker..marker + 2);
    assert!(matches!(decode(&mjpeg(bytes), &mut RgbImage::default()), Err(DecodeError::Jpeg(_))));
    let mut bytes = whole;
    bytes[marker + 2..marker + 62].copy_from_slice(&[0xff, 0].repeat(30));
    assert!(matches!(decode(&mjpeg(bytes), &mut RgbImage::default()), Err(DecodeError::Jpeg(_))));
}

#[test]
fn what_cameras_get_wrong_in_every_frame_is_no_damage() {
    let whole = jpeg(64, 48, 0);
    let expected = decoded(whole.clone());
    // A spectral selection that only progressive JPEG has.
    let scan = whole.windows(2).position(|two| two == [0xff, 0xda]).unwrap();
    let mut bytes = whole.clone();
    let length = usize::from(u16::from_be_bytes([bytes[scan + 2], bytes[scan + 3]]));
    bytes[scan + 2 + length - 2] = 0;
    assert_eq!(decoded(bytes), expected);
    // A version of JFIF that there is none of.
    let mut bytes = whole.clone();
    let jfif = bytes.windows(5).position(|five| five == b"JFIF\0").unwrap();
    bytes[jfif + 5] = 7;
    assert_eq!(decoded(bytes), expected);
    // Padding between the data and EOI.
    let mut bytes = whole;
    let end = bytes.len() - 2;
    bytes.splice(end..end, [0; 40]);
    assert_eq!(decoded(bytes), expected);
}

#[test]
fn endless_scans_are_refused() {
    let mut bytes = jpeg(64, 48, 3);
    let end = bytes.len() - 2;
    let scan = bytes.windows(2).rposition(|two| two == [0xff, 0xda]).unwrap();
    let last = bytes[scan..end].to_vec();
    for _ in 0..100 {
        bytes.splice(end..end, last.iter().copied());
    }
    let error = decode(&mjpeg(bytes), &mut RgbImage::default()).unwrap_err();
    assert!(error.to_string().contains("scans, where 100 are read at most"), "{error}");
}

#[test]
fn what_is_not_decoded_is_refused_with_its_reason() {
    let mut bytes = jpeg(64, 48, 0);
    let header = bytes.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    bytes[header + 1] = 0xc9; // arithmetic coding
    let error = decode(&mjpeg(bytes), &mut RgbImage::default()).unwrap_err();
    assert!(error.to_string().contains("a kind of JPEG that is not decoded"), "{error}");
}

#[test]
fn padding_behind_the_end_is_ignored() {
    let mut bytes = jpeg(64, 48, 1);
    bytes.extend([0; 1000]);
    decode(&mjpeg(bytes), &mut RgbImage::default()).unwrap();
}

#[test]
fn standard_huffman_tables_are_put_in_where_a_camera_leaves_them_out() {
    let whole = jpeg(64, 48, 0);
    let mut bare = whole.clone();
    while let Some(at) = bare.windows(2).position(|two| two == [0xff, 0xc4]) {
        let length = usize::from(u16::from_be_bytes([bare[at + 2], bare[at + 3]]));
        bare.drain(at..at + 2 + length);
    }
    assert!(bare.len() + 400 < whole.len(), "the tables were there");
    assert_eq!(decoded(whole), decoded(bare));
}

#[test]
fn a_bomb_is_refused_before_memory_is_taken() {
    let mut bytes = jpeg(64, 48, 0);
    let header = bytes.windows(2).position(|two| two == [0xff, 0xc0]).unwrap();
    bytes[header + 5..header + 9].copy_from_slice(&[0xff; 4]);
    let error = decode(&mjpeg(bytes), &mut RgbImage::default()).unwrap_err();
    assert_eq!(error, DecodeError::TooLarge { width: 65535, height: 65535, most: MAX_PIXELS });
    let error = decode(&frame(PixelFormat::Grey, 60_000, 60_000, 0, vec![0; 9]), &mut RgbImage::default());
    assert!(matches!(error, Err(DecodeError::Truncated { .. })));
}

#[test]
fn pictures_of_one_size_share_their_memory() {
    let mut picture = RgbImage::default();
    decode(&mjpeg(jpeg(64, 48, 0)), &mut picture).unwrap();
    let first = picture.as_ptr();
    decode(&frame(PixelFormat::Rgb3, 64, 48, 0, texture(64, 48)), &mut picture).unwrap();
    assert_eq!(picture.as_ptr(), first);
    assert_eq!(picture.as_raw(), &texture(64, 48));
}

#[test]
fn a_jpeg_of_another_size_than_agreed_is_refused_and_a_padded_one_is_not() {
    let sized = |width, height| frame(PixelFormat::Mjpeg, width, height, 0, jpeg(160, 128, 1));
    let mut picture = RgbImage::default();
    for (width, height) in [(160, 128), (160, 120), (150, 113), (0, 0)] {
        decode(&sized(width, height), &mut picture).unwrap();
        assert_eq!(picture.dimensions(), (160, 128));
    }
    for (width, height) in [(640, 480), (144, 128), (160, 112), (161, 128), (u32::MAX - 16, 128)] {
        let error = decode(&sized(width, height), &mut RgbImage::default()).unwrap_err();
        let expected = DecodeError::OtherSize { width, height, found_width: 160, found_height: 128 };
        assert_eq!(error, expected);
    }
}

#[test]
fn a_raw_frame_of_the_stated_length_decodes_and_one_byte_row_less_does_not() {
    for format in RAW {
        for (width, height, stride) in [(64, 48, 0), (33, 25, 0), (64, 48, 256), (33, 25, 256)] {
            let length = raw_length(format, width, height, stride).unwrap();
            let frame = |bytes: usize| frame(format, width, height, stride, vec![90; bytes]);
            let mut picture = RgbImage::new(0, 0);
            decode(&frame(length), &mut picture).unwrap();
            assert_eq!(picture.dimensions(), (width, height));
            assert!(
                decode(&frame(length - stride.max(width) as usize), &mut picture).is_err(),
                "{format} {width} {stride}"
            );
        }
        assert_eq!(raw_length(format, 0, 48, 0), None);
        assert_eq!(raw_length(format, 64, 48, 10), None, "rows would overlap");
    }
    assert_eq!(raw_length(PixelFormat::Mjpeg, 64, 48, 0), None);
    assert_eq!(raw_length(PixelFormat::Yu12, 640, 480, 0), Some(460_800));
}
