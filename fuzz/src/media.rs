//! Pictures and files of calls.

use std::hint::black_box;
use std::io::Cursor;

use ottoscope_flow::Timestamp;
use ottoscope_media::ivf::Frames;
use ottoscope_media::rtp_vp8::Depacketizer;
use ottoscope_media::vp8::{Decoder, FrameDecoder, Limits};
use ottoscope_media::{png, webm, y4m};
use ottoscope_wire::rtp;
use ottoscope_wire::rtp_vp8::Payload;

use crate::messages::look;

/// Pieces of the input, each behind its length in two bytes; the last may be cut.
fn pieces(mut data: &[u8]) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_first_chunk()?;
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (piece, rest) = rest.split_at(length);
        data = rest;
        Some(piece)
    })
}

/// A stream of VP8 frames; what is decoded goes into picture files.
pub fn vp8(data: &[u8]) {
    let limits = Limits { width: 256, height: 256 };
    let mut decoder = Decoder::new(limits);
    let mut video = y4m::Writer::new(Vec::new(), 90_000);
    for (index, frame) in pieces(data).enumerate() {
        let Ok(Some(picture)) = decoder.decode(frame) else { continue };
        let (width, height) = (usize::from(picture.width), usize::from(picture.height));
        assert!(picture.width <= limits.width && picture.height <= limits.height);
        assert_eq!(picture.y.len(), width * height);
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        assert_eq!((picture.u.len(), picture.v.len()), (chroma, chroma));
        let _ = video.write(6000 * index as i64, &picture);
        if index == 0 {
            png::write(&mut Vec::new(), &picture).expect("memory takes all");
        }
    }
    black_box(video.finish().expect("memory takes all").1);
}

/// IVF, and RTP packets with VP8.
pub fn media_files(data: &[u8]) {
    if let Some((header, mut frames)) = Frames::open(data) {
        let mut file = webm::Writer::new(Cursor::new(Vec::new()), header.width, header.height)
            .expect("memory takes all");
        let mut sum = 0;
        for (time, frame) in frames.by_ref() {
            sum += frame.len();
            file.write(time >> 20, time & 1 == 1, true, frame).expect("memory takes all");
        }
        assert!(sum + frames.rest().len() <= data.len());
        black_box(file.finish(40).expect("memory takes all").into_inner().len());
    }
    if let Ok(payload) = Payload::parse(data) {
        look(&payload);
        let mut bytes = Vec::new();
        payload.emit(&mut bytes);
        assert_eq!(Payload::parse(&bytes), Ok(payload));
    }
    let mut depacketizer = Depacketizer::new(0);
    let mut fragments = 0;
    for (index, piece) in pieces(data).enumerate() {
        let Ok(packet) = rtp::Packet::parse(piece) else { continue };
        let mut out = |frame: ottoscope_media::Frame| fragments += u64::from(frame.fragments);
        let _ = depacketizer.push(Timestamp(index as i64), &packet, &mut out);
    }
    depacketizer.finish(&mut |frame| fragments += u64::from(frame.fragments));
    let late = depacketizer.assembler().tally().late;
    assert_eq!(fragments + late, depacketizer.numbers().distinct());
}
