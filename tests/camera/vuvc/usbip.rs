//! The wire format of USB/IP, as the kernel's `vhci_hcd` speaks it (Documentation/usb/usbip_protocol.rst).

use std::io::{self, Read, Write};

/// What the host sends.
#[derive(Debug)]
pub enum Command {
    /// A transfer.
    Submit {
        /// Its number, to be repeated in the answer.
        sequence: u32,
        /// The endpoint; 0 is control.
        endpoint: u32,
        /// Whether data goes to the host.
        to_host: bool,
        /// Bytes the host has room for, or sends.
        length: u32,
        /// The control request.
        setup: [u8; 8],
        /// What the host sends.
        data: Vec<u8>,
    },
    /// The host takes a transfer back.
    Unlink {
        /// Number of this command.
        sequence: u32,
        /// Number of the transfer.
        victim: u32,
    },
}

impl Command {
    /// Reads the next command.
    pub fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut header = [0; 48];
        from.read_exact(&mut header)?;
        let (words, _) = header.as_chunks::<4>();
        let word = |index: usize| u32::from_be_bytes(words[index]);
        match word(0) {
            1 => {
                let (to_host, length) = (word(3) == 1, word(6));
                let mut data = vec![0; if to_host { 0 } else { length as usize }];
                from.read_exact(&mut data)?;
                let setup = header.last_chunk().copied().expect("48 bytes end in eight");
                Ok(Self::Submit { sequence: word(1), endpoint: word(4), to_host, length, setup, data })
            }
            2 => Ok(Self::Unlink { sequence: word(1), victim: word(5) }),
            other => Err(io::Error::new(io::ErrorKind::InvalidData, format!("USB/IP command {other}"))),
        }
    }
}

/// Answers a transfer: `length` bytes went over, `data` among them if they went to the host.
pub fn submitted(
    to: &mut impl Write,
    sequence: u32,
    status: i32,
    length: u32,
    data: &[u8],
) -> io::Result<()> {
    reply(to, [3, sequence, 0, 0, 0, status as u32, length, 0, 0, 0, 0, 0], data)
}

/// Answers an unlink: `found` if the transfer was still waiting.
pub fn unlinked(to: &mut impl Write, sequence: u32, found: bool) -> io::Result<()> {
    const ECONNRESET: i32 = -104;
    let status = if found { ECONNRESET } else { 0 };
    reply(to, [4, sequence, 0, 0, 0, status as u32, 0, 0, 0, 0, 0, 0], &[])
}

fn reply(to: &mut impl Write, header: [u32; 12], data: &[u8]) -> io::Result<()> {
    let mut bytes: Vec<u8> = header.iter().flat_map(|word| word.to_be_bytes()).collect();
    bytes.extend(data);
    to.write_all(&bytes)
}
