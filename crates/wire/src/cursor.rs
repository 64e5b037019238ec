//! Reads big-endian integers and length-prefixed vectors off a slice, keeping the offset for
//! errors.

use crate::error::{Layer, Reason, WireError};

/// A place in some bytes of one layer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cursor<'a> {
    layer: Layer,
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(crate) fn new(layer: Layer, bytes: &'a [u8]) -> Self {
        Cursor { layer, bytes, at: 0 }
    }

    /// Bytes not yet read.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or(&[])
    }

    /// Offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn error(&self, reason: Reason) -> WireError {
        WireError::new(self.layer, self.at, reason)
    }

    pub(crate) fn take(&mut self, n: usize) -> Result<&'a [u8], WireError> {
        let end = self.at.saturating_add(n);
        let taken = self
            .bytes
            .get(self.at..end)
            .ok_or_else(|| WireError::truncated(self.layer, self.at, end, self.bytes.len()))?;
        self.at = end;
        Ok(taken)
    }

    /// A big-endian integer of `N` bytes, at most 8.
    fn uint<const N: usize>(&mut self) -> Result<u64, WireError> {
        Ok(self.take(N)?.iter().fold(0, |n, b| n << 8 | u64::from(*b)))
    }

    pub(crate) fn u8(&mut self) -> Result<u8, WireError> {
        Ok(self.uint::<1>()? as u8)
    }

    pub(crate) fn u16(&mut self) -> Result<u16, WireError> {
        Ok(self.uint::<2>()? as u16)
    }

    pub(crate) fn u24(&mut self) -> Result<u32, WireError> {
        Ok(self.uint::<3>()? as u32)
    }

    pub(crate) fn u32(&mut self) -> Result<u32, WireError> {
        Ok(self.uint::<4>()? as u32)
    }

    pub(crate) fn u40(&mut self) -> Result<u64, WireError> {
        self.uint::<5>()
    }

    pub(crate) fn u48(&mut self) -> Result<u64, WireError> {
        self.uint::<6>()
    }

    /// A vector behind its length in one byte.
    pub(crate) fn vec8(&mut self) -> Result<&'a [u8], WireError> {
        let n = self.u8()?;
        self.take(usize::from(n))
    }

    /// A vector behind its length in two bytes.
    pub(crate) fn vec16(&mut self) -> Result<&'a [u8], WireError> {
        let n = self.u16()?;
        self.take(usize::from(n))
    }

    /// A vector behind its length in three bytes.
    pub(crate) fn vec24(&mut self) -> Result<&'a [u8], WireError> {
        let n = self.u24()?;
        self.take(n as usize)
    }
}

/// Writes `body` behind its length in two bytes; what does not fit is cut.
pub(crate) fn put_vec16(out: &mut Vec<u8>, body: &[u8]) {
    let body = &body[..body.len().min(usize::from(u16::MAX))];
    out.extend_from_slice(&(body.len() as u16).to_be_bytes());
    out.extend_from_slice(body);
}

/// Writes `body` behind its length in one byte; what does not fit is cut.
pub(crate) fn put_vec8(out: &mut Vec<u8>, body: &[u8]) {
    let body = &body[..body.len().min(usize::from(u8::MAX))];
    out.push(body.len() as u8);
    out.extend_from_slice(body);
}

/// Writes `n` in three bytes.
pub(crate) fn put_u24(out: &mut Vec<u8>, n: usize) {
    out.extend_from_slice(&(n as u32).to_be_bytes()[1..]);
}
