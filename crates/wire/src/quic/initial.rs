//! Initial packet protection (RFC 9001 5): keys from the client's first destination connection
//! id, AES-128 header protection, AES-128-GCM. A tag that verifies proves that it is QUIC.

use aes::Aes128;
use std::ops::Range;

use aes::cipher::{BlockCipherEncrypt, KeyInit};
use aes_gcm::{AeadInOut, Aes128Gcm};
use hkdf::Hkdf;
use sha2::Sha256;

use super::{LongHeader, version};
use crate::error::{Layer, Reason, WireError};

/// Bytes of the authentication tag.
pub const TAG: usize = 16;
/// Bytes sampled for header protection, from four behind the packet number's start.
const SAMPLE: usize = 16;

/// How one version derives Initial keys.
struct Derivation {
    salt: [u8; 20],
    /// Labels of key, IV and header protection.
    labels: [&'static str; 3],
}

const LABELS_V1: [&str; 3] = ["quic key", "quic iv", "quic hp"];
const LABELS_V2: [&str; 3] = ["quicv2 key", "quicv2 iv", "quicv2 hp"];

/// RFC 9001 5.2.
const SALT_V1: [u8; 20] = [
    0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c, 0xad,
    0xcc, 0xbb, 0x7f, 0x0a,
];
/// RFC 9369 3.3.1.
const SALT_V2: [u8; 20] = [
    0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d, 0xcb,
    0xf9, 0xbd, 0x2e, 0xd9,
];
/// draft-ietf-quic-tls-29 to -32.
const SALT_29: [u8; 20] = [
    0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11, 0xe0,
    0x43, 0x90, 0xa8, 0x99,
];
/// draft-ietf-quic-tls-23 to -28.
const SALT_23: [u8; 20] = [
    0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63, 0x65,
    0xbe, 0xf9, 0xf5, 0x02,
];
/// draft-ietf-quic-tls-21 and -22.
const SALT_22: [u8; 20] = [
    0x7f, 0xbc, 0xdb, 0x0e, 0x7c, 0x66, 0xbb, 0xe9, 0x19, 0x3a, 0x96, 0xcd, 0x21, 0x51, 0x9e, 0xbd,
    0x7a, 0x02, 0x64, 0x4a,
];
/// Google's Q050, T050 and T051 (Chromium, `quic/core/crypto/crypto_utils.cc`).
const SALT_Q050: [u8; 20] = [
    0x50, 0x45, 0x74, 0xef, 0xd0, 0x66, 0xfe, 0x2f, 0x9d, 0x94, 0x5c, 0xfc, 0xdb, 0xd3, 0xa7, 0xf0,
    0xd3, 0xb5, 0x6b, 0x45,
];
const SALT_T050: [u8; 20] = [
    0x7f, 0xf5, 0x79, 0xe5, 0xac, 0xd0, 0x72, 0x91, 0x55, 0x80, 0x30, 0x4c, 0x43, 0xa2, 0x36, 0x7c,
    0x60, 0x48, 0x83, 0x10,
];
const SALT_T051: [u8; 20] = [
    0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f, 0xc8, 0xcc,
    0xda, 0x6e, 0x03, 0x3d,
];

fn derivation(version: u32) -> Option<Derivation> {
    let salt = match version {
        version::V1 | 0xff00_0021..=0xff00_0022 => SALT_V1,
        version::V2 => return Some(Derivation { salt: SALT_V2, labels: LABELS_V2 }),
        version::DRAFT_29..=0xff00_0020 => SALT_29,
        0xff00_0017..=0xff00_001c | version::MVFST_27 | version::MVFST_EXPERIMENTAL => SALT_23,
        0xff00_0015..=0xff00_0016 | version::MVFST_22 => SALT_22,
        version::Q050 => SALT_Q050,
        version::T050 => SALT_T050,
        version::T051 => SALT_T051,
        // Versions that ask for negotiation (RFC 9000 15); those who sent them used draft 29.
        v if v & 0x0f0f_0f0f == 0x0a0a_0a0a => SALT_29,
        _ => return None,
    };
    Some(Derivation { salt, labels: LABELS_V1 })
}

/// Whether Initial packets of this version can be opened.
pub fn is_known(version: u32) -> bool {
    derivation(version).is_some()
}

/// The keys of one sender's Initial packets.
#[derive(Clone)]
pub struct Keys {
    aead: Aes128Gcm,
    iv: [u8; 12],
    header: Aes128,
}

/// Keys of the client and of the server.
#[derive(Clone)]
pub struct KeyPair {
    /// Opens what the client sent.
    pub client: Keys,
    /// Opens what the server sent.
    pub server: Keys,
}

/// HKDF-Expand-Label of TLS 1.3 (RFC 8446 7.1) with an empty context.
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> [u8; N] {
    let mut info = [0u8; 32];
    let len = 4 + 6 + label.len();
    info[..2].copy_from_slice(&(N as u16).to_be_bytes());
    info[2] = 6 + label.len() as u8;
    info[3..9].copy_from_slice(b"tls13 ");
    info[9..len - 1].copy_from_slice(label.as_bytes());
    let mut out = [0u8; N];
    // Fails only beyond 255 x 32 bytes of output; N is at most 32.
    let _ = secret.expand(&info[..len], &mut out);
    out
}

impl Keys {
    fn derive(initial: &Hkdf<Sha256>, side: &str, labels: [&str; 3]) -> Keys {
        let secret: [u8; 32] = expand(initial, side);
        // The secret is as long as the hash, so it always serves as a key.
        let secret = Hkdf::<Sha256>::from_prk(&secret).unwrap_or_else(|_| initial.clone());
        let key: [u8; 16] = expand(&secret, labels[0]);
        let header: [u8; 16] = expand(&secret, labels[2]);
        Keys {
            aead: Aes128Gcm::new(&key.into()),
            iv: expand(&secret, labels[1]),
            header: Aes128::new(&header.into()),
        }
    }

