//! WebM: VP8 in what browsers play (RFC 8794 for EBML, RFC 9559 for Matroska).
//!
//! One track, a cluster for each key frame, cues to all of them at the end, so that players can
//! seek. The writer wants a place that it can go back in: lengths and the duration are filled in
//! afterwards. Times are whole milliseconds, as WebM wants them. An own writer: it is 200 lines,
//! and the crates in the registry wrap C++ or are younger than a year.

use std::io::{self, Seek, SeekFrom, Write};

/// Ids of elements, with their length marks.
mod id {
    pub(super) const EBML: u32 = 0x1a45_dfa3;
    pub(super) const EBML_VERSION: u32 = 0x4286;
    pub(super) const EBML_READ_VERSION: u32 = 0x42f7;
    pub(super) const EBML_MAX_ID_LENGTH: u32 = 0x42f2;
    pub(super) const EBML_MAX_SIZE_LENGTH: u32 = 0x42f3;
    pub(super) const DOC_TYPE: u32 = 0x4282;
    pub(super) const DOC_TYPE_VERSION: u32 = 0x4287;
    pub(super) const DOC_TYPE_READ_VERSION: u32 = 0x4285;
    pub(super) const SEGMENT: u32 = 0x1853_8067;
    pub(super) const SEEK_HEAD: u32 = 0x114d_9b74;
    pub(super) const SEEK: u32 = 0x4dbb;
    pub(super) const SEEK_ID: u32 = 0x53ab;
    pub(super) const SEEK_POSITION: u32 = 0x53ac;
    pub(super) const INFO: u32 = 0x1549_a966;
    pub(super) const TIMESTAMP_SCALE: u32 = 0x2a_d7b1;
    pub(super) const DURATION: u32 = 0x4489;
    pub(super) const MUXING_APP: u32 = 0x4d80;
    pub(super) const WRITING_APP: u32 = 0x5741;
    pub(super) const TRACKS: u32 = 0x1654_ae6b;
    pub(super) const TRACK_ENTRY: u32 = 0xae;
    pub(super) const TRACK_NUMBER: u32 = 0xd7;
    pub(super) const TRACK_UID: u32 = 0x73c5;
    pub(super) const TRACK_TYPE: u32 = 0x83;
    pub(super) const FLAG_LACING: u32 = 0x9c;
    pub(super) const CODEC_ID: u32 = 0x86;
    pub(super) const VIDEO: u32 = 0xe0;
    pub(super) const PIXEL_WIDTH: u32 = 0xb0;
    pub(super) const PIXEL_HEIGHT: u32 = 0xba;
    pub(super) const CLUSTER: u32 = 0x1f43_b675;
    pub(super) const TIMESTAMP: u32 = 0xe7;
    pub(super) const SIMPLE_BLOCK: u32 = 0xa3;
    pub(super) const CUES: u32 = 0x1c53_bb6b;
    pub(super) const CUE_POINT: u32 = 0xbb;
    pub(super) const CUE_TIME: u32 = 0xb3;
    pub(super) const CUE_TRACK_POSITIONS: u32 = 0xb7;
    pub(super) const CUE_TRACK: u32 = 0xf7;
    pub(super) const CUE_CLUSTER_POSITION: u32 = 0xf1;
}

/// Longest cluster, milliseconds: times within one are sixteen bits with a sign.
const LONGEST_CLUSTER: u64 = 30_000;

fn put_id(out: &mut Vec<u8>, id: u32) {
    let skip = id.leading_zeros() as usize / 8;
    out.extend_from_slice(&id.to_be_bytes()[skip..]);
}

/// A length in as few bytes as it needs.
fn put_length(out: &mut Vec<u8>, length: u64) {
    let bytes = (1..8).find(|n| length < (1 << (7 * n)) - 1).unwrap_or(8);
    let marked = length | 1 << (7 * bytes);
    out.extend_from_slice(&marked.to_be_bytes()[8 - bytes..]);
}

/// A length in eight bytes, to be written over later.
fn wide_length(length: u64) -> [u8; 8] {
    (length | 1 << 56).to_be_bytes()
}

