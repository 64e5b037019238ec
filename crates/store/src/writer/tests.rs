use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::{ArrayRef, BinaryArray, BooleanArray, Float64Array, StringArray};
use arrow::array::{
    Int32Array, ListArray, TimestampNanosecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::datatypes::{DataType, Field};
use arrow::record_batch::RecordBatch;
use ottoscope_flow::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::column::{Bytes, Integers, Kind, Text};
use crate::reader::{Part, Rows, parts_below};
use crate::table::table;
use crate::tables::{Anomalies, BinRow, Bins, Captures, Dns, Flows, Labels, Messages, Rtp, Users};

fn names() -> PartNames {
    PartNames::new("host", "run", 0)
}

/// All rows of a folder as text, part by part.
fn read<T: Table>(folder: &Path) -> Vec<(Part, Vec<String>)> {
    let read = |part: Part| {
        let mut rows = Vec::new();
        for batch in part.batches(&T::INFO, None).unwrap() {
            rows.extend(
                Rows::<T>::of(&batch.unwrap(), &part).unwrap().iter().map(|r| format!("{r:?}")),
            );
        }
        (part, rows)
    };
    parts_below(folder).unwrap().into_iter().map(read).collect()
}

fn in_order(mut rows: Vec<String>) -> Vec<String> {
    rows.sort();
    rows
}

/// Rows of any table: every third value missing where it may be, two hours, not in order.
fn sample<T: Table>(count: usize) -> RecordBatch {
    let columns = T::INFO.columns.iter().map(|column| -> ArrayRef {
        let nulls = column
            .nullable
            .then(|| NullBuffer::from((0..count).map(|i| i % 3 != 1).collect::<Vec<_>>()));
        let n = |i: usize| (i * 7 + column.name.len()) as u64;
        match column.kind {
            Kind::Boolean => {
                let values = (0..count).map(|i| n(i) % 2 == 0).collect::<Vec<_>>();
                Arc::new(BooleanArray::new(values.into(), nulls))
            }
            Kind::UInt8 => {
                Arc::new(UInt8Array::new((0..count).map(|i| n(i) as u8).collect(), nulls))
            }
            Kind::UInt16 => {
                Arc::new(UInt16Array::new((0..count).map(|i| n(i) as u16).collect(), nulls))
            }
            Kind::UInt32 => {
                Arc::new(UInt32Array::new((0..count).map(|i| n(i) as u32).collect(), nulls))
            }
            Kind::UInt64 => {
                Arc::new(UInt64Array::new((0..count).map(|i| u64::MAX - n(i)).collect(), nulls))
            }
            Kind::Float64 => {
                Arc::new(Float64Array::new((0..count).map(|i| n(i) as f64 / 3.0).collect(), nulls))
            }
            Kind::Timestamp => {
                let at = |i: usize| {
                    1_383_264_000_000_000_000 + (i * 37 % count) as i64 * 100_000_000_000
                };
                let times = TimestampNanosecondArray::new((0..count).map(at).collect(), nulls);
                Arc::new(times.with_data_type(Kind::Timestamp.data_type()))
            }
            Kind::Text => {
                let text =
                    |i: usize| (i % 3 != 1 || !column.nullable).then(|| format!("wörd {}", n(i)));
                Arc::new((0..count).map(text).collect::<StringArray>())
            }
            Kind::Binary => {
                let bytes = |i: usize| (i % 3 != 1).then(|| vec![i as u8; i % 20]);
                Arc::new((0..count).map(bytes).collect::<BinaryArray>())
            }
            Kind::Int32List => {
                let values = Int32Array::from_iter_values((0..count * 2).map(|i| 5 - i as i32));
                let offsets = OffsetBuffer::from_lengths((0..count).map(|_| 2));
                let field = Field::new_list_field(DataType::Int32, true).into();
                Arc::new(ListArray::new(field, offsets, Arc::new(values), nulls))
            }
        }
    });
    RecordBatch::try_new(T::INFO.schema(), columns.collect()).unwrap()
}

fn round_trip<T: Table>() {
    let dir = tempfile::tempdir().unwrap();
    let batch = sample::<T>(60);
    let view = T::columns(&batch).unwrap();
    let mut writer = TableWriter::<T>::new(dir.path(), names(), WriteOptions::default());
    for i in 0..60 {
        writer.append(&T::row(&view, i)).unwrap();
    }
    assert!(writer.buffered() > 60);
    let written = writer.finish().unwrap();
    let parts = read::<T>(dir.path());
    assert_eq!((written.rows, written.parts), (60, parts.len() as u64), "{}", T::INFO.name);
    assert_eq!(parts.len(), if T::INFO.time.is_some() { 2 } else { 1 });
    let expected = (0..60).map(|i| format!("{:?}", T::row(&view, i))).collect();
    let found = parts.into_iter().flat_map(|(_, rows)| rows).collect();
    assert_eq!(in_order(found), in_order(expected), "{}", T::INFO.name);
}

#[test]
fn every_table_survives_the_round_trip() {
    round_trip::<Captures>();
    round_trip::<Flows>();
    round_trip::<Labels>();
    round_trip::<Dns>();
    round_trip::<Messages>();
    round_trip::<Rtp>();
    round_trip::<Bins>();
    round_trip::<Anomalies>();
    round_trip::<Users>();
}

fn bin(nanos: i64, flow: u64) -> BinRow<'static> {
    BinRow {
        second: Timestamp(nanos),
        flow,
        packets_up: 1,
        packets_down: 2,
        bytes_up: 3,
        bytes_down: 4,
        syn: 5,
        fin: 6,
        rst: 7,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn rows_out_are_rows_in(
        rows in prop::collection::vec(
            (prop_oneof![9 => 0i64..4, 1 => any::<i64>()], any::<u64>()),
            0..120,
        ),
        part_rows in 5usize..60,
        open_hours in 1usize..4,
        buffer_bytes in 200usize..6_000,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = WriteOptions {
            part_rows, open_hours, buffer_bytes, row_group_rows: 10, ..WriteOptions::default()
        };
        let mut writer = TableWriter::<Bins>::new(dir.path(), names(), options);
        let mut expected: BTreeMap<Partition, Vec<String>> = BTreeMap::new();
        for (hour, flow) in rows {
            let nanos = if (0..10).contains(&hour) { hour * 3_600_000_000_000 + flow as i64 % 1_000 } else { hour };
            let row = bin(nanos, flow);
            writer.append(&row).unwrap();
            prop_assert!(writer.buffered() <= buffer_bytes);
            prop_assert!(writer.open.len() <= open_hours);
            expected.entry(Partition::of(row.second)).or_default().push(format!("{row:?}"));
        }
        let written = writer.finish().unwrap();
        let mut found: BTreeMap<Partition, Vec<String>> = BTreeMap::new();
        let mut parts = 0;
        for (part, rows) in read::<Bins>(dir.path()) {
            parts += 1;
            prop_assert!(rows.len() <= part_rows);
            found.entry(part.partition.unwrap()).or_default().extend(rows);
            let mut last = None;
            for batch in part.batches(&Bins::INFO, None).unwrap() {
                for row in Rows::<Bins>::of(&batch.unwrap(), &part).unwrap().iter() {
                    let place = Some((row.second, row.flow));
                    prop_assert!(last <= place);
                    last = place;
                }
            }
        }
        prop_assert_eq!(written.parts, parts);
        prop_assert_eq!(written.rows as usize, expected.values().map(Vec::len).sum::<usize>());
        let sorted = |map: BTreeMap<Partition, Vec<String>>| -> Vec<_> {
            map.into_iter().map(|(p, rows)| (p, in_order(rows))).collect()
        };
        prop_assert_eq!(sorted(found), sorted(expected));
        // Nothing but parts is left.
        let mut files = 0;
        let mut folders = vec![dir.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files += 1 }
            }
        }
        prop_assert_eq!(files, parts);
    }
}