    /// The mask over the first byte and the packet number (RFC 9001 5.4).
    fn mask(&self, sample: [u8; SAMPLE]) -> [u8; 5] {
        let mut block = sample.into();
        self.header.encrypt_block(&mut block);
        [block[0], block[1], block[2], block[3], block[4]]
    }

    fn nonce(&self, number: u64) -> [u8; 12] {
        let mut nonce = self.iv;
        for (n, b) in nonce[4..].iter_mut().zip(number.to_be_bytes()) {
            *n ^= b;
        }
        nonce
    }

    /// Opens an Initial packet into `scratch`, which is overwritten. Numbers are taken as
    /// sent: an Initial handshake does not outlive the first few dozen packets.
    pub fn open(
        &self,
        packet: &LongHeader<'_>,
        scratch: &mut Vec<u8>,
    ) -> Result<Opened, WireError> {
        let bytes = packet.packet;
        let at = packet.number_offset;
        let short = || WireError::truncated(Layer::Quic, at, at + 4 + SAMPLE, bytes.len());
        let sample: [u8; SAMPLE] =
            bytes.get(at + 4..at + 4 + SAMPLE).and_then(|s| s.try_into().ok()).ok_or_else(short)?;
        let mask = self.mask(sample);
        scratch.clear();
        scratch.extend_from_slice(bytes);
        scratch[0] ^= mask[0] & 0x0f;
        let number_len = usize::from(scratch[0] & 3) + 1;
        let mut number = 0;
        for i in 0..number_len {
            scratch[at + i] ^= mask[1 + i];
            number = number << 8 | u64::from(scratch[at + i]);
        }
        let reserved = scratch[0] & 0x0c != 0;
        let header_len = at + number_len;
        let (header, payload) = scratch.split_at_mut(header_len);
        let tag_at = payload.len().checked_sub(TAG).ok_or_else(short)?;
        let (text, tag) = payload.split_at_mut(tag_at);
        let tag: [u8; TAG] = (&*tag).try_into().map_err(|_| short())?;
        let bad = |what| WireError::new(Layer::Quic, at, Reason::Malformed(what));
        self.aead
            .decrypt_inout_detached(&self.nonce(number).into(), header, text.into(), &tag.into())
            .map_err(|_| bad("tag does not verify"))?;
        if reserved {
            return Err(bad("reserved bits are set"));
        }
        Ok(Opened { number, payload: header_len..header_len + tag_at })
    }

