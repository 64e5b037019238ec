//! The bytes of a message, made when a packet carries them and never stored.

use crate::rng::fill;

/// A message's bytes as a function of offset.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// `head`, then pseudo-random bytes of stream `key` up to `len` in all.
    Opaque { head: Box<[u8]>, len: u64, key: u64 },
    /// TLS application data records of at most `record` bytes with `len` bytes inside in all.
    Records { len: u64, record: u16, key: u64 },
    /// These, one behind the other.
    Join(Box<[Content]>),
}

/// Bytes of a TLS record header.
const HEADER: u64 = 5;

impl Content {
    /// These bytes.
    pub(crate) fn bytes(bytes: impl Into<Box<[u8]>>) -> Self {
        let head = bytes.into();
        Content::Opaque { len: head.len() as u64, head, key: 0 }
    }

    /// `head` and `len` opaque bytes after it.
    pub(crate) fn opaque(head: impl Into<Box<[u8]>>, len: u64, key: u64) -> Self {
        let head = head.into();
        Content::Opaque { len: head.len() as u64 + len, head, key }
    }

    /// `len` encrypted bytes in TLS records of usual size.
    pub(crate) fn tls(len: u64, key: u64) -> Self {
        Content::Records { len: len.max(1), record: 16_384, key }
    }

    /// Bytes on the wire.
    pub(crate) fn len(&self) -> u64 {
        match self {
            Content::Opaque { len, .. } => *len,
            Content::Records { len, record, .. } => len + HEADER * len.div_ceil(u64::from(*record)),
            Content::Join(parts) => parts.iter().map(Content::len).sum(),
        }
    }

    /// Writes the bytes from `offset` on; `out` must end within the message.
    pub(crate) fn fill(&self, offset: u64, out: &mut [u8]) {
        match self {
            Content::Opaque { head, key, .. } => {
                let from = (offset as usize).min(head.len());
                let n = (head.len() - from).min(out.len());
                let (literal, random) = out.split_at_mut(n);
                literal.copy_from_slice(&head[from..from + n]);
                if !random.is_empty() {
                    fill(*key, offset + n as u64, random);
                }
            }
            Content::Records { len, record, key } => {
                fill(*key, offset, out);
                let stride = HEADER + u64::from(*record);
                let mut start = offset / stride * stride;
                while start < offset + out.len() as u64 {
                    let inside =
                        (len - start / stride * u64::from(*record)).min(u64::from(*record));
                    let header = [0x17, 0x03, 0x03, (inside >> 8) as u8, inside as u8];
                    for (at, byte) in (start..).zip(header) {
                        if let Some(at) = at.checked_sub(offset)
                            && let Some(slot) = out.get_mut(at as usize)
                        {
                            *slot = byte;
                        }
                    }
                    start += stride;
                }
            }
            Content::Join(parts) => {
                let mut rest = out;
                let mut skip = offset;
                for part in parts {
                    let left = part.len().saturating_sub(skip);
                    let n = (left as usize).min(rest.len());
                    let (own, tail) = rest.split_at_mut(n);
                    if n > 0 {
                        part.fill(skip, own);
                    }
                    skip = skip.saturating_sub(part.len());
                    rest = tail;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_join_to_whole_records() {
        for len in [1, 100, 1000, 1001, 4321] {
            let content = Content::Records { len, record: 1000, key: 3 };
            let mut whole = vec![0; content.len() as usize];
            content.fill(0, &mut whole);
            for cut in [1, 3, 7, 536, 1448] {
                let mut pieces = vec![0; whole.len()];
                for (index, piece) in pieces.chunks_mut(cut).enumerate() {
                    content.fill((index * cut) as u64, piece);
                }
                assert_eq!(whole, pieces, "{len} cut by {cut}");
            }
            let mut rest = &whole[..];
            let mut inside = 0;
            while let [0x17, 3, 3, high, low, tail @ ..] = rest {
                let n = usize::from(*high) << 8 | usize::from(*low);
                inside += n;
                rest = &tail[n..];
            }
            assert_eq!((rest.len(), inside as u64), (0, len));
        }
    }

    #[test]
    fn joined_content_is_its_parts() {
        let parts = [Content::opaque(*b"one", 9, 1), Content::bytes(*b"two"), Content::tls(40, 2)];
        let mut expected = Vec::new();
        for part in &parts {
            let mut bytes = vec![0; part.len() as usize];
            part.fill(0, &mut bytes);
            expected.extend(bytes);
        }
        let joined = Content::Join(Box::new(parts));
        assert_eq!(joined.len(), expected.len() as u64);
        for cut in 0..=expected.len() {
            let (mut head, mut tail) = (vec![0; cut], vec![0; expected.len() - cut]);
            joined.fill(0, &mut head);
            joined.fill(cut as u64, &mut tail);
            assert_eq!([head, tail].concat(), expected, "cut at {cut}");
        }
    }

    #[test]
    fn opaque_content_starts_with_its_head() {
        let content = Content::opaque(*b"GET", 5, 1);
        let mut whole = [0; 8];
        content.fill(0, &mut whole);
        assert_eq!(&whole[..3], b"GET");
        let mut tail = [0; 6];
        content.fill(2, &mut tail);
        assert_eq!(tail, whole[2..]);
    }
}
