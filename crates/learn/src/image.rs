//! Samples as grey pictures: one PNG each, and the gallery of classes (the OTT voice paper,
//! Fig. 3).

use std::path::Path;

use crate::{Dataset, LearnError, whole};

/// Digits as 3 x 5 dots, a row in three bits.
const DIGITS: [[u8; 5]; 10] = [
    [7, 5, 5, 5, 7],
    [2, 6, 2, 2, 7],
    [7, 1, 7, 4, 7],
    [7, 1, 7, 1, 7],
    [5, 5, 7, 1, 1],
    [7, 4, 7, 1, 7],
    [7, 4, 7, 5, 7],
    [7, 1, 1, 2, 2],
    [7, 5, 7, 5, 7],
    [7, 5, 7, 1, 7],
];
/// Between pictures of a gallery.
const GAP: usize = 2;
const GAP_GREY: u8 = 255;

/// A grey picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Columns.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Grey values, row by row.
    pub dots: Vec<u8>,
}

/// A sample as a picture: square where its width is a square, else rows of 28 filled with zeros.
pub fn picture(sample: &[u8]) -> Picture {
    let side = sample.len().isqrt();
    let width = if side * side == sample.len() { side.max(1) } else { 28 };
    let height = sample.len().div_ceil(width).max(1);
    let mut dots = sample.to_vec();
    dots.resize(width * height, 0);
    Picture { width, height, dots }
}

/// A row of pictures for each class, under its number: the first `each` samples of a class.
/// Each dot becomes `scale` x `scale`.
pub fn gallery(data: &Dataset, each: usize, scale: usize) -> Picture {
    let scale = scale.max(1);
    let one = picture(data.bytes.get(..data.width).unwrap_or_default());
    let (cell, row) = (one.width * scale + GAP, one.height.max(5) * scale + GAP);
    let number = 3 * 4 * scale + GAP;
    let width = number + each.max(1) * cell + GAP;
    let height = data.classes.len().max(1) * row + GAP;
    let mut dots = vec![GAP_GREY; width * height];
    let mut put = |x: usize, y: usize, grey: u8| {
        for dy in 0..scale {
            let start = (y + dy) * width + x;
            dots[start..start + scale].fill(grey);
        }
    };
    for class in 0..data.classes.len() {
        let top = GAP + class * row;
        for (place, digit) in class.to_string().bytes().enumerate().take(3) {
            for (y, bits) in DIGITS[usize::from(digit - b'0')].iter().enumerate() {
                for x in (0..3).filter(|x| bits >> (2 - x) & 1 == 1) {
                    put(GAP + (place * 4 + x) * scale, top + y * scale, 0);
                }
            }
        }
        let rows = data.labels.iter().enumerate();
        let rows = rows.filter(|(_, label)| usize::from(**label) == class).take(each);
        for (place, (sample, _)) in rows.enumerate() {
            let picture = picture(data.sample(sample));
            for (at, grey) in picture.dots.iter().enumerate() {
                let (x, y) = (at % picture.width * scale, at / picture.width * scale);
                put(number + place * cell + x, top + y, *grey);
            }
        }
    }
    Picture { width, height, dots }
}

/// Writes a picture as PNG.
///
/// # Errors
/// When the disk refuses.
pub fn write(picture: &Picture, path: &Path) -> Result<(), LearnError> {
    whole::write(path, |out| {
        let mut encoder = png::Encoder::new(out, picture.width as u32, picture.height as u32);
        encoder.set_color(png::ColorType::Grayscale);
        encoder.set_depth(png::BitDepth::Eight);
        let mut writer = encoder.write_header()?;
        writer.write_image_data(&picture.dots)?;
        Ok(writer.finish()?)
    })
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn read(path: &Path) -> Picture {
        let file = BufReader::new(std::fs::File::open(path).unwrap());
        let mut reader = png::Decoder::new(file).read_info().unwrap();
        let mut dots = vec![0; reader.output_buffer_size().unwrap()];
        let info = reader.next_frame(&mut dots).unwrap();
        Picture { width: info.width as usize, height: info.height as usize, dots }
    }

    #[test]
    fn pictures_are_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.png");
        let sample: Vec<u8> = (0..784).map(|at| (at % 251) as u8).collect();
        write(&picture(&sample), &path).unwrap();
        let back = read(&path);
        assert_eq!((back.width, back.height, back.dots), (28, 28, sample));
        assert_eq!((picture(&[1; 30]).width, picture(&[1; 30]).height), (28, 2));
    }

    #[test]
    fn a_gallery_has_a_row_for_each_class() {
        let classes = vec!["a".to_owned(), "b".to_owned(), "none".to_owned()];
        let bytes = [[10; 4], [20; 4], [30; 4]].concat();
        let data = Dataset::new(bytes, 4, vec![0, 1, 1], classes).unwrap();
        let picture = gallery(&data, 2, 1);
        let dot = |x: usize, y: usize| picture.dots[y * picture.width + x];
        // Twelve columns for the number and a gap, then samples of two by two dots.
        assert_eq!(dot(14, 2), 10);
        assert_eq!((dot(14, 9), dot(18, 9)), (20, 30));
        assert_eq!(dot(18, 2), GAP_GREY);
        assert_eq!((picture.width, picture.height), (14 + 2 * 4 + 2, 3 * 7 + 2));
        let folder = tempfile::tempdir().unwrap();
        write(&picture, &folder.path().join("g.png")).unwrap();
    }
}