    /// Appends a protected Initial packet with a four-byte number. `payload` is padded so
    /// that there is something to sample.
    pub fn seal(
        &self,
        version: u32,
        ids: (&[u8], &[u8]),
        token: &[u8],
        number: u32,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        let len = 4 + payload.len().max(4) + TAG;
        LongHeader::emit_initial(version, ids.0, ids.1, token, len, out);
        let at = out.len();
        out.extend_from_slice(&number.to_be_bytes());
        let text_at = out.len();
        out.extend_from_slice(payload);
        out.resize(text_at + len - 4 - TAG, 0); // PADDING frames
        let (header, text) = out[start..].split_at_mut(text_at - start);
        let nonce = self.nonce(number.into()).into();
        // Fails only for texts beyond 2^36 bytes.
        let Ok(tag) = self.aead.encrypt_inout_detached(&nonce, header, text.into()) else {
            return out.truncate(start);
        };
        out.extend_from_slice(&tag);
        let mut sample = [0u8; SAMPLE];
        sample.copy_from_slice(&out[at + 4..at + 4 + SAMPLE]);
        let mask = self.mask(sample);
        out[start] ^= mask[0] & 0x0f;
        for (byte, mask) in out[at..at + 4].iter_mut().zip(&mask[1..]) {
            *byte ^= mask;
        }
    }
}

impl Keys {
    /// What opens the client's packets, see [`KeyPair::derive`].
    pub fn client(version: u32, destination: &[u8]) -> Option<Keys> {
        Keys::of(version, destination, "client in")
    }

    /// What opens the server's packets.
    pub fn server(version: u32, destination: &[u8]) -> Option<Keys> {
        Keys::of(version, destination, "server in")
    }

    fn of(version: u32, destination: &[u8], side: &str) -> Option<Keys> {
        let Derivation { salt, labels } = derivation(version)?;
        let initial = Hkdf::<Sha256>::new(Some(&salt), destination);
        Some(Keys::derive(&initial, side, labels))
    }
}

impl KeyPair {
    /// The keys that follow from the destination connection id of the client's first Initial
    /// (or of its first one after a Retry). `None` for versions whose salt is not known.
    pub fn derive(version: u32, destination: &[u8]) -> Option<KeyPair> {
        let client = Keys::client(version, destination)?;
        Some(KeyPair { client, server: Keys::server(version, destination)? })
    }
}

/// An opened Initial packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// Packet number as sent.
    pub number: u64,
    /// Where its frames lie in the scratch, see [`super::Frames`].
    pub payload: Range<usize>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use hex_literal::hex;