fn put_bytes(out: &mut Vec<u8>, id: u32, bytes: &[u8]) {
    put_id(out, id);
    put_length(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn put_number(out: &mut Vec<u8>, id: u32, number: u64) {
    let skip = (number.leading_zeros() as usize / 8).min(7);
    put_bytes(out, id, &number.to_be_bytes()[skip..]);
}

fn put_all(out: &mut Vec<u8>, id: u32, inside: impl FnOnce(&mut Vec<u8>)) {
    let mut body = Vec::new();
    inside(&mut body);
    put_bytes(out, id, &body);
}

/// Writes one file.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// Where the file begins in `out`.
    start: u64,
    /// Where the segment's contents begin, from `start`, as all places below.
    segment: u64,
    seek_head: u64,
    duration: u64,
    info: u64,
    tracks: u64,
    /// Bytes written.
    at: u64,
    /// The open cluster: where it begins, and its time.
    cluster: Option<(u64, u64)>,
    cues: Vec<(u64, u64)>,
    last: u64,
    frames: u64,
}

impl<W: Write + Seek> Writer<W> {
    /// Begins a file of pictures of this size.
    pub fn new(mut out: W, width: u16, height: u16) -> io::Result<Self> {
        let start = out.stream_position()?;
        let mut head = Vec::new();
        put_all(&mut head, id::EBML, |e| {
            put_number(e, id::EBML_VERSION, 1);
            put_number(e, id::EBML_READ_VERSION, 1);
            put_number(e, id::EBML_MAX_ID_LENGTH, 4);
            put_number(e, id::EBML_MAX_SIZE_LENGTH, 8);
            put_bytes(e, id::DOC_TYPE, b"webm");
            put_number(e, id::DOC_TYPE_VERSION, 2);
            put_number(e, id::DOC_TYPE_READ_VERSION, 2);
        });
        put_id(&mut head, id::SEGMENT);
        head.extend_from_slice(&wide_length((1 << 56) - 1)); // unknown until it is finished
        let segment = head.len() as u64;
        let seek_head = segment;
        head.extend_from_slice(&seek_table([0; 3]));
        let info = head.len() as u64;
        put_all(&mut head, id::INFO, |e| {
            put_number(e, id::TIMESTAMP_SCALE, 1_000_000);
            put_bytes(e, id::MUXING_APP, b"ottoscope");
            put_bytes(e, id::WRITING_APP, b"ottoscope");
            put_bytes(e, id::DURATION, &0f64.to_be_bytes());
        });
        let duration = head.len() as u64 - 8;
        let tracks = head.len() as u64;
        put_all(&mut head, id::TRACKS, |e| {
            put_all(e, id::TRACK_ENTRY, |e| {
                put_number(e, id::TRACK_NUMBER, 1);
                put_number(e, id::TRACK_UID, 1);
                put_number(e, id::TRACK_TYPE, 1);
                put_number(e, id::FLAG_LACING, 0);
                put_bytes(e, id::CODEC_ID, b"V_VP8");
                put_all(e, id::VIDEO, |e| {
                    put_number(e, id::PIXEL_WIDTH, width.into());
                    put_number(e, id::PIXEL_HEIGHT, height.into());
                });
            });
        });
        out.write_all(&head)?;
        Ok(Writer {
            out,
            start,
            segment,
            seek_head,
            duration,
            info,
            tracks,
            at: head.len() as u64,
            cluster: None,
            cues: Vec::new(),
            last: 0,
            frames: 0,
        })
    }

    /// Frames written.
    pub fn frames(&self) -> u64 {
        self.frames
    }

    /// Writes a frame that is to be seen at `time` milliseconds; times that fall are raised to
    /// the one before.
    pub fn write(&mut self, time: u64, key: bool, shown: bool, data: &[u8]) -> io::Result<()> {
        let time = time.max(self.last);
        let since = match self.cluster {
            Some((_, begin)) if !key && time - begin <= LONGEST_CLUSTER => time - begin,
            _ => {
                self.close_cluster()?;
                self.open_cluster(time, key)?;
                0
            }
        };
        let mut head = Vec::with_capacity(16);
        put_id(&mut head, id::SIMPLE_BLOCK);
        put_length(&mut head, data.len() as u64 + 4);
        head.push(0x81); // the track
        head.extend_from_slice(&(since as u16).to_be_bytes());
        head.push(u8::from(key) << 7 | u8::from(!shown) << 3);
        self.put(&head)?;
        self.put(data)?;
        self.last = time;
        self.frames += 1;
        Ok(())
    }

    /// Writes the cues, fills in what was not known, and hands back where it was written to;
    /// the last picture stays for `linger` milliseconds.
    pub fn finish(mut self, linger: u64) -> io::Result<W> {
        self.close_cluster()?;
        let cues_at = self.at;
        let mut cues = Vec::new();
        put_all(&mut cues, id::CUES, |e| {
            for (time, cluster) in &self.cues {
                put_all(e, id::CUE_POINT, |e| {
                    put_number(e, id::CUE_TIME, *time);
                    put_all(e, id::CUE_TRACK_POSITIONS, |e| {
                        put_number(e, id::CUE_TRACK, 1);
                        put_number(e, id::CUE_CLUSTER_POSITION, cluster - self.segment);
                    });
                });
            }
        });
        if self.cues.is_empty() {
            cues.clear();
        }
        self.put(&cues)?;
        let length = self.at - self.segment;
        self.patch(self.segment - 8, &wide_length(length))?;
        let places = [self.info, self.tracks, cues_at].map(|at| at - self.segment);
        self.patch(self.seek_head, &seek_table(places))?;
        let duration = (self.last + linger) as f64;
        self.patch(self.duration, &duration.to_be_bytes())?;
        self.out.seek(SeekFrom::Start(self.start + self.at))?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn patch(&mut self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(self.start + at))?;
        self.out.write_all(bytes)
    }

    fn open_cluster(&mut self, time: u64, key: bool) -> io::Result<()> {
        let begin = self.at;
        if key {
            self.cues.push((time, begin));
        }
        self.cluster = Some((begin, time));
        let mut head = Vec::new();
        put_id(&mut head, id::CLUSTER);
        head.extend_from_slice(&wide_length(0));
        put_number(&mut head, id::TIMESTAMP, time);
        self.put(&head)
    }

    fn close_cluster(&mut self) -> io::Result<()> {
        let Some((begin, _)) = self.cluster.take() else { return Ok(()) };
        let length = self.at - begin - 12;
        self.patch(begin + 4, &wide_length(length))?;
        self.out.seek(SeekFrom::Start(self.start + self.at))?;
        Ok(())
    }
}

/// Where information, tracks and cues are, from the start of the segment; always as long.
fn seek_table(places: [u64; 3]) -> Vec<u8> {
    let mut out = Vec::new();
    put_all(&mut out, id::SEEK_HEAD, |e| {
        for (id, place) in [id::INFO, id::TRACKS, id::CUES].into_iter().zip(places) {
            put_all(e, id::SEEK, |e| {
                put_bytes(e, id::SEEK_ID, &id.to_be_bytes());
                put_bytes(e, id::SEEK_POSITION, &place.to_be_bytes());
            });
        }
    });
    out
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// One element: where it begins, its id, and what is in it.
    type Element<'a> = (usize, u32, &'a [u8]);

    /// A reader of its own: ids and lengths by their leading bits (RFC 8794 4).
    fn elements(bytes: &[u8]) -> Vec<Element<'_>> {
        let number = |at: usize, keep: bool| {
            let n = bytes[at].leading_zeros() as usize + 1;
            let first = u64::from(bytes[at]) & if keep { 0xff } else { (1 << (8 - n)) - 1 };
            (bytes[at + 1..at + n].iter().fold(first, |all, b| all << 8 | u64::from(*b)), n)
        };
        let (mut at, mut all) = (0, Vec::new());
        while at < bytes.len() {
            let (id, n) = number(at, true);
            let (length, m) = number(at + n, false);
            let body = at + n + m;
            all.push((at, id as u32, &bytes[body..body + length as usize]));
            at = body + length as usize;
        }
        all
    }

    fn find<'a>(of: &[Element<'a>], id: u32) -> &'a [u8] {
        of.iter().find(|e| e.1 == id).unwrap().2
    }

    fn number(bytes: &[u8]) -> u64 {
        bytes.iter().fold(0, |all, b| all << 8 | u64::from(*b))
    }

    #[test]
    fn every_length_and_place_is_right() {
        let frames: Vec<(u64, bool, bool, Vec<u8>)> = (0..200u64)
            .map(|n| {
                (n * 66 + n / 90 * 50_000, n % 40 == 0, n % 40 != 1, vec![n as u8; n as usize])
            })
            .collect();
        let mut before = Cursor::new(b"before".to_vec());
        before.set_position(6);
        let mut writer = Writer::new(before, 320, 240).unwrap();
        for (time, key, shown, data) in &frames {
            writer.write(*time, *key, *shown, data).unwrap();
        }
        assert_eq!(writer.frames(), 200);
        let file = writer.finish(66).unwrap().into_inner();
        let file = file.strip_prefix(b"before").unwrap();

        let top = elements(file);
        assert_eq!(top.iter().map(|e| e.1).collect::<Vec<_>>(), [id::EBML, id::SEGMENT]);
        assert_eq!(find(&elements(top[0].2), id::DOC_TYPE), b"webm");
        let segment = elements(top[1].2);
        let info = elements(find(&segment, id::INFO));
        let duration = f64::from_be_bytes(find(&info, id::DURATION).try_into().unwrap());
        assert_eq!(duration, (frames[199].0 + 66) as f64);
        let entry = elements(elements(find(&segment, id::TRACKS))[0].2);
        assert_eq!(find(&entry, id::CODEC_ID), b"V_VP8");
        let video = elements(find(&entry, id::VIDEO));
        assert_eq!(number(find(&video, id::PIXEL_WIDTH)), 320);
        for seek in elements(find(&segment, id::SEEK_HEAD)) {
            let seek = elements(seek.2);
            let at = number(find(&seek, id::SEEK_POSITION)) as usize;
            let id = number(find(&seek, id::SEEK_ID)) as u32;
            assert!(segment.iter().any(|e| (e.0, e.1) == (at, id)), "{id:x} at {at}");
        }
        let mut read = Vec::new();
        for (at, _, cluster) in segment.iter().filter(|e| e.1 == id::CLUSTER) {
            let cluster = elements(cluster);
            let begin = number(find(&cluster, id::TIMESTAMP));
            for (index, block) in cluster[1..].iter().enumerate() {
                assert_eq!((block.1, block.2[0]), (id::SIMPLE_BLOCK, 0x81));
                let since = u64::from(u16::from_be_bytes([block.2[1], block.2[2]]));
                assert!(since <= LONGEST_CLUSTER);
                let (key, hidden) = (block.2[3] & 0x80 != 0, block.2[3] & 8 != 0);
                assert!(!key || index == 0, "key frames begin clusters");
                read.push((begin + since, key, !hidden, block.2[4..].to_vec()));
                if key {
                    let cue = elements(find(&segment, id::CUES)).iter().any(|point| {
                        let point = elements(point.2);
                        let place = elements(find(&point, id::CUE_TRACK_POSITIONS));
                        number(find(&point, id::CUE_TIME)) == begin
                            && number(find(&place, id::CUE_CLUSTER_POSITION)) as usize == *at
                    });
                    assert!(cue, "no cue to {begin} ms");
                }
            }
        }
        assert_eq!(read, frames);
    }

    #[test]
    fn lengths_take_the_bytes_they_need() {
        let check = |length: u64, expected: &[u8]| {
            let mut out = Vec::new();
            put_length(&mut out, length);
            assert_eq!(out, expected, "{length}");
        };
        check(0, &[0x80]);
        check(126, &[0xfe]);
        check(127, &[0x40, 0x7f]); // all ones would be an unknown length
        check(16_382, &[0x7f, 0xfe]);
        check(16_383, &[0x20, 0x3f, 0xff]);
    }

    #[test]
    fn an_empty_file_has_no_cues() {
        let file = Writer::new(Cursor::new(Vec::new()), 1, 1).unwrap().finish(0).unwrap();
        let top = elements(file.get_ref())[1].2.to_vec();
        assert!(elements(&top).iter().all(|e| e.1 != id::CUES && e.1 != id::CLUSTER));
    }
}
