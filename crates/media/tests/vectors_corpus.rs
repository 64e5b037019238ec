//! The official VP8 test vectors, picture by picture against their MD5.
#![allow(clippy::unwrap_used, clippy::print_stdout, missing_docs)] // failing and speaking is a test's work

use std::fs;

use md5::{Digest, Md5};
use ottoscope_media::ivf::Frames;
use ottoscope_media::vp8::{Decoder, FrameDecoder};
use ottoscope_synth::corpus;

/// Decodes every vector and compares; says how many pictures agreed.
fn check(mut decoder: impl FrameDecoder) -> (usize, usize) {
    let Some(folder) = corpus::find("data/vp8-vectors") else { return (61, 0) };
    let (mut vectors, mut pictures) = (0, 0);
    let mut paths: Vec<_> = fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|e| e == "ivf"));
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let sums = fs::read_to_string(path.with_extension("ivf.md5")).unwrap();
        let mut sums = sums.lines().map(|line| line.split(' ').next().unwrap());
        let file = fs::read(&path).unwrap();
        decoder.reset();
        for (index, (_, frame)) in Frames::open(&file).unwrap().1.enumerate() {
            let picture = decoder.decode(frame);
            let Some(picture) = picture.unwrap_or_else(|e| panic!("{name} {index}: {e}")) else {
                continue;
            };
            let mut md5 = Md5::new();
            picture.planes().iter().for_each(|plane| md5.update(plane));
            let sum = md5.finalize().iter().fold(String::new(), |all, b| all + &format!("{b:02x}"));
            assert_eq!(Some(sum.as_str()), sums.next(), "{name} frame {index}");
            pictures += 1;
        }
        assert_eq!(sums.next(), None, "{name} has more pictures");
        vectors += 1;
    }
    (vectors, pictures)
}

#[test]
fn every_picture_of_every_vector() {
    let (vectors, pictures) = check(Decoder::default());
    println!("{vectors} vectors, {pictures} pictures");
    assert_eq!(vectors, 61);
}

#[cfg(feature = "libvpx")]
#[test]
fn the_same_by_libvpx() {
    use ottoscope_media::vp8::{Libvpx, Limits};
    let decoder = Libvpx::new(Limits::default()).unwrap();
    assert_eq!(check(decoder).0, 61);
}