    const ID: [u8; 8] = hex!("8394c8f03e515708");
    const SERVER_ID: [u8; 8] = hex!("f067a5502a4262b5");
    /// RFC 9001 A.2 and RFC 9369 A.2: the same client hello.
    const CLIENT_FRAME: [u8; 245] = hex!(
        "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e868"
        "04fe3a47f06a2b69484c00000413011302010000c000000010000e00000b6578"
        "616d706c652e636f6dff01000100000a00080006001d00170018001000070005"
        "04616c706e000500050100000000003300260024001d00209370b2c9caa47fba"
        "baf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b000302030400"
        "0d0010000e0403050306030203080408050806002d00020101001c0002400100"
        "3900320408ffffffffffffffff05048000ffff07048000ffff08011001048000"
        "75300901100f088394c8f03e51570806048000ffff"
    );
    const SERVER_FRAMES: [u8; 99] = hex!(
        "02000000000600405a020000560303eefce7f7b37ba1d1632e96677825ddf739"
        "88cfc79825df566dc5430b9a045a1200130100002e00330024001d00209d3c94"
        "0d89690b84d08a60993c144eca684d1081287c834d5311bcf32bb9da1a002b00"
        "020304"
    );
    /// RFC 9001 A.3 and RFC 9369 A.3.
    const SERVER_V1: [u8; 135] = hex!(
        "cf000000010008f067a5502a4262b5004075c0d95a482cd0991cd25b0aac406a"
        "5816b6394100f37a1c69797554780bb38cc5a99f5ede4cf73c3ec2493a1839b3"
        "dbcba3f6ea46c5b7684df3548e7ddeb9c3bf9c73cc3f3bded74b562bfb19fb84"
        "022f8ef4cdd93795d77d06edbb7aaf2f58891850abbdca3d20398c276456cbc4"
        "2158407dd074ee"
    );
    const SERVER_V2: [u8; 135] = hex!(
        "dc6b3343cf0008f067a5502a4262b5004075d92faaf16f05d8a4398c47089698"
        "baeea26b91eb761d9b89237bbf87263017915358230035f7fd3945d88965cf17"
        "f9af6e16886c61bfc703106fbaf3cb4cfa52382dd16a393e42757507698075b2"
        "c984c707f0a0812d8cd5a6881eaf21ceda98f4bd23f6fe1a3e2c43edd9ce7ca8"
        "4bed8521e2e140"
    );

    #[test]
    fn server_initials_of_the_rfcs_open() {
        let check = |packet: &[u8], version: u32| {
            let keys = KeyPair::derive(version, &ID).unwrap();
            let header = LongHeader::parse(packet).unwrap();
            assert_eq!((header.version, header.source), (version, &SERVER_ID[..]));
            let mut scratch = Vec::new();
            let opened = keys.server.open(&header, &mut scratch).unwrap();
            assert_eq!((opened.number, &scratch[opened.payload]), (1, &SERVER_FRAMES[..]));
            assert!(keys.client.open(&header, &mut Vec::new()).is_err());
        };
        check(&SERVER_V1, version::V1);
        check(&SERVER_V2, version::V2);
    }

    /// The RFCs print the whole protected packet; first bytes and tag determine the rest.
    #[test]
    fn client_initials_of_the_rfcs_are_sealed_and_opened() {
        let check = |version: u32, start: &[u8], tag: [u8; 16]| {
            let keys = KeyPair::derive(version, &ID).unwrap();
            let mut payload = CLIENT_FRAME.to_vec();
            payload.resize(1162, 0);
            let mut packet = Vec::new();
            keys.client.seal(version, (&ID, &[]), &[], 2, &payload, &mut packet);
            assert_eq!(packet.len(), 1200);
            assert_eq!(&packet[..start.len()], start);
            assert_eq!(packet[1184..], tag);
            let header = LongHeader::parse(&packet).unwrap();
            let mut scratch = Vec::new();
            let opened = keys.client.open(&header, &mut scratch).unwrap();
            assert_eq!((opened.number, &scratch[opened.payload]), (2, &payload[..]));
            packet[600] ^= 1;
            let header = LongHeader::parse(&packet).unwrap();
            assert!(keys.client.open(&header, &mut scratch).is_err());
        };
        check(
            version::V1,
            &hex!("c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11"),
            hex!("e221af44860018ab0856972e194cd934"),
        );
        check(
            version::V2,
            &hex!("d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485"),
            hex!("a18b2faa745b6fe189cf772a9f84cbfc"),
        );
    }
}
