//! Some records over one buffer.

use std::sync::Arc;

use ottoscope_wire::{LinkType, WireError};

use crate::time::Timestamp;

/// One captured frame; its bytes lie in the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// When it was captured.
    pub at: Timestamp,
    /// How its first byte is to be read.
    pub link: LinkType,
    /// Index of its capture in [`super::Packets::infos`].
    pub capture: u32,
    /// Bytes on the wire.
    pub wire_len: u32,
    /// Where its bytes start in the batch's buffer.
    pub(super) start: u32,
    /// Captured bytes.
    pub len: u32,
}

/// Something wrong with a capture's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CaptureFault {
    /// Time of the packet before it in this capture, or the epoch.
    pub at: Timestamp,
    /// Index of the capture in [`super::Packets::infos`].
    pub capture: u32,
    /// What is wrong, with the offset in bytes from the start of the (uncompressed) capture.
    pub error: WireError,
}

/// Records in order of time, as far as each capture is in order, and their bytes.
#[derive(Debug, Default)]
pub struct Batch {
    pub(super) buffer: Vec<u8>,
    pub(super) records: Vec<Record>,
    pub(super) faults: Vec<CaptureFault>,
}

impl Batch {
    /// The records.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// The captured bytes of one of this batch's records.
    #[inline]
    pub fn bytes(&self, record: &Record) -> &[u8] {
        let start = record.start as usize;
        self.buffer.get(start..start + record.len as usize).unwrap_or_default()
    }

    /// Forgets everything and makes the buffer at least `len` bytes long. What it holds is
    /// overwritten by what is read, so it is cleared only once.
    pub(super) fn reset(&mut self, len: usize) {
        const KEEP: usize = 1024 * 1024;
        self.records.clear();
        self.faults.clear();
        if self.buffer.len() > KEEP {
            self.buffer = Vec::new();
        }
        if self.buffer.len() < len {
            self.buffer.resize(len, 0);
        }
    }

    /// What was wrong with the captures between or after these records.
    pub fn faults(&self) -> &[CaptureFault] {
        &self.faults
    }
}

/// Batches kept for being used again.
const KEPT: usize = 64;

/// Hands out batches and gets their memory back once everybody has let go of them.
#[derive(Debug, Default)]
pub(super) struct Pool {
    kept: Vec<Arc<Batch>>,
}

impl Pool {
    /// An empty batch.
    pub(super) fn fresh(&mut self) -> Batch {
        let free = self.kept.iter_mut().position(|batch| Arc::get_mut(batch).is_some());
        let batch = free.and_then(|index| Arc::try_unwrap(self.kept.swap_remove(index)).ok());
        let mut batch = batch.unwrap_or_default();
        batch.reset(0);
        batch
    }

    /// The batch for others to share.
    pub(super) fn hand_over(&mut self, batch: Batch) -> Arc<Batch> {
        let batch = Arc::new(batch);
        if self.kept.len() >= KEPT {
            self.kept.remove(0);
        }
        self.kept.push(Arc::clone(&batch));
        batch
    }
}
