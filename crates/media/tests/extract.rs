//! Files made of frames: what is in them, and what is left out after a loss.
#![allow(clippy::unwrap_used, missing_docs)] // failing is a test's work

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;

use md5::{Digest, Md5};
use ottoscope_flow::Timestamp;
use ottoscope_media::extract::{Extract, Options, Report};
use ottoscope_media::ivf::Frames;
use ottoscope_media::vp8::{self, DecodeError, Limits};
use ottoscope_media::{Frame, FrameState};
use ottoscope_synth::video;

/// What libvpx makes of the test patterns (`crates/synth/src/video/README.md`).
const PATTERN: &str = "647c31752140d594de4c90054b6de2ed";
const HIDDEN: &str = "df6734152ff042c6e31b146e1039c137";
const PICTURE: usize = 320 * 240 * 3 / 2;

fn frames(file: &[u8]) -> Vec<Frame> {
    let frame = |(index, data): (usize, &[u8])| Frame {
        stream: 0,
        first: Timestamp::default(),
        last: Timestamp::default(),
        ticks: 6000 * index as i64,
        fragments: 1,
        expected: Some(1),
        state: FrameState::Intact,
        reason: None,
        header: vp8::header(data).ok(),
        data: data.to_vec(),
    };
    video::frames(file).into_iter().enumerate().map(frame).collect()
}

fn all() -> Options {
    let png = NonZeroU32::new(20);
    Options { ivf: true, webm: true, y4m: true, yuv: true, png, ..Options::default() }
}

fn extract(folder: &Path, frames: &[Frame], options: Options) -> Report {
    let mut extract = Extract::new(folder, "call", options);
    frames.iter().for_each(|frame| extract.push(frame).unwrap());
    extract.finish().unwrap()
}

fn md5(bytes: &[u8]) -> String {
    Md5::digest(bytes).iter().fold(String::new(), |all, b| all + &format!("{b:02x}"))
}

#[test]
fn pictures_are_those_of_libvpx() {
    for (file, sum, shown) in [(video::PATTERN, PATTERN, 60), (video::HIDDEN, HIDDEN, 40)] {
        let folder = tempfile::tempdir().unwrap();
        let frames = frames(file);
        let report = extract(folder.path(), &frames, all());
        let raw = fs::read(folder.path().join("call-320x240.yuv")).unwrap();
        assert_eq!((md5(&raw).as_str(), raw.len()), (sum, shown * PICTURE));
        assert_eq!(report.written, frames.len() as u64);
        assert_eq!(report.hidden as usize, frames.len() - shown);
        assert_eq!((report.refused, report.withheld, report.start), (0, 0, Some(0)));
        let ivf = fs::read(folder.path().join("call.ivf")).unwrap();
        let (header, read) = Frames::open(&ivf).unwrap();
        assert_eq!((header.width, header.height, header.frames as usize), (320, 240, frames.len()));
        for ((time, data), frame) in read.zip(&frames) {
            assert_eq!((time as i64, data), (frame.ticks, frame.data.as_slice()));
        }
        for written in &report.files {
            assert_eq!(fs::metadata(&written.path).unwrap().len(), written.bytes);
        }
    }
}