table! {
    /// A column of every kind.
    Mixed(MixedRow, MixedBuilder, MixedColumns) = "mixed" by at, key {
        /// In order or not.
        at: Timestamp,
        /// As it comes.
        key: u64,
        /// Narrow.
        port: Option<u16>,
        /// Wide.
        sequence: Option<u64>,
        /// With sign and fraction.
        real: Option<f64>,
        /// One bit.
        flag: Option<bool>,
        /// Words.
        text: Option<Text>,
        /// What is no text.
        bytes: Bytes,
        /// Several values, or none.
        list: Option<Integers>,
        /// Of some rows only.
        then: Option<Timestamp>,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]
    /// Pages and row groups of any encoding: few values or many, none missing or nearly all,
    /// in runs or not.
    #[test]
    fn values_out_are_values_in(
        count in 1usize..60_000,
        group_rows in prop_oneof![Just(25_000usize), Just(100_000)],
        kinds in prop_oneof![Just(1u64), Just(3), Just(900), Just(u64::MAX)],
        run in prop_oneof![Just(1u64), Just(50)],
        missing in prop_oneof![Just(0u64), Just(1), Just(9), Just(10)],
        seed: u64,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let options = WriteOptions { row_group_rows: group_rows, ..WriteOptions::default() };
        let mut writer = TableWriter::<Mixed>::new(dir.path(), names(), options);
        let mut expected = Vec::new();
        for i in 0..count as u64 {
            let random = |n: u64| (seed ^ n << 40 ^ (i / run)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
                .rotate_left(29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let value = |n: u64| random(n) % kinds;
            let there = |n: u64| random(n + 100) % 10 >= missing;
            let (text, list) = (format!("text {}", value(1)), [value(2) as i32, -1, 7]);
            let row = MixedRow {
                at: Timestamp((value(3) % 1_000_000_000).cast_signed()),
                key: value(4),
                port: there(5).then(|| value(5) as u16),
                sequence: there(6).then(|| value(6)),
                real: there(7).then(|| value(7) as f64 / -3.0),
                flag: there(8).then(|| value(8) % 2 == 0),
                text: there(1).then_some(&text),
                bytes: &text.as_bytes()[..(value(9) % 7) as usize],
                list: there(2).then(|| &list[..(value(2) % 4) as usize]),
                then: there(10).then(|| Timestamp(value(10).cast_signed())),
            };
            writer.append(&row).unwrap();
            expected.push((row.at, row.key, format!("{row:?}")));
        }
        writer.finish().unwrap();
        expected.sort_by_key(|(at, key, _)| (*at, *key));
        let found: Vec<String> =
            read::<Mixed>(dir.path()).into_iter().flat_map(|(_, rows)| rows).collect();
        prop_assert_eq!(found.len(), expected.len());
        for (found, (.., expected)) in found.iter().zip(&expected) {
            prop_assert_eq!(found, expected);
        }
    }
}

#[test]
fn hostile_times_make_no_million_folders() {
    let dir = tempfile::tempdir().unwrap();
    let options = WriteOptions { open_hours: 20_000, ..WriteOptions::default() };
    let mut writer = TableWriter::<Bins>::new(dir.path(), names(), options);
    // Only the slots matter here; writing 10,000 parts would only take time.
    writer.hours =
        (0..MAX_HOURS as i64).map(|h| Partition::of(Timestamp(h * 3_600_000_000_000))).collect();
    writer.append(&bin(400_000 * 3_600_000_000_000, 1)).unwrap();
    writer.append(&bin(5 * 3_600_000_000_000, 2)).unwrap();
    let written = writer.finish().unwrap();
    assert_eq!((written.rows, written.misfiled), (2, 1));
    let hours: Vec<_> = read::<Bins>(dir.path()).into_iter().map(|(p, _)| p.partition).collect();
    assert_eq!(
        hours,
        [Some(Partition::ODD), Some(Partition::of(Timestamp(5 * 3_600_000_000_000)))]
    );
}

#[test]
fn names_that_are_taken_are_passed_over() {
    let dir = tempfile::tempdir().unwrap();
    for flow in 0..3 {
        let mut writer = TableWriter::<Bins>::new(dir.path(), names(), WriteOptions::default());
        writer.append(&bin(0, flow)).unwrap();
        writer.finish().unwrap();
    }
    assert_eq!(read::<Bins>(dir.path()).len(), 3);
}

/// A disk that is full after some bytes: the seam's stand-in for a small partition.
struct SmallDisk {
    left: Arc<AtomicI64>,
}

struct SmallFile {
    file: fs::File,
    left: Arc<AtomicI64>,
}

impl Write for SmallFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.left.fetch_sub(bytes.len() as i64, Ordering::Relaxed) < bytes.len() as i64 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.file.write(bytes)
    }
    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Disk for SmallDisk {
    fn make_folder(&self, path: &Path) -> io::Result<()> {
        RealDisk.make_folder(path)
    }
    fn create(&self, path: &Path) -> io::Result<Box<dyn Write + Send>> {
        let file = fs::File::create_new(path)?;
        Ok(Box::new(SmallFile { file, left: self.left.clone() }))
    }
    fn exists(&self, path: &Path) -> bool {
        RealDisk.exists(path)
    }
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        RealDisk.rename(from, to)
    }
    fn remove(&self, path: &Path) -> io::Result<()> {
        RealDisk.remove(path)
    }
}

