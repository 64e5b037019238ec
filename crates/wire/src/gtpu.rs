//! GTP-U version 1 (3GPP TS 29.281), the tunnel of subscribers' packets in mobile cores.

/// Message type of a tunnelled packet (TS 29.281, 6.1).
pub const G_PDU: u8 = 0xff;
/// Extension header with the QoS flow identifier (TS 29.281, 5.2.1).
pub const PDU_SESSION_CONTAINER: u8 = 0x85;
/// Extension headers followed in a row.
const MAX_EXTENSIONS: usize = 8;

const VERSION_1: u8 = 0x30; // version 1, protocol type GTP
const HAS_EXTENSION: u8 = 0x04;
const HAS_OPTIONAL: u8 = 0x07;

/// The header of a G-PDU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Tunnel endpoint identifier.
    pub teid: u32,
    /// QoS flow identifier of a PDU session container (TS 38.415, 5.5.2).
    pub qfi: Option<u8>,
    /// Length of the header with its options and extensions: where the inner packet starts.
    pub len: usize,
}

impl Header {
    /// Reads the header of a G-PDU; `None` where the bytes are something else. Not every
    /// datagram on UDP port 2152 is one: the caller makes sure that IP follows.
    pub fn parse(bytes: &[u8]) -> Option<Header> {
        let [first, G_PDU, _, _, a, b, c, d, rest @ ..] = bytes else {
            return None;
        };
        if first & 0xf0 != VERSION_1 {
            return None;
        }
        let mut header = Header { teid: u32::from_be_bytes([*a, *b, *c, *d]), qfi: None, len: 8 };
        if first & HAS_OPTIONAL == 0 {
            return Some(header);
        }
        header.len = 12;
        // Sequence number, N-PDU number and the type of the first extension.
        let mut next = *rest.get(3)?;
        if first & HAS_EXTENSION == 0 {
            return Some(header);
        }
        for _ in 0..MAX_EXTENSIONS {
            if next == 0 {
                return Some(header);
            }
            let extension = bytes.get(header.len..)?;
            let len = usize::from(*extension.first()?) * 4;
            if next == PDU_SESSION_CONTAINER && len >= 4 {
                header.qfi = Some(extension.get(2)? & 0x3f);
            }
            next = *extension.get(len.checked_sub(1)?)?;
            header.len += len;
        }
        None
    }
}
