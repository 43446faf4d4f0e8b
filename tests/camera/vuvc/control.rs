//! Answers to control requests: standard USB requests, and UVC's negotiation of a format (probe and commit).

use crate::descriptors;
use crate::format::{Format, HEIGHT, INTERVALS, WIDTH};

/// Bytes of payload in one URB.
pub const MAX_PAYLOAD: u32 = 16 * 1024;

/// USB/IP's status for a request that the device does not know (-EPIPE).
const STALL: i32 = -32;

/// What host and camera agree on.
#[derive(Clone, Copy, Debug)]
pub struct Negotiated {
    /// Frame interval in units of 100 ns.
    pub interval: u32,
}

impl Negotiated {
    /// The default: the highest rate.
    pub fn new() -> Self {
        Self { interval: INTERVALS[0] }
    }

    /// UVC 1.0's probe and commit structure, 26 bytes.
    fn to_bytes(self) -> Vec<u8> {
        let mut bytes = vec![1, 0, 1, 1];
        bytes.extend(self.interval.to_le_bytes());
        bytes.extend([0; 10]);
        bytes.extend((u32::from(WIDTH) * u32::from(HEIGHT) * 2).to_le_bytes());
        bytes.extend(MAX_PAYLOAD.to_le_bytes());
        bytes
    }

    /// The offered interval nearest to what the host asks for.
    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let asked = u32::from_le_bytes(*bytes.get(4..8)?.first_chunk()?);
        let interval = INTERVALS.into_iter().min_by_key(|interval| interval.abs_diff(asked))?;
        Some(Self { interval })
    }
}

/// The state of the negotiation.
#[derive(Debug)]
pub struct Controls {
    pub format: Format,
    pub probe: Negotiated,
    pub commit: Negotiated,
}

impl Controls {
    pub fn new(format: Format) -> Self {
        Self { format, probe: Negotiated::new(), commit: Negotiated::new() }
    }

    /// Answers a request: what to send back, or USB/IP's status if it is refused.
    pub fn answer(&mut self, setup: [u8; 8], received: &[u8]) -> Result<Vec<u8>, i32> {
        let [kind, request, value_low, value_high, index_low, _, length_low, length_high] = setup;
        let streaming = index_low == descriptors::STREAMING_INTERFACE;
        let mut reply = match (kind, request) {
            (0x80, 6) => match value_high {
                1 => descriptors::device(),
                2 => descriptors::configuration(self.format),
                3 => descriptors::string(value_low),
                6 => descriptors::qualifier(),
                _ => return Err(STALL),
            },
            (0x80..=0x82, 0) => vec![0, 0], // GET_STATUS
            (0x80, 8) => vec![1],           // GET_CONFIGURATION
            (0x81, 10) => vec![0],          // GET_INTERFACE
            // CLEAR_FEATURE, SET_FEATURE, SET_ADDRESS, SET_CONFIGURATION, SET_INTERFACE
            (0..=2, 1 | 3) | (0, 5 | 9) | (1, 11) => Vec::new(),
            (0x21, 1) if streaming => {
                let asked = Negotiated::from_bytes(received).ok_or(STALL)?;
                if value_high == 1 {
                    self.probe = asked;
                } else {
                    self.commit = asked;
                }
                Vec::new()
            }
            (0xa1, 0x81..=0x83 | 0x87) if streaming => {
                (if value_high == 1 { self.probe } else { self.commit }).to_bytes()
            }
            (0xa1, 0x85) if streaming => vec![26, 0], // GET_LEN
            (0xa1, 0x86) if streaming => vec![3],     // GET_INFO: may be read and set
            _ => return Err(STALL),
        };
        reply.truncate(usize::from(u16::from_le_bytes([length_low, length_high])));
        Ok(reply)
    }
}
