//! What the camera tells the host of itself: the USB 2.0 and UVC 1.0 descriptors of a webcam with one bulk endpoint and
//! one 640×480 video format.

use crate::format::{Format, HEIGHT, INTERVALS, WIDTH};

/// The streaming endpoint: bulk, IN.
pub const ENDPOINT: u8 = 1;

/// Index of the video streaming interface.
pub const STREAMING_INTERFACE: u8 = 1;

/// Appends words as USB has them, least significant byte first.
fn words(to: &mut Vec<u8>, values: &[u16]) {
    values.iter().for_each(|value| to.extend(value.to_le_bytes()));
}

fn long(to: &mut Vec<u8>, value: u32) {
    to.extend(value.to_le_bytes());
}

/// The device descriptor: a composite device (interface association) of the Linux Foundation's vendor number.
pub fn device() -> Vec<u8> {
    vec![18, 1, 0x00, 0x02, 0xef, 2, 1, 64, 0x6b, 0x1d, 0x02, 0x01, 0x10, 0x00, 1, 2, 3, 1]
}

/// The device qualifier, asked of high-speed devices.
pub fn qualifier() -> Vec<u8> {
    vec![10, 6, 0x00, 0x02, 0xef, 2, 1, 64, 1, 0]
}

/// String descriptors: 0 lists the language (US English), then maker, product and serial number.
pub fn string(index: u8) -> Vec<u8> {
    let text = match index {
        0 => return vec![4, 3, 0x09, 0x04],
        1 => "emotiond",
        2 => "Virtual UVC camera",
        _ => "0001",
    };
    let mut descriptor = vec![0, 3];
    words(&mut descriptor, &text.encode_utf16().collect::<Vec<_>>());
    descriptor[0] = descriptor.len() as u8;
    descriptor
}

/// The configuration with all its interfaces.
pub fn configuration(format: Format) -> Vec<u8> {
    let mut body = vec![8, 11, 0, 2, 14, 3, 0, 2]; // interface association: video
    body.extend([9, 4, 0, 0, 0, 14, 1, 0, 2]); // interface 0: video control, no endpoints
    body.extend(video_control());
    body.extend([9, 4, STREAMING_INTERFACE, 0, 1, 14, 2, 0, 0]); // interface 1: streaming, one endpoint
    body.extend(video_streaming(format));
    body.extend([7, 5, 0x80 | ENDPOINT, 2, 0x00, 0x02, 0]); // bulk IN, packets of 512 bytes
    let mut configuration = vec![9, 2];
    words(&mut configuration, &[9 + body.len() as u16]);
    configuration.extend([2, 1, 0, 0x80, 250]); // two interfaces, bus powered, 500 mA
    configuration.extend(body);
    configuration
}

/// Camera terminal 1 → processing unit 2 → output terminal 3.
fn video_control() -> Vec<u8> {
    let mut units = vec![18, 0x24, 2, 1, 0x01, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0];
    units.extend([11, 0x24, 5, 2, 1, 0, 0, 2, 0, 0, 0]);
    units.extend([9, 0x24, 3, 3, 0x01, 0x01, 0, 2, 0]);
    let mut header = vec![13, 0x24, 1, 0x00, 0x01]; // UVC 1.0
    words(&mut header, &[13 + units.len() as u16]);
    long(&mut header, 48_000_000); // clock, Hz
    header.extend([1, STREAMING_INTERFACE]);
    header.extend(units);
    header
}

fn video_streaming(format: Format) -> Vec<u8> {
    let mut formats = match format {
        Format::Mjpg => vec![11, 0x24, 6, 1, 1, 1, 1, 0, 0, 0, 0],
        Format::Yuyv => {
            let mut format = vec![27, 0x24, 4, 1, 1];
            // The GUID of YUY2.
            format.extend([0x59, 0x55, 0x59, 0x32, 0, 0, 0x10, 0, 0x80, 0, 0, 0xaa, 0, 0x38, 0x9b, 0x71]);
            format.extend([16, 1, 0, 0, 0, 0]);
            format
        }
    };
    formats.extend(frame(if format == Format::Mjpg { 7 } else { 5 }));
    formats.extend([6, 0x24, 0x0d, 1, 1, 4]); // BT.709 primaries, BT.601 matrix
    let mut header = vec![14, 0x24, 1, 1];
    words(&mut header, &[14 + formats.len() as u16]);
    header.extend([0x80 | ENDPOINT, 0, 3, 0, 0, 0, 1, 0]);
    header.extend(formats);
    header
}

/// The frame descriptor of the one size.
fn frame(subtype: u8) -> Vec<u8> {
    let mut descriptor = vec![26 + 4 * INTERVALS.len() as u8, 0x24, subtype, 1, 0];
    words(&mut descriptor, &[WIDTH, HEIGHT]);
    let size = u32::from(WIDTH) * u32::from(HEIGHT) * 2;
    long(&mut descriptor, size * 8 * 5); // bits a second, lowest and highest
    long(&mut descriptor, size * 8 * 30);
    long(&mut descriptor, size);
    long(&mut descriptor, INTERVALS[0]);
    descriptor.push(INTERVALS.len() as u8);
    INTERVALS.iter().for_each(|interval| long(&mut descriptor, *interval));
    descriptor
}