#[test]
fn files_are_their_owners_and_whole() {
    let folder = tempfile::tempdir().unwrap();
    let report = extract(folder.path(), &frames(video::PATTERN), all());
    let mut names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let expected = [
        "call-000000.png",
        "call-000020.png",
        "call-000040.png",
        "call-320x240.yuv",
        "call.ivf",
        "call.webm",
        "call.y4m",
    ];
    assert_eq!(names, expected);
    assert_eq!(report.files.len(), expected.len());
    #[cfg(unix)]
    for name in expected {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(folder.path().join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }

    let folder = tempfile::tempdir().unwrap();
    let mut extract = Extract::new(folder.path(), "../call", all());
    frames(video::PATTERN).iter().for_each(|frame| extract.push(frame).unwrap());
    assert!(fs::read_dir(folder.path()).unwrap().count() > 0);
    drop(extract);
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is left half done");
}

#[test]
fn after_a_loss_the_video_freezes_until_the_next_key_frame() {
    let mut damaged = frames(video::PATTERN);
    damaged[25].state = FrameState::Incomplete;
    damaged[26..40].iter_mut().for_each(|frame| frame.state = FrameState::AfterLoss);

    let folder = tempfile::tempdir().unwrap();
    let whole = {
        extract(folder.path(), &frames(video::PATTERN), all());
        fs::read(folder.path().join("call-320x240.yuv")).unwrap()
    };
    let report = extract(folder.path(), &damaged, all());
    assert_eq!((report.written, report.withheld, report.refused), (45, 15, 0));
    let raw = fs::read(folder.path().join("call-320x240.yuv")).unwrap();
    assert!(raw == [&whole[..25 * PICTURE], &whole[40 * PICTURE..]].concat());
    let y4m = fs::read(folder.path().join("call.y4m")).unwrap();
    let line = y4m.iter().position(|b| *b == b'\n').unwrap();
    assert_eq!(&y4m[..line], b"YUV4MPEG2 W320 H240 F15:1 Ip A1:1 C420jpeg");
    let slots: Vec<&[u8]> = y4m[line + 1..].chunks(6 + PICTURE).map(|c| &c[6..]).collect();
    assert_eq!(slots.len(), 60, "the gap is filled");
    for (index, slot) in slots.iter().enumerate() {
        let shown = if (25..40).contains(&index) { 24 } else { index };
        assert!(*slot == &whole[shown * PICTURE..][..PICTURE], "{index}");
    }
    let ivf = fs::read(folder.path().join("call.ivf")).unwrap();
    let times: Vec<u64> = Frames::open(&ivf).unwrap().1.map(|(time, _)| time / 6000).collect();
    assert_eq!(times, (0..25).chain(40..60).collect::<Vec<_>>(), "the gap stays");

    let shown = Options { after_loss: true, ..all() };
    let report = extract(folder.path(), &damaged, shown);
    assert_eq!((report.written, report.withheld), (59, 1));
    let raw = fs::read(folder.path().join("call-320x240.yuv")).unwrap();
    assert!(raw[..25 * PICTURE] == whole[..25 * PICTURE]);
    assert!(raw[39 * PICTURE..] == whole[40 * PICTURE..]);
}

#[test]
fn a_stream_that_begins_without_a_key_frame_waits_for_one() {
    let folder = tempfile::tempdir().unwrap();
    let mut late = frames(video::PATTERN);
    late.drain(..5);
    late[..15].iter_mut().for_each(|frame| frame.state = FrameState::AfterLoss);
    for after_loss in [false, true] {
        let report = extract(folder.path(), &late, Options { after_loss, ..all() });
        assert_eq!((report.written, report.withheld), (40, 15));
        assert_eq!(report.start, Some(20 * 6000));
    }
    // What claims to be intact and is not is refused.
    late[..15].iter_mut().for_each(|frame| frame.state = FrameState::Intact);
    let report = extract(folder.path(), &late, all());
    assert_eq!((report.written, report.refused), (40, 15));
    assert!(report.refusals.iter().all(|refused| refused.error == DecodeError::NoKey));
}

#[test]
fn pictures_over_the_limit_are_refused_with_those_that_need_them() {
    let folder = tempfile::tempdir().unwrap();
    let mut stream = frames(video::PATTERN);
    stream[20].data[6..10].copy_from_slice(&[0xff, 0x3f, 0xff, 0x3f]);
    let report = extract(folder.path(), &stream, all());
    assert_eq!((report.written, report.refused), (40, 20));
    assert_eq!(report.refusals[0].error, DecodeError::TooLarge(16383, 16383));
    assert_eq!(report.refusals[0].frame, 20);
    let limits = Limits { width: 319, height: 240 };
    let report = extract(folder.path(), &stream, Options { limits, ..all() });
    assert_eq!((report.written, report.refused), (0, 60));
    assert!(report.files.is_empty());
}

#[test]
fn another_size_begins_another_file() {
    // The first key frame with another size in its header: other pictures, but pictures.
    let mut small = frames(video::PATTERN)[0].clone();
    small.data[6..10].copy_from_slice(&[16, 0, 16, 0]);
    small.ticks = 60 * 6000;
    let mut stream = frames(video::PATTERN);
    stream.push(small);
    let folder = tempfile::tempdir().unwrap();
    let report = extract(folder.path(), &stream, all());
    assert_eq!(report.written, 61);
    let length = |name: &str| fs::metadata(folder.path().join(name)).unwrap().len();
    assert_eq!(length("call-320x240.yuv"), 60 * PICTURE as u64);
    assert_eq!(length("call-2-16x16.yuv"), 384);
    let second = fs::read(folder.path().join("call-2.y4m")).unwrap();
    assert!(second.starts_with(b"YUV4MPEG2 W16 H16 F30:1 "));
}

#[test]
fn a_folder_that_is_not_there_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let mut extract = Extract::new(&folder.path().join("absent"), "call", all());
    let error = extract.push(&frames(video::PATTERN)[0]).unwrap_err();
    assert!(error.to_string().contains("call."), "{error}");
}