#[test]
fn a_full_disk_is_told_and_earlier_parts_stay() {
    let dir = tempfile::tempdir().unwrap();
    let left = Arc::new(AtomicI64::new(20_000));
    let options = WriteOptions { part_rows: 100, ..WriteOptions::default() };
    let disk = Arc::new(SmallDisk { left });
    let mut writer = TableWriter::<Bins>::on(disk, dir.path(), names(), options);
    let error = (0..1_000_000).find_map(|i| writer.append(&bin(i, i as u64)).err()).unwrap();
    let words = error.to_string();
    assert!(words.contains("cannot write") && words.contains(".parquet"), "{words}");
    assert!(error.hint().unwrap().contains("free some space"));
    let parts = read::<Bins>(dir.path());
    assert!(!parts.is_empty());
    assert!(parts.iter().all(|(_, rows)| rows.len() == 100));
    let hour = dir.path().join("date=1970-01-01/hour=00");
    let files = fs::read_dir(hour).unwrap().count();
    assert_eq!(files, parts.len(), "no temporary file is left");
}

#[test]
fn unfinished_and_damaged_files() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = TableWriter::<Bins>::new(dir.path(), names(), WriteOptions::default());
    (0..1_000).for_each(|i| writer.append(&bin(i, 1)).unwrap());
    writer.finish().unwrap();
    let part = parts_below(dir.path()).unwrap().remove(0);
    let bytes = fs::read(&part.path).unwrap();
    fs::write(part.path.with_extension("parquet.tmp"), &bytes[..100]).unwrap();
    assert_eq!(parts_below(dir.path()).unwrap(), std::slice::from_ref(&part));
    for cut in [0, 4, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&part.path, &bytes[..cut]).unwrap();
        let error = part.batches(&Bins::INFO, None).err().unwrap();
        assert!(error.to_string().contains("run-0-0.parquet"), "{error}");
    }
    fs::write(&part.path, &bytes).unwrap();
    let error = part.batches(&Flows::INFO, None).err().unwrap();
    assert!(error.to_string().contains("it is a part of `bins`"), "{error}");
    assert_eq!(part.rows(&Bins::INFO).unwrap(), 1_000);
}
