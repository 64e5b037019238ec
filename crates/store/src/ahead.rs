//! Rows of a part decoded by a thread of its own, a batch ahead of whoever goes through them.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use crate::error::{Result, StoreError};
use crate::reader::{Batches, Footer, Part, Rows};
use crate::table::Table;

/// Rows of a part decoded at once.
const BATCH: usize = 4_096;

/// Rows of one part, batch by batch.
pub(crate) enum Ahead<T: Table> {
    /// By its thread, until that has ended.
    Thread(Receiver<Result<Rows<T>>>, Option<JoinHandle<()>>),
    /// By whoever asks: a part of one batch, or where the system has no threads left.
    Here(Batches, Part),
}

impl<T: Table> Ahead<T> {
    pub(crate) fn of(footer: Footer) -> Result<Self> {
        let part = footer.part.clone();
        let batches = footer.clone().batches(&T::INFO, None, BATCH)?;
        if footer.rows() <= BATCH as u64 {
            return Ok(Ahead::Here(batches, part));
        }
        let (sender, rows) = sync_channel(1);
        let there = part.clone();
        let work = move || decode(batches, &there, &sender);
        match std::thread::Builder::new().name("rows".to_owned()).spawn(work) {
            Ok(thread) => Ok(Ahead::Thread(rows, Some(thread))),
            Err(_) => Ok(Ahead::Here(footer.batches(&T::INFO, None, BATCH)?, part)),
        }
    }
}

fn decode<T: Table>(batches: Batches, part: &Part, to: &SyncSender<Result<Rows<T>>>) {
    for batch in batches {
        let rows = batch.and_then(|batch| Rows::of(&batch, part));
        // Whoever asked may have let go.
        if to.send(rows).is_err() {
            return;
        }
    }
}

impl<T: Table> Iterator for Ahead<T> {
    type Item = Result<Rows<T>>;

    fn next(&mut self) -> Option<Self::Item> {
        match self {
            Ahead::Thread(rows, thread) => match rows.recv() {
                Ok(rows) => Some(rows),
                // It has ended: with its last batch, or by a panic.
                Err(_) => thread.take()?.join().is_err().then_some(Err(StoreError::Worker)),
            },
            Ahead::Here(batches, part) => {
                Some(batches.next()?.and_then(|batch| Rows::of(&batch, part)))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ottoscope_flow::Timestamp;

    use super::*;
    use crate::layout::PartNames;
    use crate::reader::parts_below;
    use crate::tables::{BinRow, Bins};
    use crate::writer::{TableWriter, WriteOptions};

    #[test]
    fn all_rows_come_by_either_way() {
        let dir = tempfile::tempdir().unwrap();
        let names = PartNames::new("host", "run", 0);
        let mut writer = TableWriter::<Bins>::new(dir.path(), names, WriteOptions::default());
        for i in 0..10_000 {
            let second = Timestamp::from_parts(i / 10, 0);
            let (packets_up, packets_down, bytes_up, bytes_down) = (1, 0, i as u64, 0);
            let (flow, syn, fin, rst) = (i as u64, 0, 0, 0);
            let row = BinRow {
                second,
                flow,
                packets_up,
                packets_down,
                bytes_up,
                bytes_down,
                syn,
                fin,
                rst,
            };
            writer.append(&row).unwrap();
        }
        writer.finish().unwrap();
        let part = parts_below(dir.path()).unwrap().remove(0);
        let footer = part.footer(&Bins::INFO).unwrap();
        let batches = footer.clone().batches(&Bins::INFO, None, BATCH).unwrap();
        let here = Ahead::<Bins>::Here(batches, part.clone());
        for ahead in [Ahead::of(footer).unwrap(), here] {
            let flows = ahead.flat_map(|rows| {
                let rows = rows.unwrap();
                (0..rows.len()).map(|i| rows.get(i).flow).collect::<Vec<_>>()
            });
            assert!(flows.eq(0..10_000));
        }
    }
}
