//! IDX files: images and labels as MNIST's readers know them.
//!
//! A magic of four bytes (two zeros, 8 for unsigned bytes, the number of dimensions), each
//! dimension as a big-endian word, then the bytes. Files that end in `.gz` are compressed.
//! <https://yann.lecun.com/exdb/mnist/>

use std::fs::File;
use std::io::{self, BufReader, Read, Write};
use std::path::Path;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::{Dataset, LearnError, whole};

/// Magics of images and of labels.
const IMAGES: u32 = 0x0000_0803;
const LABELS: u32 = 0x0000_0801;
/// Rows and columns of an image are not believed beyond this.
const LARGEST_SIDE: u32 = 16_384;
/// Bytes that one file may hold unpacked.
const LARGEST: u64 = 8 << 30;

/// Images, all of one size.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// Rows and columns of one image.
    pub sides: [u32; 2],
    /// Their bytes, one image after the other, row by row.
    pub bytes: Vec<u8>,
}

impl Images {
    /// Bytes of one image.
    pub fn width(&self) -> usize {
        self.sides[0] as usize * self.sides[1] as usize
    }
}

/// Reads images from a file.
///
/// # Errors
/// When it can't be read, or is no IDX file of images.
pub fn read_images(path: &Path) -> Result<Images, LearnError> {
    images(&mut open(path)?).map_err(|error| error.at(path))
}

/// Reads labels from a file.
///
/// # Errors
/// When it can't be read, or is no IDX file of labels.
pub fn read_labels(path: &Path) -> Result<Vec<u8>, LearnError> {
    labels(&mut open(path)?).map_err(|error| error.at(path))
}

/// Reads images and their labels as samples of `classes`; without names, classes are numbers up
/// to the largest label.
///
/// # Errors
/// As [`read_images`] and [`read_labels`], when there are not as many labels as images, or when
/// a label names none of `classes`.
pub fn read(path: &Path, names: &Path, classes: &[String]) -> Result<Dataset, LearnError> {
    let images = read_images(path)?;
    let labels = read_labels(names)?;
    let count = images.bytes.len() / images.width();
    if count != labels.len() {
        return Err(LearnError::File {
            path: names.to_owned(),
            what: format!("{} labels for {count} images in {}", labels.len(), path.display()),
        });
    }
    let classes = if classes.is_empty() {
        let classes = labels.iter().max().map_or(0, |label| u16::from(*label) + 1);
        (0..classes).map(|class| class.to_string()).collect()
    } else {
        classes.to_vec()
    };
    let width = images.width();
    let labels = labels.into_iter().map(u16::from).collect();
    Dataset::new(images.bytes, width, labels, classes)
        .map_err(|error| LearnError::File { path: names.to_owned(), what: error.to_string() })
}

/// Writes samples as images and labels. Samples whose width is a square become square images,
/// others one row.
///
/// # Errors
/// When there are more than 256 classes, or the disk refuses.
pub fn write(data: &Dataset, images: &Path, labels: &Path) -> Result<(), LearnError> {
    let large = |what: String| LearnError::File { path: labels.to_owned(), what };
    if data.classes.len() > 256 {
        return Err(large(format!(
            "{} classes, but a label is one byte: at most 256",
            data.classes.len()
        )));
    }
    let count = u32::try_from(data.len())
        .map_err(|_| large(format!("{} samples are too many for IDX", data.len())))?;
    let side = data.width.isqrt();
    let sides = if side * side == data.width { [side, side] } else { [1, data.width] };
    let header = |magic: u32, sizes: &[usize]| {
        let mut header = magic.to_be_bytes().to_vec();
        header.extend_from_slice(&count.to_be_bytes());
        for size in sizes {
            header.extend_from_slice(&(*size as u32).to_be_bytes());
        }
        header
    };
    pack(images, &[&header(IMAGES, &sides), &data.bytes])?;
    let classes: Vec<u8> = data.labels.iter().map(|label| *label as u8).collect();
    pack(labels, &[&header(LABELS, &[]), &classes])
}

/// Reads images from bytes that are not compressed.
///
/// # Errors
/// What is wrong with them.
pub fn images(from: &mut impl Read) -> Result<Images, Fault> {
    let count = start(from, IMAGES, "images")?;
    let sides = [word(from)?, word(from)?];
    if sides.iter().any(|side| *side == 0 || *side > LARGEST_SIDE) {
        return Err(Fault::Bad(format!("images of {} x {} bytes", sides[0], sides[1])));
    }
    let width = u64::from(sides[0]) * u64::from(sides[1]);
    Ok(Images { sides, bytes: rest(from, u64::from(count) * width)? })
}

/// Reads labels from bytes that are not compressed.
///
/// # Errors
/// What is wrong with them.
pub fn labels(from: &mut impl Read) -> Result<Vec<u8>, Fault> {
    let count = start(from, LABELS, "labels")?;
    rest(from, u64::from(count))
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It can't be read.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// It is not what it should be.
    #[error("{0}")]
    Bad(String),
}

impl Fault {
    fn at(self, path: &Path) -> LearnError {
        let path = path.to_owned();
        match self {
            Fault::Io(error) => LearnError::Io { path, error },
            Fault::Bad(what) => LearnError::File { path, what },
        }
    }
}

/// The magic and the first dimension.
fn start(from: &mut impl Read, expected: u32, what: &str) -> Result<u32, Fault> {
    let magic = word(from)?;
    if magic != expected {
        let other = match magic {
            IMAGES => ", these are images",
            LABELS => ", these are labels",
            _ if magic >> 16 == 0x1f8b => ", this is gzip: the name should end in .gz",
            _ => "",
        };
        return Err(Fault::Bad(format!(
            "no IDX file of {what}: magic {magic:08x}, not {expected:08x}{other}"
        )));
    }
    word(from)
}

fn word(from: &mut impl Read) -> Result<u32, Fault> {
    let mut word = [0; 4];
    from.read_exact(&mut word).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => Fault::Bad("ends within its header".to_owned()),
        _ => Fault::Io(error),
    })?;
    Ok(u32::from_be_bytes(word))
}

/// All that follows, which must be `need` bytes. What a header promises is not allocated before
/// it is there.
fn rest(from: &mut impl Read, need: u64) -> Result<Vec<u8>, Fault> {
    if need > LARGEST {
        return Err(Fault::Bad(format!("its header promises {need} bytes, more than {LARGEST}")));
    }
    let mut bytes = Vec::new();
    from.take(need + 1).read_to_end(&mut bytes)?;
    match (bytes.len() as u64).cmp(&need) {
        std::cmp::Ordering::Less => Err(Fault::Bad(format!(
            "cut: its header promises {need} bytes, {} are there",
            bytes.len()
        ))),
        std::cmp::Ordering::Greater => {
            Err(Fault::Bad(format!("more than the {need} bytes that its header promises")))
        }
        std::cmp::Ordering::Equal => Ok(bytes),
    }
}

fn packed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("gz"))
}

fn open(path: &Path) -> Result<Box<dyn Read>, LearnError> {
    let file = File::open(path).map_err(|error| LearnError::Io { path: path.to_owned(), error })?;
    let file = BufReader::new(file);
    Ok(if packed(path) { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) })
}

fn pack(path: &Path, parts: &[&[u8]]) -> Result<(), LearnError> {
    whole::write(path, |out| {
        if packed(path) {
            let mut out = GzEncoder::new(out, Compression::default());
            parts.iter().try_for_each(|part| out.write_all(part))?;
            out.finish().map(|_| ())
        } else {
            parts.iter().try_for_each(|part| out.write_all(part))
        }
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// What is written is read again, packed or not.
        #[test]
        fn round_trip(
            width in 1usize..20,
            labels in prop::collection::vec(0u16..9, 0..20),
            seed: u64,
            gz: bool,
        ) {
            let bytes = (0..labels.len() * width).map(|at| (seed >> (at % 57)) as u8).collect();
            let classes: Vec<String> = (0..9).map(|class| format!("c{class}")).collect();
            let data = Dataset::new(bytes, width, labels, classes.clone()).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let name = |what: &str| folder.path().join(format!("{what}{}", [".gz", ""][usize::from(gz)]));
            write(&data, &name("images"), &name("labels")).unwrap();
            let back = read(&name("images"), &name("labels"), &classes).unwrap();
            prop_assert_eq!(back, data);
        }

        #[test]
        fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
            if let Ok(found) = images(&mut bytes.as_slice()) {
                prop_assert_eq!(found.bytes.len(), bytes.len() - 16);
            }
            if let Ok(found) = labels(&mut bytes.as_slice()) {
                prop_assert_eq!(found.len(), bytes.len() - 8);
            }
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let check = |hex: &str, expected: &str| {
            let bytes: Vec<u8> = (0..hex.len() / 2)
                .map(|at| u8::from_str_radix(&hex[at * 2..at * 2 + 2], 16).unwrap())
                .collect();
            let error = images(&mut bytes.as_slice()).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        check("", "ends within its header");
        check("0000080300000001", "ends within its header");
        check("0000080100000001", "these are labels");
        check("1f8b080000000000", "should end in .gz");
        check("00000d0300000001", "magic 00000d03, not 00000803");
        check("00000803000000010000000000000001", "0 x 1");
        check("00000803000000010000000200000002010203", "cut: its header promises 4 bytes, 3");
        check("000008030000000100000001000000010102", "more than the 1 bytes");
        check("00000803ffffffff0000400000004000", "more than 8589934592");
        check("00000803ffffffff0000000100000001", "cut: its header promises 4294967295");
    }

    #[test]
    fn labels_must_fit() {
        let folder = tempfile::tempdir().unwrap();
        let (images, labels) = (folder.path().join("i"), folder.path().join("l.gz"));
        let classes = ["a".to_owned(), "b".to_owned()];
        let data = Dataset::new(vec![1, 2], 1, vec![0, 1], classes.to_vec()).unwrap();
        write(&data, &images, &labels).unwrap();
        let few = read(&images, &labels, &classes[..1]).unwrap_err().to_string();
        assert!(few.contains("label 1 names none of 1 classes"), "{few}");
        let numbered = read(&images, &labels, &[]).unwrap();
        assert_eq!(numbered.classes, ["0", "1"]);
        let one = Dataset::new(vec![1], 1, vec![0], classes.to_vec()).unwrap();
        write(&one, &folder.path().join("x"), &labels).unwrap();
        let odd = read(&images, &labels, &classes).unwrap_err().to_string();
        assert!(odd.contains("1 labels for 2 images"), "{odd}");
    }
}
